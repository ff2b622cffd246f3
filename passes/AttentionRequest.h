//===- AttentionRequest.h - Which back end a person asks for -----*- C++ -*-===//
//
//   request ::= clause (";" clause)*         later clauses win
//   clause  ::= backend [":" range ("," range)*]
//   backend ::= "auto" | "flash" | "efficient" | "math"
//   range   ::= layer ["-" layer]            inclusive, counted from 0
//
//===----------------------------------------------------------------------===//
#pragma once

#include "dialects/Transformer/TransformerOps.h"
#include "runtime/support/Status.h"

#include <optional>
#include <string>

namespace ingot {

class AttentionRequest {
public:
  /// A usage error names what is wrong in `text`.
  static Result<AttentionRequest> parse(llvm::StringRef text);

  /// The back end that is forced on `layer`; nothing for auto.
  std::optional<transformer::AttentionBackend> forLayer(int64_t layer) const;
  /// The clause that decides on `layer`, "math:0,3-5".
  llvm::StringRef clauseFor(int64_t layer) const;
  /// The highest layer that a clause names, or -1.
  int64_t getLastLayer() const;

private:
  struct Clause {
    std::string text;
    std::optional<transformer::AttentionBackend> backend;
    /// Inclusive; none for all layers.
    llvm::SmallVector<std::pair<int64_t, int64_t>> ranges;
  };
  const Clause *find(int64_t layer) const;

  llvm::SmallVector<Clause> clauses;
};

} // namespace ingot
