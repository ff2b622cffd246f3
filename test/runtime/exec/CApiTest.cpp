//===- CApiTest.cpp - The C API, as a caller sees it ------------*- C++ -*-===//
#include "runtime/include/ingot/runtime.h"

#include "runtime/weights/Json.h"
#include "test/runtime/testing/TestArtifact.h"

#include <cstddef>
#include <cstring>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace ingot::testing;

namespace {
struct CApiTest : ::testing::Test {
  void SetUp() override {
    path = writeFile("a.ingot", makeFile(*makePlan()));
    ASSERT_EQ(ingot_open(path.c_str(), &file), INGOT_OK) << ingot_last_error();
    ASSERT_EQ(ingot_load(file, nullptr, &model), INGOT_OK) << ingot_last_error();
    ASSERT_EQ(ingot_find_program(model, "forward", &program), INGOT_OK);
  }
  void TearDown() override {
    ingot_unload(model);
    ingot_close(file);
    ::unlink(path.c_str());
  }
  std::string path;
  ingot_file *file = nullptr;
  ingot_model *model = nullptr;
  ingot_program *program = nullptr;
};
} // namespace

TEST_F(CApiTest, OpenErrorsHaveMessages) {
  ingot_file *other = nullptr;
  EXPECT_EQ(ingot_open("/no/such/file", &other), INGOT_USAGE);
  EXPECT_NE(std::strstr(ingot_last_error(), "/no/such/file"), nullptr);
  EXPECT_EQ(other, nullptr);
  EXPECT_EQ(ingot_open(nullptr, &other), INGOT_USAGE);
  EXPECT_EQ(ingot_api_version(), uint32_t(INGOT_API_VERSION));
  ingot_close(nullptr);
  ingot_unload(nullptr);
  ingot_generation_free(nullptr);
}

TEST_F(CApiTest, DescribesItself) {
  const char *json = nullptr;
  ASSERT_EQ(ingot_describe(file, &json), INGOT_OK);
  EXPECT_TRUE(ingot::parseJson(json).ok());
  ASSERT_EQ(ingot_port_count(program, 0), 3u);
  ASSERT_EQ(ingot_port_count(program, 1), 3u);
  ingot_port_info info;
  ASSERT_EQ(ingot_port(program, 0, 2, &info), INGOT_OK);
  EXPECT_STREQ(info.name, "mask");
  EXPECT_EQ(info.dtype, INGOT_I32);
  EXPECT_EQ(info.rank, 2);
  EXPECT_STREQ(info.dims[1], "S");
  EXPECT_EQ(info.max_dims[1], 8);
  EXPECT_EQ(info.max_elements, 16);
  EXPECT_TRUE(info.optional);
  EXPECT_EQ(info.fill, 1);
  EXPECT_EQ(info.maximum, 1);
  EXPECT_EQ(ingot_port(program, 0, 3, &info), INGOT_USAGE);
}

TEST_F(CApiTest, Runs) {
  const int64_t shape[] = {1, 2};
  double x[] = {1, 2};
  int32_t ids[] = {3, 4};
  ingot_tensor inputs[] = {{"x", INGOT_F64, 2, shape, x, sizeof x},
                           {"ids", INGOT_I32, 2, shape, ids, sizeof ids}};
  float own[2] = {};
  ingot_tensor outputs[2] = {};
  outputs[0].name = "y";
  outputs[1] = {"copy", INGOT_F32, 0, nullptr, own, sizeof own};
  ASSERT_EQ(ingot_run(program, inputs, 2, outputs, 2), INGOT_OK) << ingot_last_error();
  EXPECT_EQ(outputs[0].rank, 2);
  EXPECT_EQ(outputs[0].shape[1], 2);
  EXPECT_EQ(static_cast<float *>(outputs[0].data)[1], 2 * 2 + 4 + 1);
  EXPECT_EQ(own[1], 9);
}

TEST_F(CApiTest, BadTensorsAreRefused) {
  const int64_t shape[] = {1, 2};
  float x[2] = {};
  int32_t ids[2] = {};
  const ingot_tensor good[] = {{"x", INGOT_F32, 2, shape, x, sizeof x},
                               {"ids", INGOT_I32, 2, shape, ids, sizeof ids}};
  auto refused = [&](auto change) {
    ingot_tensor inputs[2] = {good[0], good[1]}, output = {};
    output.name = "y";
    change(inputs, output);
    EXPECT_EQ(ingot_run(program, inputs, 2, &output, 1), INGOT_USAGE);
  };
  refused([](ingot_tensor *in, ingot_tensor &) { in[0].rank = 9; });
  refused([](ingot_tensor *in, ingot_tensor &) { in[0].rank = -1; });
  refused([](ingot_tensor *in, ingot_tensor &) { in[0].shape = nullptr; });
  refused([](ingot_tensor *in, ingot_tensor &) { in[0].name = nullptr; });
  refused([](ingot_tensor *in, ingot_tensor &) { in[0].data = nullptr; });
  refused([](ingot_tensor *in, ingot_tensor &) { in[0].dtype = ingot_dtype(77); });
  refused([](ingot_tensor *in, ingot_tensor &) { in[0].bytes = 0; });
  refused([](ingot_tensor *, ingot_tensor &out) { out.name = nullptr; });
  refused([&](ingot_tensor *, ingot_tensor &out) {
    out.data = x, out.bytes = 8, out.dtype = INGOT_I32;
  });
  refused([&](ingot_tensor *, ingot_tensor &out) { out.data = x, out.bytes = 7; });
  ingot_tensor outputs[4] = {};
  EXPECT_EQ(ingot_run(program, good, 2, outputs, 4), INGOT_USAGE);
}

