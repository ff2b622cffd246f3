//===- Sampler.h - From logits to the next token ------------------*- C++ -*-===//
//
// The rules of transformers' logits processors, in the order in which generate() applies them:
//
//   1. repetition penalty r over every distinct token of prompt and output:
//        score < 0 ? score * r : score / r
//   and, when sampling:
//   2. temperature T: score / T
//   3. top-k: drop scores below the k-th largest (ties with it stay)
//   4. top-p: in descending order, keep tokens while the probability before them is < p
//   5. min-p: drop probabilities below min_p times the largest
//   6. softmax over what is left, and one draw
//
// Greedy takes the largest score after 1, the lowest id among equals. At least one token always
// stays. Probabilities are added up as integers (SamplingRule.h), so that programs that sample on
// their device choose the same tokens.
//
// Random numbers. Draw n of a row comes from a counter, not from a state: the row's seed and n go
// through two rounds of a 64-bit finalizer (Random.h), giving a uniform in [0, 1) with 53 bits. The
// draw walks the remaining tokens by increasing id until the sum of probabilities exceeds it. So a
// row depends on its seed and its own logits only.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/support/Status.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ingot {

struct SamplingOptions {
  bool sample = false;
  float temperature = 1;       // >= 0; 0 is greedy
  uint32_t topK = 0;           // 0: off
  float topP = 1;              // (0, 1]; 1: off
  float minP = 0;              // [0, 1]; 0: off
  float repetitionPenalty = 1; // > 0; 1: off
};

/// Usage error naming the option that is out of its range.
Status checkSamplingOptions(const SamplingOptions &options);

/// The distinct tokens of a row, in a fixed amount of memory.
class TokenSet {
public:
  TokenSet(size_t vocabulary, size_t mostTokens);
  void clear();
  void insert(int32_t token);
  std::span<const int32_t> tokens() const { return tokens_; }

private:
  std::vector<uint64_t> bits_;
  std::vector<int32_t> tokens_;
};

/// Picks tokens; its buffers are made once for a vocabulary.
class Sampler {
public:
  explicit Sampler(size_t vocabulary);

  /// The next token. `seed` is the row's, `draw` counts its tokens. `seen` is read only with a
  /// repetition penalty. MalformedInput when a logit is NaN or none is finite: the weights are
  /// damaged or overflow.
  Result<int32_t> pick(std::span<const float> logits, const SamplingOptions &options,
                       const TokenSet &seen, uint64_t seed, uint64_t draw);

private:
  struct Candidate {
    float score;
    int32_t token;
  };

  void keepTopK(uint32_t k);
  void keepTopP(float p, float top);
  void keepMinP(float minP, float top);

  std::vector<float> scores_;
  std::vector<float> order_;
  std::vector<Candidate> candidates_; // by increasing token
};

} // namespace ingot
