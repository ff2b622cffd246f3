//===- SentenceTransformers.h - modules.json and what it names ----*- C++ -*-===//
//
// A sentence-transformers folder adds to a model a list of modules: Transformer, then Pooling, then
// perhaps Normalize. They become the output sentence_embedding.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/import/TransformerSpec.h"
#include "runtime/support/Status.h"

#include <string>

namespace ingot::import {

/// Sets `spec.sentence` where the folder has a modules.json. Unsupported where a module or a
/// pooling mode is not mean or first token, then L2 normalization.
Status readSentenceTransformers(const std::string &folder, TransformerSpec &spec);

} // namespace ingot::import
