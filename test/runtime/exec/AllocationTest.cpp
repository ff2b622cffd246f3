//===- AllocationTest.cpp - Nothing is allocated after load -----*- C++ -*-===//
#include "runtime/generate/Generator.h"
#include "runtime/include/ingot/runtime.h"

#include "test/runtime/testing/TestArtifact.h"

#include <atomic>
#include <cstddef>
#include <gtest/gtest.h>
#include <unistd.h>

// glibc's own entry points, so that ours can count.
extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static std::atomic<uint64_t> allocations{0};

void *malloc(size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
void *realloc(void *old, size_t size) {
  ++allocations;
  return __libc_realloc(old, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
  ++allocations;
  return __libc_memalign(alignment, size);
}
}

using namespace ingot;
using namespace ingot::testing;

TEST(Allocation, TheCounterCounts) {
  uint64_t before = allocations;
  auto *volatile kept = new std::vector<int>(100);
  EXPECT_GE(allocations - before, 2u);
  delete kept;
}

TEST(Allocation, RunsAllocateNothing) {
  std::string path = writeFile("a.ingot", makeFile(*makePlan()));
  ingot_file *file = nullptr;
  ingot_model *model = nullptr;
  ingot_program *program = nullptr;
  ASSERT_EQ(ingot_open(path.c_str(), &file), INGOT_OK) << ingot_last_error();
  ingot_load_options options = {sizeof options, nullptr, 2};
  ASSERT_EQ(ingot_load(file, &options, &model), INGOT_OK) << ingot_last_error();
  ASSERT_EQ(ingot_find_program(model, "forward", &program), INGOT_OK);
  float x[16] = {};
  int64_t ids[16] = {};
  uint64_t before = allocations;
  for (int64_t b = 1; b <= 4; ++b)
    for (int64_t s = 1; s <= 4; ++s) {
      const int64_t shape[] = {b, s};
      ingot_tensor inputs[] = {{"x", INGOT_F32, 2, shape, x, size_t(b * s * 4)},
                               {"ids", INGOT_I64, 2, shape, ids, size_t(b * s * 8)}};
      ingot_tensor outputs[3] = {};
      outputs[0].name = "y";
      outputs[1].name = "copy";
      outputs[2].name = "calls";
      ASSERT_EQ(ingot_run(program, inputs, 2, outputs, 3), INGOT_OK);
    }
  ASSERT_EQ(ingot_reset(model), INGOT_OK);
  EXPECT_EQ(allocations - before, 0u);
  ingot_unload(model);
  ingot_close(file);
  ::unlink(path.c_str());
}

namespace {
struct Steps {
  uint64_t first = 0, last = 0, count = 0;
};
} // namespace

TEST(Allocation, GenerationStepsAllocateNothing) {
  LoadedModel loaded = loadModel();
  auto generator = Generator::create(*loaded.model);
  ASSERT_TRUE(generator.ok());
  // Seven prompts over three rows: admission, chunks, decoding and leaving all happen between the
  // first token and the last.
  std::vector<std::vector<int32_t>> prompts = {
      {1}, {2, 3, 4, 5, 6, 7, 8}, {9, 1, 2}, {3, 3}, {4, 4, 4, 4, 4}, {5}, {6, 7}};
  std::vector<std::span<const int32_t>> views(prompts.begin(), prompts.end());
  for (bool sample : {false, true}) {
    Steps steps;
    GenerateSettings settings;
    settings.maxNewTokens = 9;
    settings.sampling = {sample, 0.8f, 7, 0.9f, 0.05f, 1.2f};
    settings.user = &steps;
    settings.onToken = [](void *user, size_t, int32_t, size_t) {
      auto *self = static_cast<Steps *>(user);
      self->last = allocations;
      if (self->count++ == 0)
        self->first = allocations;
      return false;
    };
    std::vector<GeneratedRow> rows;
    ASSERT_TRUE((*generator)->generate(views, settings, rows).ok());
    EXPECT_EQ(steps.count, 7u * 9);
    EXPECT_EQ(steps.last - steps.first, 0u);
  }
}
