//===- JsonText.h - JSON as text for a person --------------------*- C++ -*-===//
#pragma once

#include "runtime/cli/JsonText.h"

namespace ingot::cli {
using commands::renderText;
} // namespace ingot::cli
