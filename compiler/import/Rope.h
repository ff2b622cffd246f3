//===- Rope.h - Rotary frequencies from a config ------------------*- C++ -*-===//
//
// The rules default, linear, dynamic, llama3 and yarn, in float32 and in the reference's order of
// operations, so that tables agree to the last bit or the one before. A config says them in either
// generation of keys: rope_theta and rope_scaling {type | rope_type, ...}, or rope_parameters
// {rope_type, rope_theta, ...}.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/import/Config.h"

namespace ingot::import {

/// Reads the rotary part of a config for heads of `headDim`, the whole of which rotates.
RopeSpec readRope(Config &config, int64_t headDim, int64_t maxPositions,
                  double defaultTheta = 10000);

} // namespace ingot::import
