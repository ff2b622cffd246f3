//===- Nvrtc.cpp - CUDA C++ to cubins, without a toolkit -------------------===//
#include "codegen/cuda/Nvrtc.h"

#include "codegen/cuda/KernelCache.h"
#include "codegen/cuda/NvrtcLibrary.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/SHA256.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace ingot;
using namespace ingot::cuda;

/// "90" of "sm_90a".
static int archNumber(llvm::StringRef arch) {
  int number = 0;
  arch.consume_front("sm_");
  arch.consumeInteger(10, number);
  return number;
}

static Status checkArch(const NvrtcLibrary &library, llvm::StringRef arch) {
  if (llvm::is_contained(library.archs, archNumber(arch)))
    return Status();
  return Status(ExitCode::Unsupported,
                "NVRTC " + std::to_string(library.major) + "." + std::to_string(library.minor) +
                    " (" + library.path + ") does not compile for " + arch.str() +
                    "; install a newer one with `python3 -m pip install --upgrade "
                    "nvidia-cuda-nvrtc`, or name it with INGOT_NVRTC=/path/to/libnvrtc.so");
}

Status cuda::checkNvrtc(llvm::StringRef arch, const CompileOptions &options) {
  Result<const NvrtcLibrary *> library = NvrtcLibrary::open(options.library);
  return library.ok() ? checkArch(**library, arch) : library.status();
}

Resources cuda::parseResources(llvm::StringRef log) {
  Resources resources;
  auto number = [&](llvm::StringRef pattern) -> unsigned {
    llvm::SmallVector<llvm::StringRef> groups;
    unsigned value = 0;
    if (llvm::Regex(pattern).match(log, &groups))
      groups[1].getAsInteger(10, value);
    return value;
  };
  resources.registers = number("Used ([0-9]+) registers");
  resources.sharedBytes = number("([0-9]+) bytes smem");
  resources.stackBytes = number("([0-9]+) bytes stack frame");
  resources.spillBytes = number("([0-9]+) bytes spill stores");
  return resources;
}

//===----------------------------------------------------------------------===//
// One compilation, in a process of its own
//===----------------------------------------------------------------------===//

static std::vector<std::string> commandLine(const Source &source) {
  // What a generic lambda calls has no annotation of its own.
  return {"--gpu-architecture=" + source.arch, "--std=c++20", "--ptxas-options=-v",
          "--device-as-default-execution-space"};
}

namespace {

/// What a worker sends: the result of nvrtcCompileProgram, then log, cubin and PTX behind their
/// lengths.
struct Answer {
  int error = 0;
  Compiled compiled;
};

/// A running worker.
struct Worker {
  size_t job;
  pid_t process;
  int pipe;
  std::string received;
};

} // namespace

static void writeAll(int file, const void *data, size_t size) {
  const char *bytes = static_cast<const char *>(data);
  while (size > 0) {
    ssize_t written = write(file, bytes, size);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      _exit(1);
    bytes += written;
    size -= written;
  }
}

/// The child: compiles and sends the answer. Nothing but NVRTC, memory and write() is used here,
/// since other threads of the parent do not exist in this process.
[[noreturn]] static void work(const NvrtcLibrary &library, const Source &source, int pipe) {
  for (int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGTRAP})
    std::signal(signal, SIG_DFL);
  llvm::ArrayRef<Header> headers = getHeaders();
  std::vector<const char *> texts, names, flags;
  for (const Header &header : headers) {
    texts.push_back(header.text);
    names.push_back(header.name);
  }
  std::vector<std::string> options = commandLine(source);
  for (const std::string &option : options)
    flags.push_back(option.c_str());
  NvrtcLibrary::Program program = nullptr;
  int error = library.createProgram(&program, source.text.c_str(), (source.name + ".cu").c_str(),
                                    headers.size(), texts.data(), names.data());
  if (error == 0)
    error = library.compileProgram(program, flags.size(), flags.data());
  writeAll(pipe, &error, sizeof error);
  auto send = [&](auto getSize, auto get) {
    size_t size = 0;
    std::string text;
    if (program && getSize(program, &size) == 0 && size > 0) {
      text.resize(size);
      get(program, text.data());
    }
    uint64_t length = text.size();
    writeAll(pipe, &length, sizeof length);
    writeAll(pipe, text.data(), text.size());
  };
  send(library.getLogSize, library.getLog);
  if (error == 0) {
    send(library.getCubinSize, library.getCubin);
    send(library.getPtxSize, library.getPtx);
  }
  _exit(0);
}

static bool parseAnswer(llvm::StringRef text, Answer &answer) {
  auto take = [&](void *target, size_t size) {
    if (text.size() < size)
      return false;
    std::memcpy(target, text.data(), size);
    text = text.drop_front(size);
    return true;
  };
  auto takeString = [&](std::string &target) {
    uint64_t size;
    if (!take(&size, sizeof size) || text.size() < size)
      return false;
    // The library counts the terminating zero of texts.
    target = text.take_front(size).str();
    text = text.drop_front(size);
    return true;
  };
  if (!take(&answer.error, sizeof answer.error) || !takeString(answer.compiled.log))
    return false;
  while (!answer.compiled.log.empty() && answer.compiled.log.back() == '\0')
    answer.compiled.log.pop_back();
  if (answer.error != 0)
    return true;
  if (!takeString(answer.compiled.cubin) || !takeString(answer.compiled.ptx))
    return false;
  while (!answer.compiled.ptx.empty() && answer.compiled.ptx.back() == '\0')
    answer.compiled.ptx.pop_back();
  answer.compiled.resources = parseResources(answer.compiled.log);
  return true;
}

