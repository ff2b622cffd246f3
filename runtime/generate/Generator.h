//===- Generator.h - Continuing prompts ---------------------------*- C++ -*-===//
//
// The loop around a step program (Generation in plan.fbs). Each call of the program takes B rows of
// up to S new tokens, a block table per row, and gives the logits of each row's last new token.
//
//   * Prompts wait in order. A prompt is admitted when a row is free and the cache has the blocks
//   that
//     it can need at most.
//   * While rows have prompt tokens left to feed, a call feeds those rows, as many tokens of each
//   as
//     the compiled limits allow (long prompts take several calls); otherwise a call feeds every row
//     its last token.
//   * The next tokens are sampled by the host from the logits, or by the program itself where the
//     plan says so (Sampling in plan.fbs): then only token ids come back.
//   * A finished row leaves the batch at once and frees its blocks.
//
// All memory is allocated by create(), except for the results, which generate() allocates before
// its first step.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/exec/Model.h"
#include "runtime/generate/BlockAllocator.h"
#include "runtime/generate/Sampler.h"

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace ingot {

enum class StopReason { Length = 0, Eos, Context, Cancelled };
/// "length", "eos", "context", "cancelled"
const char *stopReasonName(StopReason reason);

struct GenerateSettings {
  uint64_t maxNewTokens = 128;
  SamplingOptions sampling;
  uint64_t seed = 0; // prompt i draws with seed + i
  std::vector<int64_t> eosIds;
  /// After each token (prompt, token, position among the new ones); true cancels everything.
  bool (*onToken)(void *user, size_t prompt, int32_t token, size_t position) = nullptr;
  void *user = nullptr;
};

struct GeneratedRow {
  std::vector<int32_t> tokens;
  StopReason stop = StopReason::Cancelled;
};

struct GenerateStats {
  uint64_t promptTokens = 0, newTokens = 0;
  uint64_t prefillCalls = 0, decodeCalls = 0;
  double prefillSeconds = 0, decodeSeconds = 0; // in the program; sampling is not counted
};

class Generator {
public:
  /// Usage error if the model's artifact describes no generation.
  static Result<std::unique_ptr<Generator>> create(Model &model);

  /// What the model was published with.
  GenerateSettings defaults() const;
  uint64_t maxContext() const { return maxContext_; }
  size_t maxBatch() const { return rows_.size(); }

  /// Continues every prompt. Usage error for an empty prompt, an unknown token, a prompt longer
  /// than the context, settings out of range. `results` and `stats` are set on success only.
  Status generate(std::span<const std::span<const int32_t>> prompts,
                  const GenerateSettings &settings, std::vector<GeneratedRow> &results,
                  GenerateStats *stats = nullptr);

private:
  struct Row {
    Row(size_t vocabulary, size_t context, size_t blocks) : seen(vocabulary, context) {
      this->blocks.reserve(blocks);
    }
    size_t prompt = 0; // index
    std::span<const int32_t> tokens;
    size_t fed = 0;        // tokens in the cache
    size_t feeding = 0;    // tokens of the current call
    int32_t last = -1;     // the newest token, not in the cache yet
    uint32_t reserved = 0; // blocks reserved and not taken
    std::vector<int32_t> blocks;
    TokenSet seen;
    bool prefilling() const { return fed < tokens.size(); }
  };
  struct Run; // one generate() call

  Generator() = default;
  Status checkRequest(std::span<const std::span<const int32_t>> prompts,
                      const GenerateSettings &settings) const;
  void admit(Run &run);
  bool fits(size_t rows, size_t tokens, size_t blocks) const;
  size_t blocksFor(size_t tokens) const { return (tokens + blockSize_ - 1) / blockSize_; }
  size_t tableWidth(std::span<Row *const> batch, size_t tokens) const;
  void chooseBatch(bool prefill, size_t &tokens);
  Status call(size_t tokens, const Run &run);
  Status sampleRows(Run &run);
  Result<int32_t> nextToken(size_t index, const Run &run);
  void fillSampling(const Run &run);
  void finish(Row *row, Run &run, StopReason reason);
  void releaseAll();

  Model *model_ = nullptr;
  const format::Generation *table_ = nullptr;
  /// The ports by which a program samples; `tokens` null: the host does.
  struct DeviceSampling {
    Port *tokens = nullptr;
    Port *temperature = nullptr, *topK = nullptr, *topP = nullptr, *minP = nullptr,
         *repetitionPenalty = nullptr, *seed = nullptr, *draw = nullptr, *slot = nullptr;
  };
  /// A program and its ports.
  struct StepProgram {
    Program *program = nullptr;
    Port *inputIds = nullptr, *numTokens = nullptr, *pastTokens = nullptr, *blockTable = nullptr,
         *logits = nullptr;
    DeviceSampling sampling;
  };
  Result<StepProgram> findProgram(std::string_view name) const;
  StepProgram step_;
  StepProgram decode_;                // for one token a row; no program: `step_` does that, too
  const StepProgram *called_ = &step_; // by the last call
  uint16_t rowsSymbol_ = 0, tokensSymbol_ = 0, blocksSymbol_ = 0;
  size_t maxContext_ = 0, blockSize_ = 1, vocabulary_ = 0;
  std::unique_ptr<BlockAllocator> allocator_;
  std::unique_ptr<Sampler> sampler_;
  std::vector<Row> rows_;     // one a row of the compiled batch
  std::vector<Row *> idle_;   // rows without a prompt
  std::vector<Row *> active_; // in order of admission
  std::vector<Row *> batch_;  // of the current call
};

} // namespace ingot
