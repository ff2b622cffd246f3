//===- KernelCache.cpp - Compiled kernels by content -----------------------===//
#include "codegen/cuda/KernelCache.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>
#include <cstring>

using namespace ingot;
using namespace ingot::cuda;

static constexpr llvm::StringLiteral kMagic = "INGOTK01";
static constexpr size_t kDigestBytes = 32;

KernelCache::KernelCache(const std::string &requested) : folder(requested) {
  auto environment = [](const char *name) -> std::string {
    const char *value = std::getenv(name);
    return value ? value : "";
  };
  if (folder.empty())
    folder = environment("INGOT_CACHE_DIR");
  if (folder.empty()) {
    std::string base = environment("XDG_CACHE_HOME");
    if (base.empty() && !environment("HOME").empty())
      base = environment("HOME") + "/.cache";
    if (!base.empty())
      folder = base + "/ingot";
  }
  if (folder == "off" || (!folder.empty() && llvm::sys::fs::create_directories(folder)))
    folder.clear();
}

/// Magic, digest of what follows, then each part behind its length.
static std::string serialize(const Compiled &compiled) {
  std::string body;
  for (const std::string *part : {&compiled.cubin, &compiled.ptx, &compiled.log}) {
    uint64_t size = part->size();
    body.append(reinterpret_cast<const char *>(&size), sizeof size);
    body += *part;
  }
  auto digest = llvm::SHA256::hash(llvm::arrayRefFromStringRef(body));
  return kMagic.str() + std::string(digest.begin(), digest.end()) + body;
}

static std::optional<Compiled> deserialize(llvm::StringRef text) {
  if (!text.consume_front(kMagic) || text.size() < kDigestBytes)
    return std::nullopt;
  llvm::StringRef digest = text.take_front(kDigestBytes), body = text.drop_front(kDigestBytes);
  auto expected = llvm::SHA256::hash(llvm::arrayRefFromStringRef(body));
  if (std::memcmp(expected.data(), digest.data(), kDigestBytes) != 0)
    return std::nullopt;
  Compiled compiled;
  for (std::string *part : {&compiled.cubin, &compiled.ptx, &compiled.log}) {
    uint64_t size;
    if (body.size() < sizeof size)
      return std::nullopt;
    std::memcpy(&size, body.data(), sizeof size);
    body = body.drop_front(sizeof size);
    if (body.size() < size)
      return std::nullopt;
    *part = body.take_front(size).str();
    body = body.drop_front(size);
  }
  compiled.resources = parseResources(compiled.log);
  return compiled;
}

std::optional<Compiled> KernelCache::find(const std::string &key) const {
  if (folder.empty())
    return std::nullopt;
  auto buffer = llvm::MemoryBuffer::getFile(folder + "/" + key + ".kernel", /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  return buffer ? deserialize((*buffer)->getBuffer()) : std::nullopt;
}

void KernelCache::put(const std::string &key, const Compiled &compiled) const {
  if (folder.empty())
    return;
  int file;
  llvm::SmallString<128> temporary;
  if (llvm::sys::fs::createUniqueFile(folder + "/" + key + ".%%%%%%.tmp", file, temporary))
    return;
  {
    llvm::raw_fd_ostream out(file, /*shouldClose=*/true);
    out << serialize(compiled);
    out.close();
    if (out.has_error()) {
      out.clear_error();
      llvm::sys::fs::remove(temporary);
      return;
    }
  }
  if (llvm::sys::fs::rename(temporary, folder + "/" + key + ".kernel"))
    llvm::sys::fs::remove(temporary);
}
