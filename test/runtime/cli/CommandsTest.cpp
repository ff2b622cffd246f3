//===- CommandsTest.cpp - run, generate and inspect -------------*- C++ -*-===//
#include "runtime/cli/Commands.h"

#include "runtime/cli/Npy.h"
#include "runtime/weights/Json.h"
#include "test/runtime/testing/TestArtifact.h"

#include <cstring>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace ingot;
using namespace ingot::commands;
using namespace ingot::testing;

namespace {

struct CommandsTest : ::testing::Test {
  void SetUp() override { path = writeFile("a.ingot", makeFile(*makePlan())); }
  void TearDown() override { ::unlink(path.c_str()); }

  RunOptions runOptions(std::vector<std::string> outputs) {
    RunOptions options;
    options.model.file = path;
    options.inputs = {"x=1,2.5;3,-4e0", "ids=1,2;3,4"};
    options.outputs = std::move(outputs);
    return options;
  }
  GenerateOptions generateOptions(std::vector<std::string> prompts) {
    GenerateOptions options;
    options.model.file = path;
    options.prompts = std::move(prompts);
    options.maxNewTokens = 3;
    return options;
  }
  std::string path;
};

std::string tokensText(std::vector<int32_t> prompt, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    prompt.push_back(nextToken(prompt));
    out += (i ? "," : "") + std::to_string(prompt.back());
  }
  return out + "  [length]\n";
}

} // namespace

TEST_F(CommandsTest, RunPrintsAndWrites) {
  auto out = run(runOptions({"y"}));
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ(*out, "y  f32[2, 2]\n4 8\n10 -3\n");
  std::string file = temporaryPath("y.npy");
  out = run(runOptions({"y=@" + file}));
  ASSERT_TRUE(out.ok());
  auto array = readNpy(file);
  ASSERT_TRUE(array.ok());
  float last;
  std::memcpy(&last, array->array.data.data() + 12, 4);
  EXPECT_EQ(last, -3);
  // What was written can be read as an input.
  RunOptions again = runOptions({"y"});
  again.inputs[0] = "x=@" + file;
  EXPECT_EQ(*run(again), "y  f32[2, 2]\n10 19\n24 -1\n");
  ::unlink(file.c_str());
}

TEST_F(CommandsTest, RunAsJson) {
  RunOptions options = runOptions({});
  options.json = true;
  options.repeat = 3;
  options.profile = true;
  auto out = run(options);
  ASSERT_TRUE(out.ok());
  auto json = parseJson(*out);
  ASSERT_TRUE(json.ok()) << json.status().message();
  EXPECT_EQ(*json->root()["outputs"].at(0)["name"].asString(), "y");
  EXPECT_EQ(*json->root()["seconds"]["runs"].asInt(), 3);
  EXPECT_TRUE(json->root()["profile"].at(0)["kernel"].exists());
  options = runOptions({"y"});
  options.json = true;
  json = parseJson(*run(options));
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(*json->root()["outputs"].at(0)["values"].at(1).at(0).asDouble(), 10);
}

TEST_F(CommandsTest, RunRefuses) {
  auto refused = [&](auto change) {
    RunOptions options = runOptions({"y"});
    change(options);
    EXPECT_EQ(run(options).status().code(), ExitCode::Usage);
  };
  for (const char *input : {"x", "x=", "x=@", "=1", "x=1,2;3", "x=1,a", "x=", "nothing=1",
                            "ids=1.5", "x=1", "ids=99999999999999999999"})
    refused([&](RunOptions &o) { o.inputs[1] = input; });
  for (const char *output : {"nothing", "y=file.npy", "y=@", "=@x"})
    refused([&](RunOptions &o) { o.outputs[0] = output; });
  refused([](RunOptions &o) { o.program = "nothing"; });
  refused([](RunOptions &o) { o.repeat = 0; });
  refused([](RunOptions &o) { o.model.file = "/no/such.ingot"; });
  refused([](RunOptions &o) { o.model.weights = "random:x"; });
  refused([](RunOptions &o) { o.outputs[0] = "y=@/no/such/folder/y.npy"; });
}

