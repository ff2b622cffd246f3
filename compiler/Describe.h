//===- Describe.h - What a model folder holds, without compiling -*- C++ -*-===//
#pragma once

#include <string>

#include "runtime/support/Status.h"

namespace ingot {

/// A JSON object: family, architecture, sizes, positions, attention, parameters, programs with their
/// inputs and outputs, and the checkpoint if the folder has one. A folder that compile() would refuse
/// is refused with the same error.
Result<std::string> describeModel(const std::string &folder);

} // namespace ingot
