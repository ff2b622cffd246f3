//===- Describe.h - What is in an artifact, as JSON ---------------*- C++ -*-===//
//
// The parts of an artifact under the names that `inspect --section` takes:
//
//   file         path-free facts about the file: version, size, sections with offsets and checksums
//   plan         model, targets, provenance, generation settings
//   memory       bytes of every device, at the compiled maxima
//   programs     symbols, limits, inputs, outputs, number of steps
//   steps        every launch and copy of every program
//   kernels      entries, arguments, what they are
//   weights      final tensors with recipes       sources   checkpoint tensors they come from
//   states       program state                    constants
//   code         code images                      debug     the debug section's text
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/format/Artifact.h"

#include <span>
#include <string>
#include <vector>

namespace ingot {

/// In the order above.
const std::vector<std::string> &describedSections();

/// One JSON object with a member for each of `sections` (all but the debug text if empty). Usage
/// error for an unknown section.
Result<std::string> describeArtifact(const Artifact &artifact,
                                     std::span<const std::string> sections = {});

} // namespace ingot
