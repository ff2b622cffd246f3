//===- InputsTest.cpp - The batches that passes are tried with ------------===//
#include "compiler/verify/Inputs.h"

#include "compiler/import/Import.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

using namespace mlir;

namespace ingot::verify {
namespace {

class Inputs : public ::testing::Test {
protected:
  std::vector<Case> make(const char *name, const char *program, uint64_t seed = 0) {
    import::ImportOptions options;
    options.model = std::string(INGOT_TEST_SOURCE_DIR) + "/golden/cases/" + name + "/model";
    options.maxBatch = 4;
    options.maxContext = 40;
    options.maxTokens = 100;
    auto imported = import::importModel(context, options);
    EXPECT_TRUE(imported.ok()) << imported.status().message();
    module = std::move(imported->module);
    auto cases = makeCases(*module, module->lookupSymbol<func::FuncOp>(program), seed);
    EXPECT_TRUE(cases.ok()) << cases.status().message();
    return std::move(*cases);
  }

  static std::vector<int32_t> values(const Call &call, const std::string &name) {
    for (const Tensor &tensor : call.inputs)
      if (tensor.name == name) {
        std::vector<int32_t> out(tensor.data.size() / sizeof(int32_t));
        std::memcpy(out.data(), tensor.data.data(), tensor.data.size());
        return out;
      }
    return {};
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

TEST_F(Inputs, ForwardHasEveryKindOfPadding) {
  bool left = false, right = false, interior = false, empty = false, one = false, alone = false,
       longest = false, nothing = false;
  for (const Case &entry : make("bert-base", "forward")) {
    ASSERT_EQ(entry.calls.size(), 1u);
    const TokenMask &mask = entry.calls[0].mask;
    alone |= mask.rows == 1;
    longest |= mask.rows == 4 && mask.tokens == 25; // 4 * 25 = max_tokens
    bool any = false;
    for (int64_t row = 0; row < mask.rows; ++row) {
      int64_t count = 0, changes = 0;
      for (int64_t token = 0; token < mask.tokens; ++token) {
        count += mask.isValid(row, token);
        changes += token > 0 && mask.isValid(row, token) != mask.isValid(row, token - 1);
      }
      any |= count > 0;
      empty |= count == 0;
      one |= count == 1 && mask.tokens > 1;
      left |= changes == 1 && !mask.isValid(row, 0);
      right |= changes == 1 && mask.isValid(row, 0);
      interior |= changes > 1;
    }
    nothing |= !any;
  }
  EXPECT_TRUE(left && right && interior && empty && one && alone && longest && nothing);
}

TEST_F(Inputs, StepsFillTheCache) {
  bool full = false, pause = false, chunks = false;
  for (const Case &entry : make("llama-default", "step")) {
    std::vector<int32_t> past;
    std::set<int32_t> blocks;
    for (const Call &call : entry.calls) {
      std::vector<int32_t> given = values(call, "past_tokens"), fresh = values(call, "num_tokens");
      past.resize(given.size());
      EXPECT_EQ(given, past);
      for (size_t row = 0; row < fresh.size(); ++row) {
        pause |= fresh[row] == 0 && past[row] > 0;
        chunks |= fresh[row] > 1 && past[row] > 0;
        past[row] += fresh[row];
        full |= past[row] == 40;
        EXPECT_LE(past[row], 40);
      }
    }
    // Every block belongs to one row.
    std::vector<int32_t> table = values(entry.calls.back(), "block_table");
    for (int32_t block : table)
      if (block != 0)
        EXPECT_TRUE(blocks.insert(block).second);
  }
  EXPECT_TRUE(full && pause && chunks);
}

TEST_F(Inputs, SeedDecides) {
  EXPECT_EQ(values(make("bert-base", "forward", 1)[0].calls[0], "input_ids"),
            values(make("bert-base", "forward", 1)[0].calls[0], "input_ids"));
  EXPECT_NE(values(make("bert-base", "forward", 1)[0].calls[0], "input_ids"),
            values(make("bert-base", "forward", 2)[0].calls[0], "input_ids"));
}

} // namespace
} // namespace ingot::verify
