//===- ModelFolder.h - The weights of a model folder -------------*- C++ -*-===//
#pragma once

#include <optional>
#include <string>

#include "runtime/weights/Checkpoint.h"

namespace ingot {

/// Opens the folder's checkpoint. Where it has none: an error if `required`, else nothing.
Result<std::optional<Checkpoint>> openCheckpoint(const std::string &folder, bool required);

} // namespace ingot
