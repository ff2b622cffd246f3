//===- ElfImage.cpp ---------------------------------------------*- C++ -*-===//
#include "runtime/device/cpu/ElfImage.h"

#include "runtime/support/CheckedMath.h"
#include "runtime/support/Text.h"

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

namespace ingot {

static Status malformed(std::string message) {
  return Status(ExitCode::MalformedInput, text("code image: ", message));
}

template <typename T> static T readAt(std::span<const std::byte> bytes, uint64_t offset) {
  T out;
  std::memcpy(&out, bytes.data() + offset, sizeof out);
  return out;
}

static Status checkDynamic(std::span<const std::byte> image, uint64_t offset, uint64_t bytes) {
  for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= bytes; at += sizeof(Elf64_Dyn)) {
    auto entry = readAt<Elf64_Dyn>(image, offset + at);
    switch (entry.d_tag) {
    case DT_NULL:
      return {};
    case DT_NEEDED:
      return malformed("expected no needed library, got one (DT_NEEDED)");
    case DT_INIT:
    case DT_FINI:
    case DT_INIT_ARRAY:
    case DT_FINI_ARRAY:
    case DT_PREINIT_ARRAY:
      return malformed("expected no constructor or destructor, got one");
    case DT_AUDIT:
    case DT_DEPAUDIT:
    case DT_FILTER:
    case DT_AUXILIARY:
    case DT_RPATH:
    case DT_RUNPATH:
      return malformed(text("expected a plain shared object, got dynamic tag ", entry.d_tag));
    default:
      break;
    }
  }
  return malformed("expected a dynamic table that ends inside the image");
}

Status checkElfImage(std::span<const std::byte> image) {
  if (image.size() < sizeof(Elf64_Ehdr) || std::memcmp(image.data(), ELFMAG, SELFMAG) != 0)
    return malformed(
        text("expected an ELF shared object, got ", image.size(), " bytes of something else"));
  auto header = readAt<Elf64_Ehdr>(image, 0);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_type != ET_DYN || header.e_machine != EM_X86_64)
    return malformed(text("expected a 64-bit x86-64 shared object, got ELF class ",
                          unsigned(header.e_ident[EI_CLASS]), ", type ", header.e_type,
                          ", machine ", header.e_machine));
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > 64 ||
      !rangeFits(header.e_phoff, uint64_t(header.e_phnum) * sizeof(Elf64_Phdr), image.size()))
    return malformed("expected at most 64 program headers inside the image");
  uint64_t dynamic = 0, dynamicBytes = 0, lastEnd = 0;
  bool loads = false;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    auto segment = readAt<Elf64_Phdr>(image, header.e_phoff + i * sizeof(Elf64_Phdr));
    if (segment.p_type == PT_INTERP || segment.p_type == PT_TLS)
      return malformed("expected no interpreter and no thread-local storage");
    if (segment.p_type != PT_LOAD && segment.p_type != PT_DYNAMIC)
      continue;
    if (!rangeFits(segment.p_offset, segment.p_filesz, image.size()) ||
        segment.p_memsz < segment.p_filesz || segment.p_memsz > (uint64_t(1) << 32) ||
        segment.p_vaddr > (uint64_t(1) << 40))
      return malformed(text("program header ", i,
                            ": expected a segment inside the image, got offset ", segment.p_offset,
                            " + ", segment.p_filesz, " bytes"));
    if (segment.p_type == PT_DYNAMIC) {
      dynamic = segment.p_offset;
      dynamicBytes = segment.p_filesz;
      continue;
    }
    if (segment.p_vaddr < lastEnd || (segment.p_vaddr - segment.p_offset) % 4096 != 0)
      return malformed(
          text("program header ", i, ": expected segments in order that do not overlap"));
    lastEnd = segment.p_vaddr + segment.p_memsz;
    loads = true;
  }
  if (!loads || dynamicBytes == 0)
    return malformed("expected a loadable segment and a dynamic table");
  return checkDynamic(image, dynamic, dynamicBytes);
}

static Status writeAll(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return Status(ExitCode::OutOfResources, text("cannot hold a code image of ", bytes.size(),
                                                   " bytes in memory: ", std::strerror(errno)));
    bytes = bytes.subspan(size_t(written));
  }
  return {};
}

Result<ElfImage> ElfImage::load(std::span<const std::byte> image) {
  if (Status status = checkElfImage(image); !status.ok())
    return status;
  // Kernels since 6.3 want to be told that the file will be executed; older ones refuse the flag.
  int fd = ::memfd_create("ingot-code", MFD_CLOEXEC | MFD_EXEC);
  if (fd < 0 && errno == EINVAL)
    fd = ::memfd_create("ingot-code", MFD_CLOEXEC);
  if (fd < 0)
    return Status(ExitCode::OutOfResources,
                  text("cannot make a memory file for the code image: ", std::strerror(errno)));
  Status written = writeAll(fd, image);
  void *handle = nullptr;
  std::string error;
  if (written.ok()) {
    handle = ::dlopen(text("/proc/self/fd/", fd).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
      const char *reason = ::dlerror();
      error = reason ? reason : "unknown error";
    }
  }
  if (handle)
    return ElfImage(handle, fd);
  ::close(fd);
  return written.ok() ? malformed(text("the dynamic loader refuses it: ", error)) : written;
}

ElfImage::ElfImage(ElfImage &&other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), fd_(std::exchange(other.fd_, -1)) {}

ElfImage &ElfImage::operator=(ElfImage &&other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(fd_, other.fd_);
  return *this;
}

ElfImage::~ElfImage() {
  if (handle_)
    ::dlclose(handle_);
  if (fd_ >= 0)
    ::close(fd_);
}

void *ElfImage::find(const char *symbol) const { return ::dlsym(handle_, symbol); }

} // namespace ingot
