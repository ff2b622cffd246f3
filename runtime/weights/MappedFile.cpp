//===- MappedFile.cpp - A regular file mapped read-only -------------------===//
#include "runtime/weights/MappedFile.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace ingot {

//===----------------------------------------------------------------------===//
// Files that become shorter
//===----------------------------------------------------------------------===//

namespace {

/// More files than any checkpoint has; a mapping past them is not guarded.
MappedFile::Guard guards[1024];
struct sigaction previous;

/// Puts zeros behind the end of a guarded file. Only system calls and lock-free atomics.
void onBusError(int signal, siginfo_t *info, void *context) {
  auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  for (MappedFile::Guard &guard : guards) {
    uintptr_t end = guard.end.load(std::memory_order_acquire);
    if (end == 0 || address < guard.begin.load(std::memory_order_relaxed) || address >= end)
      continue;
    int error = errno;
    uintptr_t page = address & ~uintptr_t(sysconf(_SC_PAGESIZE) - 1);
    void *zeros = mmap(reinterpret_cast<void *>(page), end - page, PROT_READ,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    errno = error;
    if (zeros == MAP_FAILED)
      break;
    guard.hit.store(true, std::memory_order_release);
    return;
  }
  if ((previous.sa_flags & SA_SIGINFO) && previous.sa_sigaction)
    return previous.sa_sigaction(signal, info, context);
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
    return previous.sa_handler(signal);
  // The instruction runs again, and meets the default.
  ::signal(SIGBUS, SIG_DFL);
}

MappedFile::Guard *claimGuard(const void *data, size_t size) {
  static const bool installed = [] {
    struct sigaction action = {};
    action.sa_sigaction = onBusError;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, &previous) == 0;
  }();
  if (!installed)
    return nullptr;
  auto begin = reinterpret_cast<uintptr_t>(data);
  for (MappedFile::Guard &guard : guards) {
    uintptr_t free = 0;
    // First claimed (begin), then published (end).
    if (!guard.begin.compare_exchange_strong(free, begin))
      continue;
    guard.hit.store(false);
    guard.end.store(begin + size, std::memory_order_release);
    return &guard;
  }
  return nullptr;
}

void releaseGuard(MappedFile::Guard *guard) {
  if (!guard)
    return;
  guard->end.store(0, std::memory_order_release);
  guard->begin.store(0, std::memory_order_release);
}

} // namespace

//===----------------------------------------------------------------------===//
// Mapping
//===----------------------------------------------------------------------===//

MappedFile::MappedFile(MappedFile &&other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)),
      guard_(std::exchange(other.guard_, nullptr)) {}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(guard_, other.guard_);
  return *this;
}

MappedFile::~MappedFile() {
  releaseGuard(guard_);
  if (data_)
    munmap(const_cast<std::byte *>(data_), size_);
}

Result<MappedFile> MappedFile::open(const std::string &path) {
  auto failed = [&](const char *what) {
    int error = errno;
    ExitCode code = error == ENOMEM || error == EMFILE || error == ENFILE
                        ? ExitCode::OutOfResources
                        : ExitCode::MalformedInput;
    return Status(code, path + ": " + what + ": " + std::strerror(error));
  };
  // A pipe without a writer would block an open that waits.
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (descriptor < 0)
    return failed("cannot open");
  struct stat info;
  if (fstat(descriptor, &info) != 0) {
    Status status = failed("cannot stat");
    close(descriptor);
    return status;
  }
  if (!S_ISREG(info.st_mode)) {
    close(descriptor);
    return Status(ExitCode::MalformedInput,
                  path + ": expected a regular file, got " +
                      (S_ISDIR(info.st_mode) ? "a folder" : "a device, pipe or socket"));
  }
  MappedFile file;
  if (info.st_size > 0) {
    void *data = mmap(nullptr, size_t(info.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED) {
      Status status = failed("cannot map");
      close(descriptor);
      return status;
    }
    file.data_ = static_cast<const std::byte *>(data);
    file.size_ = size_t(info.st_size);
    file.guard_ = claimGuard(data, file.size_);
  }
  close(descriptor);
  return file;
}

} // namespace ingot
