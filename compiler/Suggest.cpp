//===- Suggest.cpp - "did you mean" for names that a user types ------------===//

#include "compiler/Suggest.h"

#include <algorithm>
#include <numeric>

namespace ingot {

/// Insertions, deletions and replacements that turn `a` into `b`.
static size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string didYouMean(std::string_view typed, const std::vector<std::string_view> &candidates) {
  // A user may paste anything: longer than every name means none is near.
  if (typed.empty() || typed.size() > 64)
    return "";
  std::string_view best;
  size_t bestDistance = 1 + std::max<size_t>(2, typed.size() / 3);
  for (std::string_view candidate : candidates) {
    size_t distance = editDistance(typed, candidate);
    if (candidate.starts_with(typed))
      distance = std::min<size_t>(distance, 1);
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  }
  return best.empty() ? "" : "; did you mean '" + std::string(best) + "'?";
}

std::string listNames(const std::vector<std::string_view> &names) {
  std::string text;
  for (std::string_view name : names)
    text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

} // namespace ingot
