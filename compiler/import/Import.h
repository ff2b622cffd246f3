//===- Import.h - A model folder becomes a transformer module -----*- C++ -*-===//
//
// config.json is dispatched on its model_type to a family adapter (families/), which fills a
// TransformerSpec; one builder emits the module from the spec. Weights are named, never read,
// except that a tied head which is stored as well is compared with the embedding.
//
// The module holds, besides its programs (see Builder.h):
//   transformer.model = {type = "llama", architecture = "LlamaForCausalLM"}
//   transformer.sizes, transformer.limits, transformer.sources
//   transformer.generation = {block_size, num_blocks, max_context, vocab_size : i64,
//     eos_ids : array<i64>, bos_id, pad_id : i64 (-1: none), do_sample : bool,
//     temperature, top_p, min_p, repetition_penalty : f64, top_k : i64}   (models with a step
//     program)
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/import/TransformerSpec.h"
#include "runtime/support/Status.h"
#include "runtime/weights/Checkpoint.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ingot::import {

struct ImportOptions {
  /// Folder with config.json.
  std::string model = {};
  /// Compiled maxima; 0 takes the default: 8 rows; min(positions of the model, 2048) tokens of
  /// context; max(2048, context) tokens a call, padding included.
  int64_t maxBatch = 0;
  int64_t maxContext = 0;
  int64_t maxTokens = 0;
  /// Tokens of a block of the KV cache.
  int64_t blockSize = 16;
  /// The probabilities of each layer's attention as outputs attentions.0, attentions.1, … of the
  /// program forward, [B, Hq, S, S].
  bool attentions = false;
  /// Type of weights, activations and cache: f32, f16 or bf16. Float outputs are f32 in any case.
  ElementType dtype = ElementType::F32;
  /// The weights, if there are any: decides on what a checkpoint may leave out (a pooler that
  /// nobody stored) and is checked against the sources (missing, misshapen, surplus:
  /// MalformedInput). Null where the ingot is bound to weights at load.
  const Checkpoint *checkpoint = nullptr;
};

struct ImportedModel {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  TransformerSpec spec;
  /// What a person should know, one a line: tensors left aside and why, outputs left out.
  std::vector<std::string> remarks;
};

/// Imports the folder. Unsupported (4) names what is supported; MalformedInput (3) names the file,
/// the key path or tensor, expected and got. Loads the dialects it needs into `context`.
Result<ImportedModel> importModel(mlir::MLIRContext &context, const ImportOptions &options);

} // namespace ingot::import
