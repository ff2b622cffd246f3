//===- Generation.h - Defaults of the generation loop -------------*- C++ -*-===//
#pragma once

#include "compiler/import/TransformerSpec.h"
#include "runtime/weights/Json.h"

#include <string>
#include <vector>

namespace ingot::import {

/// Reads generation_config.json (absent view: there is none) over what config.json says. Where a
/// key is in neither, the default is the reference's: greedy, temperature 1, top_k 50. A feature of
/// the reference's loop that ours does not have is a remark.
Status readGeneration(const JsonView &generationConfig, const JsonView &config,
                      TransformerSpec &spec, std::vector<std::string> &remarks);

} // namespace ingot::import
