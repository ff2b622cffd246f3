//===- JsonText.h - JSON as text for a person --------------------*- C++ -*-===//
#pragma once

#include <string>

#include "runtime/weights/Json.h"

namespace ingot::commands {

/// Renders a value as indented text: members as "name  value" lines, lists of like objects as
/// tables, lists of numbers as [1, 2, 3]. A number whose name ends in "bytes" is written as a size
/// (1.5 MiB). What `inspect` prints is this rendering of what `inspect --json` prints, so the two
/// never differ.
std::string renderText(const JsonValue &value);

} // namespace ingot::commands