TEST_F(CApiTest, LoadsTheProgramsThatAreNamed) {
  ingot_load_options options = {sizeof options, nullptr, 1, "step"};
  ingot_model *some = nullptr;
  ASSERT_EQ(ingot_load(file, &options, &some), INGOT_OK) << ingot_last_error();
  EXPECT_EQ(ingot_find_program(some, "forward", &program), INGOT_USAGE);
  EXPECT_EQ(ingot_find_program(some, "step", &program), INGOT_OK);
  ingot_unload(some);
  // Without its program there is no generation; a size of before this field means all.
  options.programs = "forward";
  ASSERT_EQ(ingot_load(file, &options, &some), INGOT_OK) << ingot_last_error();
  ingot_generate_options generate;
  EXPECT_EQ(ingot_generate_options_init(some, &generate), INGOT_USAGE);
  ingot_unload(some);
  options.struct_size = offsetof(ingot_load_options, programs);
  ASSERT_EQ(ingot_load(file, &options, &some), INGOT_OK) << ingot_last_error();
  EXPECT_EQ(ingot_find_program(some, "step", &program), INGOT_OK);
  ingot_unload(some);
  options = {sizeof options, nullptr, 1, "forward,nothing"};
  EXPECT_EQ(ingot_load(file, &options, &some), INGOT_USAGE);
  EXPECT_NE(std::strstr(ingot_last_error(), "forward, step"), nullptr) << ingot_last_error();
}

TEST_F(CApiTest, Generates) {
  ingot_generate_options options;
  ASSERT_EQ(ingot_generate_options_init(model, &options), INGOT_OK);
  EXPECT_EQ(options.max_new_tokens, 128u);
  options.max_new_tokens = 4;
  size_t seen = 0;
  options.user = &seen;
  options.callback = [](void *user, size_t, int32_t, size_t) {
    ++*static_cast<size_t *>(user);
    return 0;
  };
  std::vector<int32_t> tokens{1, 2, 3};
  ingot_prompt prompts[] = {{tokens.data(), 3}, {tokens.data(), 1}};
  ingot_generation *generation = nullptr;
  ASSERT_EQ(ingot_generate(model, prompts, 2, &options, &generation), INGOT_OK)
      << ingot_last_error();
  EXPECT_EQ(seen, 8u);
  ingot_generation_row row;
  ASSERT_EQ(ingot_generation_get(generation, 0, &row), INGOT_OK);
  ASSERT_EQ(row.num_tokens, 4u);
  EXPECT_EQ(row.stop, INGOT_STOP_LENGTH);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(row.tokens[i], nextToken(tokens));
    tokens.push_back(row.tokens[i]);
  }
  EXPECT_EQ(ingot_generation_get(generation, 2, &row), INGOT_USAGE);
  ingot_generation_free(generation);
  EXPECT_EQ(ingot_generate(model, nullptr, 1, nullptr, &generation), INGOT_USAGE);
  ingot_prompt bad[] = {{nullptr, 1}};
  EXPECT_EQ(ingot_generate(model, bad, 1, nullptr, &generation), INGOT_USAGE);
  options.struct_size = 0;
  EXPECT_EQ(ingot_generate(model, prompts, 1, &options, &generation), INGOT_USAGE);
}

TEST_F(CApiTest, OverlappingCallsAreRefused) {
  ingot_generate_options options;
  ASSERT_EQ(ingot_generate_options_init(model, &options), INGOT_OK);
  options.max_new_tokens = 1;
  options.user = model;
  options.callback = [](void *user, size_t, int32_t, size_t) {
    EXPECT_EQ(ingot_reset(static_cast<ingot_model *>(user)), INGOT_USAGE);
    return 0;
  };
  const int32_t tokens[] = {1};
  ingot_prompt prompt = {tokens, 1};
  ingot_generation *generation = nullptr;
  ASSERT_EQ(ingot_generate(model, &prompt, 1, &options, &generation), INGOT_OK);
  ingot_generation_free(generation);
  EXPECT_EQ(ingot_reset(model), INGOT_OK);
}

TEST_F(CApiTest, AModelOutlivesItsFile) {
  ingot_close(file);
  file = nullptr;
  EXPECT_EQ(ingot_reset(model), INGOT_OK);
  ingot_program *step = nullptr;
  EXPECT_EQ(ingot_find_program(model, "step", &step), INGOT_OK);
  EXPECT_EQ(ingot_find_program(model, "nothing", &step), INGOT_USAGE);
}
