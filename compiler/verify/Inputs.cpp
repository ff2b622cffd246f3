//===- Inputs.cpp - Random batches that passes get wrong -------------------===//

#include "compiler/verify/Inputs.h"

#include "dialects/Transformer/TransformerDialect.h"

#include "llvm/ADT/Sequence.h"
#include "llvm/ADT/StringExtras.h"

#include <algorithm>
#include <cstring>

using namespace mlir;

namespace ingot::verify {
namespace {

/// SplitMix64: the same numbers everywhere.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  int64_t in(int64_t low, int64_t high) {
    return low + int64_t(next() % uint64_t(high - low + 1));
  }

private:
  uint64_t state;
};

Tensor makeI32(std::string name, std::vector<int64_t> shape, const std::vector<int32_t> &values) {
  Tensor tensor{std::move(name), ElementType::I32, std::move(shape), {}};
  auto bytes = reinterpret_cast<const std::byte *>(values.data());
  tensor.data.assign(bytes, bytes + values.size() * sizeof(int32_t));
  return tensor;
}

class CaseBuilder {
public:
  CaseBuilder(ModuleOp module, func::FuncOp program, uint64_t seed)
      : module(module), program(program), random(seed) {}

  Result<std::vector<Case>> build();

private:
  int64_t maximum(StringRef symbol);
  /// The tokens of a row of the program's ids [B, S]; decode has a size of its own.
  StringRef tokensSymbol();
  /// Most tokens of a row in a batch of `rows`.
  int64_t longest(int64_t rows);
  /// Index of the port, or -1.
  int64_t find(StringRef name);
  std::pair<int64_t, int64_t> range(unsigned argument);
  /// Random values for an [rows, tokens] port.
  Tensor randomTokens(unsigned argument, int64_t rows, int64_t tokens);

  Case forwardCase(std::string name, TokenMask mask, bool withMask = true);
  TokenMask padded(int64_t rows, int64_t tokens, ArrayRef<int64_t> lengths, bool left);
  TokenMask scattered(int64_t rows, int64_t tokens);
  std::vector<Case> forwardCases();

  Case stepCase(std::string name, int64_t rows, ArrayRef<SmallVector<int64_t>> calls);
  std::vector<Case> stepCases();

  ModuleOp module;
  func::FuncOp program;
  Random random;
  int64_t maxRows = 1, maxTokens = 1;
};

int64_t CaseBuilder::maximum(StringRef symbol) {
  auto sizes = module->getAttrOfType<DictionaryAttr>(transformer::kSizesAttr);
  auto bounds = sizes ? sizes.getAs<ArrayAttr>(symbol) : ArrayAttr();
  return bounds && bounds.size() == 2 ? cast<IntegerAttr>(bounds[1]).getInt() : 1;
}

StringRef CaseBuilder::tokensSymbol() {
  int64_t ids = find("input_ids");
  auto sizes = ids < 0 ? ArrayAttr()
                       : program.getArgAttrOfType<ArrayAttr>(unsigned(ids), transformer::kSizesAttr);
  auto symbol = sizes && sizes.size() == 2 ? dyn_cast<StringAttr>(sizes[1]) : StringAttr();
  return symbol ? symbol.getValue() : "S";
}

int64_t CaseBuilder::longest(int64_t rows) {
  int64_t most = maxTokens;
  if (auto limits = module->getAttrOfType<ArrayAttr>(transformer::kLimitsAttr))
    for (auto limit : limits.getAsRange<DictionaryAttr>())
      if (auto symbols = limit.getAs<ArrayAttr>("symbols"); symbols && symbols.size() == 2)
        most = std::min(most, limit.getAs<IntegerAttr>("max").getInt() / rows);
  return std::max<int64_t>(1, most);
}

int64_t CaseBuilder::find(StringRef name) {
  for (unsigned i = 0; i < program.getNumArguments(); ++i)
    if (auto given = program.getArgAttrOfType<StringAttr>(i, transformer::kNameAttr))
      if (given.getValue() == name)
        return i;
  return -1;
}

std::pair<int64_t, int64_t> CaseBuilder::range(unsigned argument) {
  auto bounds = program.getArgAttrOfType<ArrayAttr>(argument, transformer::kRangeAttr);
  if (!bounds || bounds.size() != 2)
    return {0, 1};
  return {cast<IntegerAttr>(bounds[0]).getInt(), cast<IntegerAttr>(bounds[1]).getInt()};
}

