//===- Suggest.h - "did you mean" for names that a user types ----*- C++ -*-===//
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ingot {

/// The nearest of `candidates` as "; did you mean 'lower'?", or "" if none is close.
std::string didYouMean(std::string_view typed, const std::vector<std::string_view> &candidates);

/// "import, fuse, lower".
std::string listNames(const std::vector<std::string_view> &names);

} // namespace ingot
