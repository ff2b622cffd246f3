//===- Sampler.cpp ----------------------------------------------*- C++ -*-===//
#include "runtime/generate/Sampler.h"

#include "runtime/generate/Random.h"
#include "runtime/generate/SamplingRule.h"
#include "runtime/support/Text.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace ingot {

Status checkSamplingOptions(const SamplingOptions &options) {
  // Written so that NaN fails.
  auto bad = [](const char *name, const char *range, float value) {
    return Status(ExitCode::Usage, text(name, ": expected ", range, ", got ", value));
  };
  if (!(options.temperature >= 0 && std::isfinite(options.temperature)))
    return bad("temperature", "a number >= 0", options.temperature);
  if (!(options.topP > 0 && options.topP <= 1))
    return bad("top_p", "a number in (0, 1]", options.topP);
  if (!(options.minP >= 0 && options.minP <= 1))
    return bad("min_p", "a number in [0, 1]", options.minP);
  if (!(options.repetitionPenalty > 0 && std::isfinite(options.repetitionPenalty)))
    return bad("repetition_penalty", "a number > 0", options.repetitionPenalty);
  return {};
}

TokenSet::TokenSet(size_t vocabulary, size_t mostTokens) : bits_((vocabulary + 63) / 64) {
  tokens_.reserve(std::min(vocabulary, mostTokens));
}

void TokenSet::clear() {
  for (int32_t token : tokens_)
    bits_[size_t(token) / 64] = 0;
  tokens_.clear();
}

void TokenSet::insert(int32_t token) {
  uint64_t &word = bits_[size_t(token) / 64], bit = uint64_t(1) << (token % 64);
  if (word & bit)
    return;
  word |= bit;
  tokens_.push_back(token);
}

Sampler::Sampler(size_t vocabulary) : scores_(vocabulary), order_(vocabulary) {
  candidates_.reserve(vocabulary);
}

/// The largest value's index, the first among equals; nothing if there is a NaN or nothing finite.
static std::optional<int32_t> argmax(std::span<const float> values) {
  float best = -std::numeric_limits<float>::infinity();
  size_t at = values.size();
  bool nan = false;
  for (size_t i = 0; i < values.size(); ++i) {
    nan |= values[i] != values[i];
    if (values[i] > best) {
      best = values[i];
      at = i;
    }
  }
  if (nan || at == values.size() || !std::isfinite(best))
    return std::nullopt;
  return int32_t(at);
}

Result<int32_t> Sampler::pick(std::span<const float> logits, const SamplingOptions &options,
                              const TokenSet &seen, uint64_t seed, uint64_t draw) {
  bool greedy = !options.sample || options.temperature == 0;
  std::span<const float> scores = logits;
  if (options.repetitionPenalty != 1) {
    std::copy(logits.begin(), logits.end(), scores_.begin());
    for (int32_t token : seen.tokens()) {
      float &score = scores_[size_t(token)];
      score = score < 0 ? score * options.repetitionPenalty : score / options.repetitionPenalty;
    }
    scores = scores_;
  }
  std::optional<int32_t> best = argmax(scores);
  if (!best)
    return Status(ExitCode::MalformedInput,
                  "the model's logits are not finite numbers: its weights are damaged or overflow");
  if (greedy)
    return *best;

  candidates_.clear();
  for (size_t i = 0; i < scores.size(); ++i)
    candidates_.push_back({scores[i] / options.temperature, int32_t(i)});
  float top = candidates_[size_t(*best)].score;
  if (!std::isfinite(top))
    return *best; // a temperature so low that the scores overflow is greedy
  if (options.topK != 0 && options.topK < candidates_.size())
    keepTopK(options.topK);
  if (options.topP < 1)
    keepTopP(options.topP, top);
  if (options.minP > 0)
    keepMinP(options.minP, top);

  uint64_t total = 0;
  for (const Candidate &candidate : candidates_)
    total += samplingWeight(candidate.score - top);
  uint64_t threshold = uniformBelow(seed, draw, total), sum = 0;
  for (const Candidate &candidate : candidates_) {
    sum += samplingWeight(candidate.score - top);
    if (sum > threshold)
      return candidate.token;
  }
  return *best;
}

void Sampler::keepTopK(uint32_t k) {
  for (size_t i = 0; i < candidates_.size(); ++i)
    order_[i] = candidates_[i].score;
  auto kth = order_.begin() + (k - 1);
  std::nth_element(order_.begin(), kth, order_.begin() + ptrdiff_t(candidates_.size()),
                   std::greater<float>());
  float least = *kth;
  std::erase_if(candidates_, [least](const Candidate &c) { return c.score < least; });
}

void Sampler::keepTopP(float p, float top) {
  uint64_t total = 0;
  for (const Candidate &candidate : candidates_)
    total += samplingWeight(candidate.score - top);
  uint64_t target = shareOf(p, total);
  // The nucleus is small as a rule: pop it from a heap instead of sorting the vocabulary. Among
  // equal scores the lower id comes first.
  auto less = [](const Candidate &a, const Candidate &b) {
    return a.score != b.score ? a.score < b.score : a.token > b.token;
  };
  std::make_heap(candidates_.begin(), candidates_.end(), less);
  auto heapEnd = candidates_.end();
  uint64_t before = 0;
  while (heapEnd != candidates_.begin() && before < target) {
    std::pop_heap(candidates_.begin(), heapEnd, less);
    --heapEnd;
    before += samplingWeight(heapEnd->score - top);
  }
  candidates_.erase(candidates_.begin(), heapEnd);
  std::sort(candidates_.begin(), candidates_.end(),
            [](const Candidate &a, const Candidate &b) { return a.token < b.token; });
}

void Sampler::keepMinP(float minP, float top) {
  uint64_t least = shareOf(minP, kFullWeight);
  std::erase_if(candidates_,
                [=](const Candidate &c) { return samplingWeight(c.score - top) < least; });
}

} // namespace ingot