Tensor CaseBuilder::randomTokens(unsigned argument, int64_t rows, int64_t tokens) {
  auto [low, high] = range(argument);
  std::vector<int32_t> values(rows * tokens);
  for (int32_t &value : values)
    value = int32_t(random.in(low, high));
  return makeI32(program.getArgAttrOfType<StringAttr>(argument, transformer::kNameAttr).str(),
                 {rows, tokens}, values);
}

//===----------------------------------------------------------------------===//
// forward
//===----------------------------------------------------------------------===//

/// Padding is random like everything else: nothing may depend on it.
Case CaseBuilder::forwardCase(std::string name, TokenMask mask, bool withMask) {
  Call call;
  for (unsigned i = 0; i < program.getNumArguments(); ++i) {
    auto port = program.getArgAttrOfType<StringAttr>(i, transformer::kNameAttr);
    if (!port)
      continue;
    if (port.getValue() != "attention_mask")
      call.inputs.push_back(randomTokens(i, mask.rows, mask.tokens));
    else if (withMask)
      call.inputs.push_back(makeI32("attention_mask", {mask.rows, mask.tokens},
                                    {mask.valid.begin(), mask.valid.end()}));
  }
  call.mask = std::move(mask);
  Case result;
  result.name = std::move(name);
  result.calls.push_back(std::move(call));
  return result;
}

TokenMask CaseBuilder::padded(int64_t rows, int64_t tokens, ArrayRef<int64_t> lengths, bool left) {
  TokenMask mask{rows, tokens, std::vector<uint8_t>(rows * tokens)};
  for (int64_t row = 0; row < rows; ++row) {
    int64_t length = std::min(lengths[row % lengths.size()], tokens);
    int64_t begin = left ? tokens - length : 0;
    for (int64_t token = 0; token < length; ++token)
      mask.valid[row * tokens + begin + token] = 1;
  }
  return mask;
}

TokenMask CaseBuilder::scattered(int64_t rows, int64_t tokens) {
  TokenMask mask{rows, tokens, std::vector<uint8_t>(rows * tokens)};
  for (uint8_t &valid : mask.valid)
    valid = random.in(0, 2) != 0;
  mask.valid[0] = 0; // its first token, too
  return mask;
}

std::vector<Case> CaseBuilder::forwardCases() {
  int64_t three = std::min<int64_t>(3, maxRows), four = std::min<int64_t>(4, maxRows);
  int64_t s = std::min<int64_t>(11, longest(four));
  int64_t some = random.in(1, s);
  std::vector<Case> cases;
  cases.push_back(forwardCase("right padding", padded(three, s, {s, 1, some}, false)));
  cases.push_back(forwardCase("left padding", padded(three, s, {some, s, 1}, true)));
  cases.push_back(forwardCase("interior padding", scattered(three, s)));
  cases.push_back(forwardCase("rows of 0 and 1", padded(four, s, {0, 1, some, 0}, false)));
  int64_t alone = std::min<int64_t>(7, longest(1));
  cases.push_back(forwardCase("batch of one", padded(1, alone, {alone}, false), false));
  cases.push_back(forwardCase("one token", padded(1, 1, {1}, false), false));
  int64_t most = longest(maxRows);
  cases.push_back(forwardCase("maxima", padded(maxRows, most, {most}, false), false));
  cases.push_back(forwardCase("no tokens", padded(std::min<int64_t>(2, maxRows),
                                                  std::min<int64_t>(3, s), {0}, false)));
  return cases;
}

//===----------------------------------------------------------------------===//
// step
//===----------------------------------------------------------------------===//

