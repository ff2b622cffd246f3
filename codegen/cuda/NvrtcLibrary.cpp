//===- NvrtcLibrary.cpp - Finding libnvrtc ----------------------------------===//
#include "codegen/cuda/NvrtcLibrary.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <map>
#include <memory>
#include <mutex>

using namespace ingot;
using namespace ingot::cuda;

static constexpr const char *kInstallHint = "install one with `python3 -m pip install "
                                            "nvidia-cuda-nvrtc` (or a CUDA toolkit 12.8 or later), "
                                            "or name it with INGOT_NVRTC=/path/to/libnvrtc.so";

/// Major version below which the library lacks what the device code needs.
static constexpr int kOldestMajor = 12;

static std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

/// The libnvrtc.so* of a folder, the plain name last (it is a link to one of the others).
static void addLibraries(const std::string &folder, std::vector<std::string> &found) {
  std::vector<std::string> names;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    llvm::StringRef name = llvm::sys::path::filename(it->path());
    if (name.starts_with("libnvrtc.so"))
      names.push_back(it->path());
  }
  std::sort(names.begin(), names.end(), std::greater<>());
  found.insert(found.end(), names.begin(), names.end());
}

/// Adds PREFIX/lib/python*/site-packages/nvidia/*/lib: where the wheels put it.
static void addWheels(const std::string &prefix, std::vector<std::string> &found) {
  if (prefix.empty())
    return;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator it(prefix + "/lib", error), end; !error && it != end;
       it.increment(error)) {
    if (!llvm::sys::path::filename(it->path()).starts_with("python"))
      continue;
    for (const char *packages : {"/site-packages/nvidia", "/dist-packages/nvidia"}) {
      std::error_code inner;
      for (llvm::sys::fs::directory_iterator wheel(it->path() + packages, inner), last;
           !inner && wheel != last; wheel.increment(inner))
        addLibraries(wheel->path() + "/lib", found);
    }
  }
}

static std::vector<std::string> searchLibraries() {
  std::vector<std::string> found;
  for (const char *variable : {"CUDA_HOME", "CUDA_PATH"})
    if (std::string root = environment(variable); !root.empty())
      for (const char *folder : {"/lib64", "/lib"})
        addLibraries(root + folder, found);
  addWheels(environment("VIRTUAL_ENV"), found);
  addWheels(environment("CONDA_PREFIX"), found);
  for (const char *folder : {"/usr/local/cuda/lib64", "/usr/local/cuda/lib"})
    addLibraries(folder, found);
  if (std::string home = environment("HOME"); !home.empty())
    addWheels(home + "/.local", found);
  addWheels("/usr/local", found);
  addWheels("/usr", found);
  // What the dynamic linker knows.
  for (const char *name : {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"})
    found.push_back(name);
  return found;
}

/// Null if it isn't a library that we can use; `problem` says why.
static std::unique_ptr<NvrtcLibrary> load(const std::string &path, std::string &problem) {
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    problem = dlerror();
    return nullptr;
  }
  auto library = std::make_unique<NvrtcLibrary>();
  library->path = path;
  bool complete = true;
  auto bind = [&](auto &function, const char *name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
    if (!function && complete)
      problem = path + " has no function " + name;
    complete &= function != nullptr;
  };
  bind(library->version, "nvrtcVersion");
  bind(library->getErrorString, "nvrtcGetErrorString");
  bind(library->getNumSupportedArchs, "nvrtcGetNumSupportedArchs");
  bind(library->getSupportedArchs, "nvrtcGetSupportedArchs");
  bind(library->createProgram, "nvrtcCreateProgram");
  bind(library->destroyProgram, "nvrtcDestroyProgram");
  bind(library->compileProgram, "nvrtcCompileProgram");
  bind(library->getCubinSize, "nvrtcGetCUBINSize");
  bind(library->getCubin, "nvrtcGetCUBIN");
  bind(library->getPtxSize, "nvrtcGetPTXSize");
  bind(library->getPtx, "nvrtcGetPTX");
  bind(library->getLogSize, "nvrtcGetProgramLogSize");
  bind(library->getLog, "nvrtcGetProgramLog");
  if (!complete)
    return nullptr;
  int archs = 0;
  if (library->version(&library->major, &library->minor) != 0 ||
      library->getNumSupportedArchs(&archs) != 0) {
    problem = path + " does not tell its version";
    return nullptr;
  }
  library->archs.resize(archs);
  library->getSupportedArchs(library->archs.data());
  if (library->major < kOldestMajor) {
    problem = path + " is NVRTC " + std::to_string(library->major) + "." +
              std::to_string(library->minor) + ", too old: expected 12.0 or later";
    return nullptr;
  }
  return library;
}

Result<const NvrtcLibrary *> NvrtcLibrary::open(const std::string &requested) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<NvrtcLibrary>> opened;
  std::lock_guard<std::mutex> lock(mutex);
  std::string path = requested.empty() ? environment("INGOT_NVRTC") : requested;
  std::unique_ptr<NvrtcLibrary> &library = opened[path];
  if (library)
    return library.get();
  std::vector<std::string> candidates;
  if (path.empty())
    candidates = searchLibraries();
  else if (llvm::sys::fs::is_directory(path))
    addLibraries(path, candidates);
  else
    candidates.push_back(path);
  std::string firstProblem;
  for (const std::string &candidate : candidates) {
    std::string problem;
    library = load(candidate, problem);
    if (library)
      return library.get();
    if (firstProblem.empty())
      firstProblem = problem;
  }
  std::string what = path.empty() ? "NVRTC, which compiles CUDA kernels, was not found"
                                  : "INGOT_NVRTC: no usable NVRTC at '" + path + "'";
  if (!firstProblem.empty())
    what += " (" + firstProblem + ")";
  return Status(ExitCode::Unsupported, what + "; " + kInstallHint);
}
