//===- LinkImage.cpp - Object file to shared object -----------------------===//
//
// lld as a library. It reads and writes files only, so both sides go through a private temporary
// folder; nothing of its path ends up in the image.
//
//===----------------------------------------------------------------------===//
#include "codegen/host/Kernel.h"

#include "lld/Common/Driver.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <mutex>

LLD_HAS_DRIVER(elf)

using namespace ingot;
using namespace ingot::host;

namespace {

/// A folder that is removed with everything in it.
struct TemporaryFolder {
  llvm::SmallString<128> path;
  std::error_code create() {
    return llvm::sys::fs::createUniqueDirectory("ingot", path);
  }
  std::string file(const char *name) const {
    llvm::SmallString<128> full = path;
    llvm::sys::path::append(full, name);
    return std::string(full);
  }
  ~TemporaryFolder() {
    if (!path.empty())
      llvm::sys::fs::remove_directories(path);
  }
};

} // namespace

Result<HostImage> ingot::host::linkHostImage(llvm::ArrayRef<HostObject> objects) {
  // lld keeps global state.
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  TemporaryFolder folder;
  if (std::error_code error = folder.create())
    return Status(ExitCode::OutOfResources,
                  "cannot make a temporary folder to link in: " + error.message());
  HostImage image;
  std::vector<std::string> inputs;
  for (const HostObject &object : objects) {
    inputs.push_back(folder.file(("kernel" + std::to_string(inputs.size()) + ".o").c_str()));
    std::error_code error;
    llvm::raw_fd_ostream out(inputs.back(), error);
    if (!error) {
      out << object.bytes;
      out.close();
      error = out.error();
      out.clear_error();
    }
    if (error)
      return Status(ExitCode::OutOfResources,
                    "cannot write " + inputs.back() + ": " + error.message());
    image.kernels.insert(image.kernels.end(), object.kernels.begin(), object.kernels.end());
  }
  std::string output = folder.file("kernels.so");
  std::vector<const char *> arguments = {
      "ld.lld",      "-shared",           "-z",          "defs",        "-z",
      "relro",       "-z",                "noexecstack", "--hash-style=gnu",
      "--strip-all", "--build-id=none",   "--threads=1", "--gc-sections", "-o",
      output.c_str()};
  for (const std::string &input : inputs)
    arguments.push_back(input.c_str());
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  lld::Result result = lld::lldMain(arguments, stream, stream, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return Status(ExitCode::Internal, "linking the host kernels failed: " + messages);
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> elf =
      llvm::MemoryBuffer::getFile(output, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!elf)
    return Status(ExitCode::OutOfResources,
                  "cannot read the linked image: " + elf.getError().message());
  image.elf = (*elf)->getBuffer().str();
  return image;
}