/// `calls[i][row]` are the new tokens of a row.
Case CaseBuilder::stepCase(std::string name, int64_t rows, ArrayRef<SmallVector<int64_t>> calls) {
  auto generation = module->getAttrOfType<DictionaryAttr>(transformer::kGenerationAttr);
  int64_t blockSize = generation.getAs<IntegerAttr>("block_size").getInt();
  int64_t numBlocks = generation.getAs<IntegerAttr>("num_blocks").getInt();
  int64_t context = generation.getAs<IntegerAttr>("max_context").getInt();

  // Blocks in random order; block 0 pads the tables.
  auto numbers = llvm::seq<int32_t>(1, int32_t(numBlocks));
  SmallVector<int32_t> blocks(numbers.begin(), numbers.end());
  for (size_t i = blocks.size(); i > 1; --i)
    std::swap(blocks[i - 1], blocks[random.in(0, int64_t(i) - 1)]);
  std::vector<SmallVector<int32_t>> tables(rows);
  std::vector<int64_t> past(rows);

  Case result;
  result.name = std::move(name);
  for (const SmallVector<int64_t> &lengths : calls) {
    int64_t tokens = 1, width = 1;
    std::vector<int32_t> numTokens, pastTokens;
    for (int64_t row = 0; row < rows; ++row) {
      int64_t length = std::min(lengths[row], context - past[row]);
      numTokens.push_back(int32_t(length));
      pastTokens.push_back(int32_t(past[row]));
      past[row] += length;
      while (int64_t(tables[row].size()) * blockSize < past[row])
        tables[row].push_back(blocks.pop_back_val());
      tokens = std::max(tokens, length);
      width = std::max<int64_t>(width, tables[row].size());
    }
    std::vector<int32_t> table;
    Call call;
    call.mask = {rows, tokens, std::vector<uint8_t>(rows * tokens)};
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = 0; i < width; ++i)
        table.push_back(i < int64_t(tables[row].size()) ? tables[row][i] : 0);
      std::fill_n(call.mask.valid.begin() + row * tokens, numTokens[row], 1);
    }
    call.inputs.push_back(randomTokens(find("input_ids"), rows, tokens));
    call.inputs.push_back(makeI32("num_tokens", {rows}, numTokens));
    call.inputs.push_back(makeI32("past_tokens", {rows}, pastTokens));
    call.inputs.push_back(makeI32("block_table", {rows, width}, table));
    result.calls.push_back(std::move(call));
  }
  return result;
}

std::vector<Case> CaseBuilder::stepCases() {
  int64_t rows = std::min<int64_t>(3, maxRows);
  int64_t s = std::min<int64_t>(19, longest(rows)); // more than a block
  auto call = [](std::initializer_list<int64_t> lengths) { return SmallVector<int64_t>(lengths); };
  std::vector<Case> cases;
  cases.push_back(stepCase("prompts, then steps", rows,
                           {call({s, 1, std::min<int64_t>(4, s)}), call({1, 1, 1}),
                            call({1, 0, 1}), call({0, 1, 1})}));
  cases.push_back(stepCase("prompts in chunks", rows,
                           {call({std::min<int64_t>(5, s), 0, 1}), call({1, s, 0}),
                            call({std::min<int64_t>(3, s), 1, std::min<int64_t>(6, s)})}));
  cases.push_back(stepCase("batch of one", 1,
                           {call({std::min<int64_t>(6, longest(1))}), call({1}), call({1})}));
  cases.push_back(stepCase("one token", 1, {call({1}), call({1})}));
  // Up to the last slot of every row's context.
  auto generation = module->getAttrOfType<DictionaryAttr>(transformer::kGenerationAttr);
  int64_t context = generation.getAs<IntegerAttr>("max_context").getInt();
  int64_t most = longest(maxRows);
  std::vector<SmallVector<int64_t>> full;
  for (int64_t left = context - 1; left > 0 && full.size() < 3; left -= most)
    full.push_back(SmallVector<int64_t>(maxRows, std::min(left, most)));
  full.push_back(SmallVector<int64_t>(maxRows, 1));
  cases.push_back(stepCase("maxima", maxRows, full));
  return cases;
}

Result<std::vector<Case>> CaseBuilder::build() {
  maxRows = maximum("B");
  maxTokens = maximum(tokensSymbol());
  bool isStep = find("block_table") >= 0;
  SmallVector<StringRef> known{"input_ids", "attention_mask", "token_type_ids"};
  if (isStep)
    known = {"input_ids", "num_tokens", "past_tokens", "block_table"};
  for (unsigned i = 0; i < program.getNumArguments(); ++i)
    if (auto port = program.getArgAttrOfType<StringAttr>(i, transformer::kNameAttr))
      if (!llvm::is_contained(known, port.getValue()))
        return Status(ExitCode::Unsupported,
                      "program " + program.getSymName().str() + ": no random inputs are made for '" +
                          port.str() + "'; supported are programs over " + llvm::join(known, ", "));
  if (isStep && !module->hasAttr(transformer::kGenerationAttr))
    return Status(ExitCode::Internal, "program " + program.getSymName().str() +
                                          " has a block table, but its module no " +
                                          transformer::kGenerationAttr.str());
  return isStep ? stepCases() : forwardCases();
}

} // namespace

Result<std::vector<Case>> makeCases(ModuleOp module, func::FuncOp program, uint64_t seed) {
  return CaseBuilder(module, program, seed).build();
}

} // namespace ingot::verify
