//===- Target.h - What a compilation is for ----------------------*- C++ -*-===//
//
// A target is a kind and an architecture, as stored in the artifact: ("host", "x86-64-v4"). The
// compiler needs no device: everything it has to know about one follows from these two names.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/support/Status.h"
#include "runtime/weights/ElementType.h"

namespace ingot {

struct Target {
  std::string kind;
  std::string arch;
};

/// Reads one target: "host" (the micro-architecture level of this machine), "x86-64-v2",
/// "x86-64-v3" or "x86-64-v4", or a CUDA architecture from "sm_80" to "sm_100a". Another GPU
/// architecture is not supported by this version (exit code 4); anything else is a usage error with
/// the nearest name.
Result<Target> parseTarget(std::string_view text);

/// Reads `--target`: one or several, separated by commas, of one kind; the first is the one that
/// layouts of weights and predictions are for.
Result<std::vector<Target>> parseTargets(std::string_view text);

/// Reads `--dtype` for a target: what weights, activations and cache are stored in. Arithmetic is
/// in f32 whatever the type, as the decompositions of the ops say.
Status checkDtype(std::string_view dtype, const Target &target);

/// The element type of a name that checkDtype accepts.
ElementType toElementType(std::string_view dtype);

} // namespace ingot