static std::string numberLines(llvm::StringRef text) {
  std::string result;
  unsigned number = 0;
  for (llvm::StringRef rest = text; !rest.empty();) {
    auto [line, tail] = rest.split('\n');
    std::string label = std::to_string(++number);
    result += std::string(label.size() < 4 ? 4 - label.size() : 0, ' ') + label + " | " +
              line.str() + "\n";
    rest = tail;
  }
  return result;
}

static Status failure(const Source &source, const std::string &what) {
  return Status(ExitCode::Internal, "kernel '" + source.name + "' for " + source.arch + ": " +
                                        what + "\nthe source:\n" + numberLines(source.text));
}

//===----------------------------------------------------------------------===//
// Many compilations
//===----------------------------------------------------------------------===//

/// A digest of all that the result depends on.
static std::string makeKey(const NvrtcLibrary &library, const Source &source) {
  llvm::SHA256 hash;
  auto add = [&](llvm::StringRef text) {
    hash.update(std::to_string(text.size()) + ":");
    hash.update(text);
  };
  add("nvrtc " + std::to_string(library.major) + "." + std::to_string(library.minor));
  add(library.path); // two builds of one version may differ
  for (const std::string &option : commandLine(source))
    add(option);
  add(source.name);
  add(source.text);
  for (const Header &header : getHeaders()) {
    add(header.name);
    add(header.text);
  }
  return llvm::toHex(hash.final(), /*LowerCase=*/true);
}

static Result<Worker> startWorker(const NvrtcLibrary &library, const Source &source, size_t job) {
  int ends[2];
  if (pipe(ends) != 0)
    return Status(ExitCode::OutOfResources,
                  std::string("cannot make a pipe to compile kernels with: ") + strerror(errno));
  pid_t process = fork();
  if (process == 0) {
    close(ends[0]);
    work(library, source, ends[1]);
  }
  close(ends[1]);
  if (process < 0) {
    close(ends[0]);
    return Status(ExitCode::OutOfResources,
                  std::string("cannot start a process to compile kernels in: ") + strerror(errno));
  }
  return Worker{job, process, ends[0], {}};
}

/// The answer of a worker whose pipe has ended.
static Result<Compiled> finishWorker(const NvrtcLibrary &library, const Source &source,
                                     Worker &worker) {
  close(worker.pipe);
  int state = 0;
  while (waitpid(worker.process, &state, 0) < 0 && errno == EINTR)
    ;
  Answer answer;
  if (WIFSIGNALED(state))
    return failure(source, std::string("NVRTC died of signal ") + std::to_string(WTERMSIG(state)) +
                               " (" + strsignal(WTERMSIG(state)) + ")");
  if (!parseAnswer(worker.received, answer))
    return failure(source, "the process that compiles it ended early");
  if (answer.error != 0)
    return failure(source, std::string("NVRTC: ") + library.getErrorString(answer.error) + "\n" +
                               answer.compiled.log);
  return std::move(answer.compiled);
}

Result<std::vector<Compiled>> cuda::compile(llvm::ArrayRef<Source> sources,
                                            const CompileOptions &options) {
  std::vector<Compiled> results(sources.size());
  if (sources.empty())
    return results;
  Result<const NvrtcLibrary *> opened = NvrtcLibrary::open(options.library);
  if (!opened.ok())
    return opened.status();
  const NvrtcLibrary &library = **opened;
  KernelCache cache(options.cache);
  std::vector<std::string> keys;
  std::vector<size_t> waiting;
  for (auto [i, source] : llvm::enumerate(sources)) {
    if (Status status = checkArch(library, source.arch); !status.ok())
      return status;
    keys.push_back(makeKey(library, source));
    if (std::optional<Compiled> known = cache.find(keys.back()))
      results[i] = std::move(*known);
    else
      waiting.push_back(i);
  }

  std::vector<Worker> running;
  std::vector<std::pair<size_t, Status>> errors;
  size_t next = 0;
  while (next < waiting.size() || !running.empty()) {
    while (errors.empty() && next < waiting.size() &&
           running.size() < std::max(1u, options.workers)) {
      size_t job = waiting[next++];
      Result<Worker> worker = startWorker(library, sources[job], job);
      if (worker.ok())
        running.push_back(std::move(*worker));
      else
        errors.push_back({job, worker.status()});
    }
    if (running.empty())
      break;
    std::vector<pollfd> polls;
    for (const Worker &worker : running)
      polls.push_back({worker.pipe, POLLIN, 0});
    if (poll(polls.data(), polls.size(), -1) < 0)
      continue; // a signal
    for (size_t i = running.size(); i-- > 0;) {
      if (!polls[i].revents)
        continue;
      char buffer[1 << 16];
      ssize_t size = read(running[i].pipe, buffer, sizeof buffer);
      if (size > 0) {
        running[i].received.append(buffer, size);
        continue;
      }
      if (size < 0 && errno == EINTR)
        continue;
      size_t job = running[i].job;
      Result<Compiled> compiled = finishWorker(library, sources[job], running[i]);
      running.erase(running.begin() + i);
      if (!compiled.ok()) {
        errors.push_back({job, compiled.status()});
        continue;
      }
      cache.put(keys[job], *compiled);
      results[job] = std::move(*compiled);
    }
  }
  if (errors.empty())
    return results;
  // The first in order of the sources, whichever failed first.
  return std::min_element(errors.begin(), errors.end(),
                          [](const auto &a, const auto &b) { return a.first < b.first; })
      ->second;
}
