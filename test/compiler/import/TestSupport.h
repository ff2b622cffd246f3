//===- TestSupport.h - Specs from inline JSON ---------------------*- C++ -*-===//
#pragma once

#include "compiler/import/Family.h"

#include <gtest/gtest.h>

#include <string>

namespace ingot::import {

inline JsonDocument parse(const std::string &text) {
  Result<JsonDocument> document = parseJson(text, {.name = "config.json", .allowNonFinite = true});
  EXPECT_TRUE(document.ok()) << document.status().message();
  return std::move(*document);
}

inline Result<TransformerSpec> read(const std::string &text) {
  return readSpec(parse(text).root());
}

/// The spec of a config that must be good.
inline TransformerSpec good(const std::string &text) {
  Result<TransformerSpec> spec = read(text);
  EXPECT_TRUE(spec.ok()) << spec.status().message();
  return spec.ok() ? *spec : TransformerSpec();
}

/// The config is refused with `code`, and the message holds each of `parts`.
inline void expectRefused(const std::string &text, ExitCode code,
                          const std::vector<std::string> &parts) {
  Result<TransformerSpec> spec = read(text);
  ASSERT_FALSE(spec.ok()) << text;
  EXPECT_EQ(spec.status().code(), code) << text << "\n" << spec.status().message();
  for (const std::string &part : parts)
    EXPECT_NE(spec.status().message().find(part), std::string::npos)
        << "expected '" << part << "' in: " << spec.status().message();
}

inline void expectMalformed(const std::string &text, const std::vector<std::string> &parts) {
  expectRefused(text, ExitCode::MalformedInput, parts);
}
inline void expectUnsupported(const std::string &text, const std::vector<std::string> &parts) {
  expectRefused(text, ExitCode::Unsupported, parts);
}

} // namespace ingot::import
