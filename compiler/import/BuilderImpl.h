//===- BuilderImpl.h - The parts of the builder -------------------*- C++ -*-===//
//
// One ProgramBuilder emits one program; its methods are in a file a part of the model: embedding,
// attention, MLP, heads, programs.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/import/Builder.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ingot::import {

/// A program's arguments and results while it is being built.
struct Port {
  std::string name;
  mlir::Type type;
  std::vector<std::string> sizes = {};
  std::optional<std::pair<int64_t, int64_t>> range = {};
  std::optional<int64_t> fill = {};
  bool isState = false;
};

/// What the layers of one program share.
struct LayerContext {
  mlir::Value cos, sin;       // [B, S, D/2], with rope
  mlir::Value queryPositions; // [B, S]
  mlir::Value keyPositions;   // [B, C]
  mlir::Value keyValid;       // [B, C] i1, or null
  // The step program's:
  mlir::Value blockTable, past, numTokens;
  /// In: the states before; out: after. Two a layer, K then V.
  std::vector<mlir::Value> states;
  /// Out: each layer's probabilities [B, Hq, S, C].
  std::vector<mlir::Value> attentions;
};

class ProgramBuilder {
public:
  ProgramBuilder(const TransformerSpec &spec, const Maxima &maxima, SourceTable &sources,
                 mlir::ModuleOp module, mlir::Type elementType);

  void buildForward();
  void buildStep();

private:
  // BuilderPrograms.cpp
  void begin(llvm::StringRef name, std::vector<Port> inputs);
  void finish(const std::vector<Port> &outputs, const std::vector<mlir::Value> &values);
  Port tokenPort(std::string name, int64_t max, std::optional<int64_t> fill);
  mlir::Value input(llvm::StringRef name);

  // Builder.cpp: what all parts use.
  /// The location of a module of the base model; the ops that follow carry it.
  void at(const std::string &module);
  void atHead(const std::string &module);
  mlir::Value weight(const std::string &source, llvm::ArrayRef<int64_t> shape);
  mlir::Value baseWeight(const std::string &module, const std::string &parameter,
                         std::vector<int64_t> shape, Init init, bool isLayerNorm = false);
  mlir::Value linear(mlir::Value x, const std::string &module, int64_t in, int64_t out, bool bias);
  mlir::Value norm(mlir::Value x, const std::string &module, int64_t width, const NormSpec &spec);
  mlir::Value activation(mlir::Value x, Activation kind);
  /// `scalar` at the shape of `like`.
  mlir::Value splatLike(mlir::TypedAttr scalar, mlir::Value like);
  mlir::Value add(mlir::Value a, mlir::Value b);
  /// A program's float result: callers get f32 whatever the model computes in.
  mlir::Value asOutput(mlir::Value x);
  std::string layerPath(int64_t layer, const std::string &module) const;

  // BuilderEmbedding.cpp
  mlir::Value embedTokens(mlir::Value ids, mlir::Value positions, mlir::Value types);
  mlir::Value learnedPositions(mlir::Value ids, mlir::Value valid);
  /// Sets cos and sin. `lengthPositions` decides on a row's length where that matters.
  void ropeTables(LayerContext &context, mlir::Value positions, mlir::Value lengthPositions);

  // BuilderAttention.cpp
  mlir::Value attention(mlir::Value x, int64_t layer, LayerContext &context);
  mlir::Value scaled(mlir::Value x, float factor);
  mlir::Value maskFor(int64_t layer, const LayerContext &context);

  // BuilderLayers.cpp
  mlir::Value mlp(mlir::Value x, int64_t layer);
  mlir::Value layers(mlir::Value x, LayerContext &context);
  mlir::Value finalNorm(mlir::Value x);

  // BuilderHead.cpp
  mlir::Value head(mlir::Value x, const HeadSpec &head);
  mlir::Value sentenceEmbedding(mlir::Value hidden, mlir::Value valid, mlir::Value first);

  const TransformerSpec &spec;
  const Maxima &maxima;
  SourceTable &sources;
  mlir::ModuleOp module;
  mlir::Type elementType; // of weights, activations and cache
  mlir::ImplicitLocOpBuilder b;
  mlir::func::FuncOp function;
  std::vector<Port> inputs;
  /// One mask a window, 0 for none.
  std::map<int64_t, mlir::Value> masks;
};

} // namespace ingot::import
