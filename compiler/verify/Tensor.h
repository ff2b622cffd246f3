//===- Tensor.h - Values on the host, and which of them count ----*- C++ -*-===//
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/weights/ElementType.h"

namespace ingot::verify {

/// A named tensor, row-major.
struct Tensor {
  std::string name;
  ElementType type = ElementType::F32;
  std::vector<int64_t> shape;
  std::vector<std::byte> data;
};

/// What a dimension runs over.
enum class Axis { Row, Token, Other };

/// Which tokens of a padded batch [B, S] are tokens. What a program computes at the others, and for
/// rows without any, is undefined and not compared.
struct TokenMask {
  int64_t rows = 0, tokens = 0;
  std::vector<uint8_t> valid; // [rows * tokens]

  bool isValid(int64_t row, int64_t token) const { return valid[row * tokens + token] != 0; }
  bool hasTokens(int64_t row) const {
    for (int64_t token = 0; token < tokens; ++token)
      if (isValid(row, token))
        return true;
    return false;
  }
};

/// The inputs of one run of a program.
struct Call {
  std::vector<Tensor> inputs;
  TokenMask mask;
};

/// Runs that follow each other over the same program state, from empty state.
struct Case {
  std::string name;
  std::vector<Call> calls;
};

} // namespace ingot::verify