TEST_F(CommandsTest, Generate) {
  auto out = generate(generateOptions({"1,2,3", "7"}));
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ(*out, tokensText({1, 2, 3}, 3) + tokensText({7}, 3));
  std::string lines = "1 2 3\n\n 7,\r\n";
  auto *data = reinterpret_cast<const std::byte *>(lines.data());
  std::string file = writeFile("prompts", {data, data + lines.size()});
  EXPECT_EQ(*generate(generateOptions({"@" + file})), *out);
  const int64_t ids[] = {7};
  const int64_t shape[] = {1, 1};
  ASSERT_TRUE(writeNpy(file, format::DType::I64, shape, ids).ok());
  EXPECT_EQ(*generate(generateOptions({"1,2,3", "@" + file})), *out);
  ::unlink(file.c_str());
  GenerateOptions options = generateOptions({"1,2,3"});
  options.json = true;
  size_t seen = 0;
  options.onToken = [&](size_t, int32_t) { ++seen; };
  auto json = parseJson(*generate(options));
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(seen, 3u);
  EXPECT_EQ(json->root()["sequences"].at(0)["tokens"].asIntArray()->size(), 3u);
  EXPECT_EQ(*json->root()["sequences"].at(0)["stop"].asString(), "length");
  EXPECT_EQ(*json->root()["stats"]["new_tokens"].asInt(), 3);
}

/// Where the time until the first token went.
TEST_F(CommandsTest, LoadIsReported) {
  GenerateOptions options = generateOptions({"1,2"});
  options.json = true;
  auto out = generate(options);
  ASSERT_TRUE(out.ok()) << out.status().message();
  auto json = parseJson(*out);
  ASSERT_TRUE(json.ok());
  for (const char *stage : {"file", "driver", "code", "checksum", "weights", "programs"})
    EXPECT_TRUE(json->root()["load"]["stages"][stage].exists()) << stage;
  EXPECT_GE(*json->root()["stats"]["first_token_seconds"].asDouble(),
            *json->root()["load"]["seconds"].asDouble());
}

/// Weights are verified while devices start, all else before.
TEST_F(CommandsTest, DamagedWeights) {
  auto bytes = makeFile(*makePlan());
  FileHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  bytes[header.sections[size_t(SectionKind::Weights)].offset + 5] ^= std::byte(1);
  ::unlink(path.c_str());
  path = writeFile("a.ingot", bytes);
  auto out = run(runOptions({"y"}));
  EXPECT_EQ(out.status().code(), ExitCode::Integrity);
  EXPECT_NE(out.status().message().find("weights section"), std::string::npos);
  RunOptions trusting = runOptions({"y"});
  trusting.model.verifyChecksums = false;
  EXPECT_TRUE(run(trusting).ok());
}

TEST_F(CommandsTest, GenerateRefuses) {
  for (const char *ids : {"", "x", "1,", "1,,2", "-1", "13", "4294967296", "@", "@/no/such/file"}) {
    Status status = generate(generateOptions({ids})).status();
    EXPECT_TRUE(status.code() == ExitCode::Usage || status.code() == ExitCode::MalformedInput)
        << ids << ": " << status.message();
  }
  EXPECT_EQ(generate(generateOptions({})).status().code(), ExitCode::Usage);
  GenerateOptions options = generateOptions({"1"});
  options.topP = 2;
  EXPECT_EQ(generate(options).status().code(), ExitCode::Usage);
}

TEST_F(CommandsTest, Inspect) {
  InspectOptions options;
  options.file = path;
  auto out = inspect(options);
  ASSERT_TRUE(out.ok()) << out.status().message();
  for (const char *word : {"forward", "step", "x86-64", "block_size", "activation_bytes"})
    EXPECT_NE(out->find(word), std::string::npos) << word << "\n" << *out;
  options.json = true;
  out = inspect(options);
  ASSERT_TRUE(out.ok());
  EXPECT_TRUE(parseJson(*out).ok());
  for (const std::string &section : inspectSections())
    for (bool json : {false, true}) {
      options.sections = {section};
      options.json = json;
      EXPECT_TRUE(inspect(options).ok()) << section;
    }
  options.sections = {"nothing"};
  EXPECT_EQ(inspect(options).status().code(), ExitCode::Usage);
}
