//===- ValidateGeneration.cpp - Rule V10 ------------------------*- C++ -*-===//
#include "runtime/format/ValidateProgram.h"

#include "runtime/format/DType.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"

#include <algorithm>
#include <cmath>

namespace ingot::validation {

namespace {

/// The index of the symbol that dimension `dim` of the buffer is, or nothing.
std::optional<uint16_t> plainSymbol(const format::Buffer &buffer, unsigned dim) {
  SizeExpr expr = sizeExpr(*buffer.shape()->Get(dim));
  if (expr.factor == 1 && expr.divisor == 1 && expr.symbols.size() == 1)
    return expr.symbols[0];
  return std::nullopt;
}

class GenerationChecker {
public:
  explicit GenerationChecker(const format::Plan &plan)
      : plan_(plan), generation_(*plan.generation()) {}

  Status check() {
    INGOT_TRY(checkProgram(*generation_.program()));
    if (generation_.decode_program()) {
      const uint16_t step[] = {rows_, tokens_, blocks_};
      SymbolBounds bounds = symbolBounds(*program_);
      INGOT_TRY(checkProgram(*generation_.decode_program()));
      SymbolBounds decode = symbolBounds(*program_);
      if (rows_ != step[0] || tokens_ != step[1] || blocks_ != step[2] ||
          decode.ranges[rows_].max != bounds.ranges[rows_].max ||
          decode.ranges[blocks_].max != bounds.ranges[blocks_].max)
        return expected(text(where_, ": decode_program"),
                        "the rows and blocks of the step program, in its order",
                        quoted(generation_.decode_program()->string_view()));
    }
    return checkSampling();
  }

private:
  Status findPort(const char *role, const flatbuffers::String *name, bool output,
                  const format::Port *&port, std::optional<format::DType> type = {}) const {
    const auto *ports = output ? program_->outputs() : program_->inputs();
    for (unsigned i = 0; i < count(ports); ++i)
      if (ports->Get(i)->name()->string_view() == name->string_view())
        port = ports->Get(i);
    if (!port)
      return expected(text(where_, ": ", role),
                      text("the name of an ", output ? "output" : "input", " of program ",
                           quoted(program_->name()->string_view())),
                      quoted(name->string_view()));
    const format::Buffer &buffer = bufferOf(*port);
    format::DType dtype = type ? *type : output ? format::DType::F32 : format::DType::I32;
    if (buffer.dtype() != dtype)
      return expected(text(where_, ": ", role), dtypeName(dtype), dtypeName(buffer.dtype()));
    return {};
  }

  Status checkProgram(const flatbuffers::String &name);

  const format::Buffer &bufferOf(const format::Port &port) const {
    return *program_->buffers()->Get(port.buffer());
  }

  Status expectShape(const char *role, const format::Port &port, std::optional<uint16_t> first,
                     std::optional<uint16_t> second, unsigned rank) const {
    const format::Buffer &buffer = bufferOf(port);
    bool ok = count(buffer.shape()) == rank;
    if (ok && first)
      ok = plainSymbol(buffer, 0) == first;
    if (ok && second)
      ok = plainSymbol(buffer, 1) == second;
    return ok ? Status()
              : expected(text(where_, ": ", role),
                         "the shape that plan.fbs documents for this port", "another shape");
  }

  Status checkPorts();
  Status checkNumbers() const;
  Status checkSampling() const;
  Status checkSamplingPorts();

