//===- VerifyLaunches.h - `ingot verify FILE` --------------------*- C++ -*-===//
#pragma once

#include "compiler/verify/Launches.h"

namespace ingot::cli {

/// Verifies an ingot and writes the report; `json` is false once a document is on stdout.
Status verifyLaunches(const verify::IngotOptions &options, bool &json);
/// The same for a folder that a failure was written to.
Status rerunLaunches(const std::string &folder, bool &json);

} // namespace ingot::cli
