//===- TransformerSpec.h - What a transformer model is made of ----*- C++ -*-===//
//
// Model families differ in a small number of slots. A family adapter (families/) fills them from
// config.json; the builder (Builder.h) emits the same module for the same spec, whatever the
// family. A new family is a new adapter; a new mechanism is a new value of a slot.
//
// Nothing here depends on MLIR. Sizes are checked by the adapters' Config (Config.h): positive,
// capped, consistent; products of any three of them fit in 64 bits.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ingot::import {

/// What is computed behind the layers; from architectures[0].
enum class Task { Base, CausalLM, MaskedLM, SequenceClassification };

/// As in the transformer dialect, one to one.
enum class Activation {
  Linear,
  Gelu,
  GeluTanh,
  Gelu10,
  QuickGelu,
  Silu,
  Relu,
  Relu2,
  Relu6,
  LeakyRelu,
  Tanh,
  Sigmoid,
  Mish,
  Laplace,
};

enum class NormKind { RmsNorm, LayerNorm };
struct NormSpec {
  NormKind kind = NormKind::LayerNorm;
  double eps = 1e-12;
};

/// Rotary positions: half pairing, all of the head dimension. See Rope.h.
struct RopeSpec {
  /// Frequencies of a row depend on its length ("dynamic"); else `invFreq` is all there is.
  bool dynamic = false;
  double theta = 10000;
  double factor = 1;
  /// Where dynamic scaling begins.
  int64_t maxPosition = 0;
  /// [D/2]
  std::vector<float> invFreq;
  /// Multiplies cos and sin.
  double attentionFactor = 1;
};

/// Learned positions: `embedding(position + offset)`.
struct LearnedPositionSpec {
  int64_t rows = 0;
  int64_t offset = 0;
  /// RoBERTa: a token with this id takes the table's row of the same number, and is not counted.
  std::optional<int64_t> padId;
};

struct EmbeddingSpec {
  int64_t vocab = 0;
  /// Rows of the token-type table; 0: the model has no token types.
  int64_t types = 0;
  /// Exactly one of the two.
  std::optional<LearnedPositionSpec> learned;
  std::optional<RopeSpec> rope;
  /// After the sum of the tables.
  std::optional<NormSpec> norm;
};

struct AttentionSpec {
  int64_t heads = 0;
  int64_t kvHeads = 0;
  int64_t headDim = 0;
  double scale = 1;
  bool causal = false;
  bool qkvBias = false;
  bool outputBias = false;
  /// Per head over D, before rope.
  std::optional<NormSpec> qkNorm;
  /// Per layer: keys visible to a query, itself included; none: all.
  std::vector<std::optional<int64_t>> windows;
};

/// PreNorm: x += f(N x), with a last norm behind the layers. PostNorm: x = N(x + f x).
enum class Residual { PreNorm, PostNorm };

/// Gated: down(act(gate x) * up x). Plain: down(act(up x)).
enum class MlpKind { Gated, Plain };
struct MlpSpec {
  MlpKind kind = MlpKind::Plain;
  int64_t intermediate = 0;
  Activation activation = Activation::Gelu;
  bool bias = false;
};

/// One step of a head: a linear layer (the last linear of a language model may take the token
/// embedding's weight), an activation, or a norm.
struct HeadStep {
  enum Kind { Linear, Act, Norm } kind = Linear;
  /// Module path in a model with that head, "bert.pooler.dense" without its base prefix.
  std::string name = {};
  /// Belongs to the base model, so its prefix may be absent or present.
  bool inBase = false;
  int64_t outFeatures = 0;
  bool bias = true;
  /// The weight is the token embedding's.
  bool tied = false;
  /// Checkpoint name of the bias where it is not NAME.bias; NAME.bias is then an alias.
  std::string biasName = {};
  Activation activation = Activation::Gelu;
  NormSpec norm = {};

  static HeadStep linear(std::string name, int64_t outFeatures, bool bias = true) {
    HeadStep step;
    step.name = std::move(name), step.outFeatures = outFeatures, step.bias = bias;
    return step;
  }
  static HeadStep act(Activation activation) {
    HeadStep step;
    step.kind = Act, step.activation = activation;
    return step;
  }
  static HeadStep layerNorm(std::string name, NormSpec norm) {
    HeadStep step;
    step.kind = Norm, step.name = std::move(name), step.norm = norm;
    return step;
  }
};

/// A program output: the steps applied to every token, or to each row's first token.
struct HeadSpec {
  std::string output;
  bool firstToken = false;
  std::vector<HeadStep> steps;
  /// Left out, with a remark, where the checkpoint has no weights for it.
  bool optional = false;
};

enum class Pooling { Mean, FirstToken };
/// The output sentence_embedding [B, E] of a sentence-transformers folder.
struct SentenceSpec {
  Pooling pooling = Pooling::Mean;
  bool normalize = false;
};

/// Module paths relative to the base model; "{i}" does not occur: per-layer names are relative to
/// LAYERS.i. Empty where the family has no such module.
struct ModuleNames {
  /// Name of the base model inside a model with a head; tensors are accepted with it and without.
  std::string base;
  std::string tokens, positions, types, embeddingNorm;
  std::string layers;
  std::string attentionNorm, query, key, value, output, queryNorm, keyNorm;
  std::string mlpNorm, gate, up, down;
  std::string finalNorm;
};

/// Tensors that may be in a checkpoint of this family though this task has no use for them.
struct UnusedHead {
  std::string prefix; // "cls.", "pooler."; tried with and without the base prefix
};

/// Defaults of the generation loop; -1: no such token.
struct GenerationSpec {
  std::vector<int64_t> eosIds;
  int64_t bosId = -1;
  int64_t padId = -1;
  bool doSample = false;
  double temperature = 1.0;
  int64_t topK = 50;
  double topP = 1.0;
  double minP = 0.0;
  double repetitionPenalty = 1.0;
};

struct TransformerSpec {
  std::string modelType;
  std::string architecture;
  Task task = Task::Base;

  int64_t hidden = 0;
  int64_t layers = 0;
  /// What the model was made for; the default of the compiled context.
  int64_t maxPositions = 0;
  /// More than `maxPositions` cannot be computed (a table ends there).
  bool positionsAreHardLimit = false;
  /// Standard deviation of random weights.
  double initStd = 0.02;

  EmbeddingSpec embedding;
  AttentionSpec attention;
  MlpSpec mlp;
  Residual residual = Residual::PreNorm;
  NormSpec norm;

  /// The output last_hidden_state; heads follow in order.
  bool hiddenStateOutput = false;
  /// The outputs attentions.N, behind those of the heads.
  bool attentionsOutput = false;
  std::vector<HeadSpec> heads;
  std::optional<SentenceSpec> sentence;

  ModuleNames names;
  std::vector<UnusedHead> knownHeads;
  GenerationSpec generation;
};

} // namespace ingot::import
