//===- HostTarget.cpp - What the CPU code generator knows of a CPU --------===//
//
// Register tiles. A tile of R rows and P columns holds R * P / lanes accumulators, reads P / lanes
// weight vectors and broadcasts one activation at a time; all must fit the vector registers, and the
// more accumulators the fewer loads per multiply-add:
//   v4: 32 registers of 16 lanes: 12 x 32 = 24 accumulators + 2 + 1
//   v3: 16 registers of  8 lanes:  6 x 16 = 12 accumulators + 2 + 1
//   v2: 16 registers of  4 lanes:  6 x  8 = 12 accumulators + 2 + 1
// Leftover rows run through smaller tiles down to one row, which is also the decode step's path.
//
//===----------------------------------------------------------------------===//
#include "codegen/host/HostTarget.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

#include <array>

using namespace ingot;
using namespace ingot::host;

namespace {

struct Level {
  const char *name;
  int64_t lanes;
  std::array<int64_t, 3> rows;
  int64_t panel;
  bool hasFma;
  /// CPU features that the psABI level adds to the one before.
  std::array<const char *, 9> features;
};

constexpr Level levels[] = {
    {"x86-64-v2", 4, {6, 2, 1}, 8, false, {"sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "cx16"}},
    {"x86-64-v3",
     8,
     {6, 2, 1},
     16,
     true,
     {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"}},
    {"x86-64-v4",
     16,
     {12, 4, 1},
     32,
     true,
     {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}},
};

HostTarget makeTarget(const Level &level) {
  HostTarget target;
  target.level = level.name;
  target.lanes = level.lanes;
  target.rows.assign(level.rows.begin(), level.rows.end());
  target.panel = level.panel;
  target.hasFma = level.hasFma;
  return target;
}

} // namespace

Result<HostTarget> ingot::host::getHostTarget(llvm::StringRef name) {
  for (const Level &level : levels)
    if (name == level.name)
      return makeTarget(level);
  if (name != "host")
    return Status(ExitCode::Unsupported, "unknown host architecture '" + name.str() +
                                             "': expected host, x86-64-v2, x86-64-v3 or x86-64-v4");
  if (llvm::Triple(llvm::sys::getProcessTriple()).getArch() != llvm::Triple::x86_64)
    return Status(ExitCode::Unsupported,
                  "the host code generator supports x86-64 only, this machine is " +
                      llvm::sys::getProcessTriple() +
                      "; name a level to compile for another machine: --target x86-64-v3");
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  const Level *best = nullptr;
  for (const Level &level : levels) {
    for (const char *feature : level.features)
      if (feature && !features.lookup(feature))
        return best ? Result<HostTarget>(makeTarget(*best))
                    : Status(ExitCode::Unsupported, "this CPU lacks " + std::string(feature) +
                                                        "; the host target needs x86-64-v2");
    best = &level;
  }
  return makeTarget(*best);
}