  const format::Plan &plan_;
  const format::Generation &generation_;
  const format::Program *program_ = nullptr;
  std::string where_ = "generation";
  const format::Port *inputIds_ = nullptr, *numTokens_ = nullptr, *pastTokens_ = nullptr,
                     *blockTable_ = nullptr, *logits_ = nullptr;
  std::vector<const format::Port *> known_; // inputs with a part to play
  uint16_t rows_ = 0, tokens_ = 0, blocks_ = 0;
};

Status GenerationChecker::checkProgram(const flatbuffers::String &name) {
  program_ = nullptr;
  inputIds_ = numTokens_ = pastTokens_ = blockTable_ = logits_ = nullptr;
  for (const format::Program *program : *plan_.programs())
    if (program->name()->string_view() == name.string_view())
      program_ = program;
  if (!program_)
    return expected(where_, "the name of a program", quoted(name.string_view()));
  INGOT_TRY(checkPorts());
  INGOT_TRY(checkSamplingPorts());
  for (const format::Port *port : *program_->inputs())
    if (std::find(known_.begin(), known_.end(), port) == known_.end() && !port->optional())
      return expected(where_, "no further required input of the program",
                      quoted(port->name()->string_view()));
  return checkNumbers();
}

Status GenerationChecker::checkPorts() {
  INGOT_TRY(findPort("input_ids", generation_.input_ids(), false, inputIds_));
  INGOT_TRY(findPort("num_tokens", generation_.num_tokens(), false, numTokens_));
  INGOT_TRY(findPort("past_tokens", generation_.past_tokens(), false, pastTokens_));
  INGOT_TRY(findPort("block_table", generation_.block_table(), false, blockTable_));
  INGOT_TRY(findPort("logits", generation_.logits(), true, logits_));
  INGOT_TRY(expectShape("input_ids", *inputIds_, {}, {}, 2));
  INGOT_TRY(expectShape("block_table", *blockTable_, {}, {}, 2));
  auto rows = plainSymbol(bufferOf(*inputIds_), 0), tokens = plainSymbol(bufferOf(*inputIds_), 1);
  auto blocks = plainSymbol(bufferOf(*blockTable_), 1);
  if (!rows || !tokens || !blocks || *rows == *tokens || *rows == *blocks || *tokens == *blocks)
    return expected(where_, "input_ids [B, S] and block_table [B, NB] over three symbols",
                    "other shapes");
  rows_ = *rows, tokens_ = *tokens, blocks_ = *blocks;
  INGOT_TRY(expectShape("num_tokens", *numTokens_, rows_, {}, 1));
  INGOT_TRY(expectShape("past_tokens", *pastTokens_, rows_, {}, 1));
  INGOT_TRY(expectShape("block_table", *blockTable_, rows_, blocks_, 2));
  INGOT_TRY(expectShape("logits", *logits_, rows_, {}, 2));
  known_ = {inputIds_, numTokens_, pastTokens_, blockTable_};
  return {};
}

Status GenerationChecker::checkSamplingPorts() {
  const format::Sampling *sampling = generation_.sampling();
  if (!sampling)
    return {};
  using format::DType;
  struct {
    const char *role;
    const flatbuffers::String *name;
    DType dtype;
  } const ports[] = {
      {"tokens", sampling->tokens(), DType::I32},
      {"temperature", sampling->temperature(), DType::F32},
      {"top_k", sampling->top_k(), DType::I32},
      {"top_p", sampling->top_p(), DType::F32},
      {"min_p", sampling->min_p(), DType::F32},
      {"repetition_penalty", sampling->repetition_penalty(), DType::F32},
      {"seed", sampling->seed(), DType::I64},
      {"draw", sampling->draw(), DType::I64},
      {"slot", sampling->slot(), DType::I32},
  };
  for (const auto &entry : ports) {
    std::string role = text("sampling: ", entry.role);
    const format::Port *port = nullptr;
    bool output = entry.name == sampling->tokens();
    INGOT_TRY(findPort(role.c_str(), entry.name, output, port, entry.dtype));
    INGOT_TRY(expectShape(role.c_str(), *port, rows_, {}, 1));
    if (output)
      continue;
    if (std::find(known_.begin(), known_.end(), port) != known_.end())
      return expected(text(where_, ": ", role), "a port for nothing else",
                      quoted(entry.name->string_view()));
    known_.push_back(port);
    // The kernel finds the slot's state by it.
    int64_t most = symbolBounds(*program_).ranges[rows_].max - 1;
    if (entry.name == sampling->slot() &&
        (!port->has_range() || port->minimum() != 0 || port->maximum() != most))
      return expected(text(where_, ": ", role), text("a port with the range [0, ", most, "]"),
                      "another range");
  }
  return {};
}

Status GenerationChecker::checkNumbers() const {
  SizeExpr vocabulary = sizeExpr(*bufferOf(*logits_).shape()->Get(1));
  if (generation_.vocab_size() == 0 ||
      vocabulary != SizeExpr{int64_t(generation_.vocab_size()), {}, 1})
    return expected(text(where_, ": logits"), text("[B, ", generation_.vocab_size(), "]"),
                    "another last dimension");
  SymbolBounds bounds = symbolBounds(*program_);
  for (uint16_t symbol : {rows_, tokens_, blocks_})
    if (bounds.ranges[symbol].min != 1)
      return expected(where_, "a step program whose sizes may be 1",
                      text("a minimum of ", bounds.ranges[symbol].min));
  if (bounds.numCallerSymbols() != 3)
    return expected(where_, "a step program of three symbols of the caller",
                    text(bounds.numCallerSymbols()));
  uint64_t blockSize = generation_.block_size(), numBlocks = generation_.num_blocks();
  uint64_t context = generation_.max_context();
  uint64_t tableTokens =
      std::min<uint64_t>(uint64_t(bounds.ranges[blocks_].max), UINT32_MAX) * blockSize;
  if (blockSize < 1 || numBlocks < 2 || context < 1 || context > INT32_MAX ||
      numBlocks > INT32_MAX || tableTokens < context || (numBlocks - 1) * blockSize < context)
    return expected(where_, "blocks and block tables that hold max_context tokens",
                    text("block_size ", blockSize, ", num_blocks ", numBlocks, ", max_context ",
                         context, ", at most ", bounds.ranges[blocks_].max, " blocks a row"));
  // One row must be able to use the whole context, token by token.
  for (const SymbolBounds::Limit &limit : bounds.limits) {
    int64_t product = 1;
    for (uint16_t symbol : limit.symbols)
      product *= symbol == blocks_ ? bounds.ranges[symbol].max : 1;
    if (product > limit.max)
      return expected(where_, "limits that allow one row of full context",
                      text("a limit of ", limit.max));
  }
  struct {
    const char *role;
    const format::Port *port;
    int64_t low, high;
  } const ranges[] = {
      {"input_ids", inputIds_, 0, int64_t(generation_.vocab_size()) - 1},
      {"block_table", blockTable_, 0, int64_t(numBlocks) - 1},
  };
  for (const auto &range : ranges)
    if (!range.port->has_range() || range.port->minimum() != range.low ||
        range.port->maximum() != range.high)
      return expected(text(where_, ": ", range.role),
                      text("a port with the range [", range.low, ", ", range.high, "]"),
                      range.port->has_range()
                          ? text("[", range.port->minimum(), ", ", range.port->maximum(), "]")
                          : std::string("none"));
  return {};
}

Status GenerationChecker::checkSampling() const {
  float temperature = generation_.temperature(), topP = generation_.top_p();
  float minP = generation_.min_p(), penalty = generation_.repetition_penalty();
  // Written so that NaN fails.
  bool ok = temperature >= 0 && std::isfinite(temperature) && topP > 0 && topP <= 1 && minP >= 0 &&
            minP <= 1 && penalty > 0 && std::isfinite(penalty);
  if (!ok)
    return expected(where_,
                    "temperature >= 0, 0 < top_p <= 1, 0 <= min_p <= 1, repetition_penalty > 0",
                    text("temperature ", temperature, ", top_p ", topP, ", min_p ", minP,
                         ", repetition_penalty ", penalty));
  return {};
}

} // namespace

Status checkGeneration(const format::Plan &plan) { return GenerationChecker(plan).check(); }

} // namespace ingot::validation
