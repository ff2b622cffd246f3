//===- AttentionRequest.cpp - Which back end a person asks for ------------===//
#include "passes/AttentionRequest.h"

using namespace llvm;

namespace ingot {

static Status usage(StringRef clause, const Twine &what) {
  return Status(ExitCode::Usage,
                ("--attention " + clause + ": " + what +
                 "; expected auto, flash, efficient or math, and behind a colon the layers if not "
                 "all are meant, as in math:0,3-5")
                    .str());
}

Result<AttentionRequest> AttentionRequest::parse(StringRef text) {
  AttentionRequest request;
  SmallVector<StringRef> texts;
  text.split(texts, ';', /*MaxSplit=*/-1, /*KeepEmpty=*/!text.empty());
  for (StringRef part : texts) {
    Clause clause;
    clause.text = part.str();
    auto [name, layers] = part.split(':');
    clause.backend = transformer::symbolizeAttentionBackend(name);
    if (!clause.backend && name != "auto")
      return usage(part, "unknown back end '" + name + "'");
    if (part.contains(':')) {
      SmallVector<StringRef> ranges;
      layers.split(ranges, ',');
      for (StringRef range : ranges) {
        auto [first, last] = range.split('-');
        // No model has more layers than this, so that no sum of them overflows.
        constexpr int64_t most = 1 << 20;
        int64_t begin = 0, end = 0;
        if (first.getAsInteger(10, begin) || begin < 0 || begin > most)
          return usage(part, "'" + range + "' is no layer");
        end = begin;
        if (range.contains('-') && (last.getAsInteger(10, end) || end < begin || end > most))
          return usage(part, "'" + range + "' is no range of layers");
        clause.ranges.push_back({begin, end});
      }
    }
    request.clauses.push_back(std::move(clause));
  }
  return request;
}

const AttentionRequest::Clause *AttentionRequest::find(int64_t layer) const {
  for (const Clause &clause : reverse(clauses))
    if (clause.ranges.empty() || any_of(clause.ranges, [&](std::pair<int64_t, int64_t> range) {
          return range.first <= layer && layer <= range.second;
        }))
      return &clause;
  return nullptr;
}

std::optional<transformer::AttentionBackend> AttentionRequest::forLayer(int64_t layer) const {
  const Clause *clause = find(layer);
  return clause ? clause->backend : std::nullopt;
}

StringRef AttentionRequest::clauseFor(int64_t layer) const {
  const Clause *clause = find(layer);
  return clause ? StringRef(clause->text) : StringRef("auto");
}

int64_t AttentionRequest::getLastLayer() const {
  int64_t last = -1;
  for (const Clause &clause : clauses)
    for (auto [begin, end] : clause.ranges)
      last = std::max(last, end);
  return last;
}

} // namespace ingot
