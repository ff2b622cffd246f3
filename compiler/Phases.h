//===- Phases.h - The named steps of a compilation ---------------*- C++ -*-===//
//
// Every compilation runs the same phases in the same order. A phase is the unit of `--stop-after`,
// `--dump-phases`, timing and memory accounting, and a verifier guards what it leaves behind.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <array>
#include <string_view>

#include "runtime/support/Status.h"

namespace ingot {

enum class Phase { Import, Fuse, Unpad, Lower, Plan, Codegen };

struct PhaseInfo {
  Phase phase;
  std::string_view name;
  /// What holds afterwards, for help and documentation.
  std::string_view leaves;
};

/// All phases in the order in which they run.
inline constexpr std::array<PhaseInfo, 6> phaseTable{{
    {Phase::Import, "import", "primitive transformer ops on a padded batch"},
    {Phase::Fuse, "fuse", "fused transformer ops, back ends of attention chosen, each weight named once"},
    {Phase::Unpad, "unpad", "packed tokens inside, padded batches at the ports"},
    {Phase::Lower, "lower", "exec programs that launch deduplicated kernels"},
    {Phase::Plan, "plan", "every buffer placed, every launch resolved"},
    {Phase::Codegen, "codegen", "code images and the artifact"},
}};

inline std::string_view phaseName(Phase phase) {
  return phaseTable[static_cast<size_t>(phase)].name;
}

/// Finds a phase by its name; otherwise a usage error that lists the names and the nearest one.
Result<Phase> parsePhase(std::string_view name);

} // namespace ingot
