//===- ExecutorTest.cpp - Loading and running -------------------*- C++ -*-===//
#include "runtime/exec/Model.h"

#include "test/runtime/testing/TestArtifact.h"

#include <gtest/gtest.h>

using namespace ingot;
using namespace ingot::testing;

namespace {

struct Inputs {
  std::vector<int64_t> shape{2, 3};
  std::vector<float> x{1, 2, 3, 4, 5, 6};
  std::vector<int32_t> ids{0, 1, 2, 3, 4, 5};
  std::vector<InputTensor> tensors() const {
    return {{"x", ElementType::F32, shape, x.data(), x.size() * 4},
            {"ids", ElementType::I32, shape, ids.data(), ids.size() * 4}};
  }
};

struct ExecutorTest : ::testing::Test {
  LoadedModel loaded = loadModel();
  Program &forward() { return **loaded.model->findProgram("forward"); }

  Status refused(const std::vector<InputTensor> &inputs) {
    OutputTensor out{"y"};
    Status status = forward().run(inputs, {&out, 1});
    EXPECT_EQ(status.code(), ExitCode::Usage) << status.message();
    return status;
  }
};

bool contains(const Status &status, const char *words) {
  return status.message().find(words) != std::string::npos;
}

} // namespace

TEST_F(ExecutorTest, RunsWithBorrowedAndOwnedOutputs) {
  Inputs in;
  float own[6];
  OutputTensor outputs[] = {{"y"}, {"copy", own, sizeof own}, {"calls"}};
  Status status = forward().run(in.tensors(), outputs);
  ASSERT_TRUE(status.ok()) << status.message();
  ASSERT_EQ(outputs[0].shape.size(), 2u);
  EXPECT_EQ(outputs[0].shape[1], 3);
  EXPECT_EQ(outputs[0].bytes, 24u);
  for (int i = 0; i < 6; ++i) {
    float expected = in.x[size_t(i)] * 2 + float(in.ids[size_t(i)]) + 1; // the mask's default
    EXPECT_EQ(static_cast<float *>(outputs[0].data)[i], expected);
    EXPECT_EQ(own[i], expected);
  }
}

TEST_F(ExecutorTest, SizesChangeFromRunToRun) {
  for (auto [b, s] : {std::pair{1, 1}, {4, 4}, {2, 8}, {1, 8}, {4, 4}}) {
    std::vector<int64_t> shape{b, s};
    std::vector<float> x(size_t(b * s), 1.5f);
    std::vector<int64_t> ids(size_t(b * s), 7), mask(size_t(b * s), 0);
    InputTensor inputs[] = {{"x", ElementType::F32, shape, x.data(), x.size() * 4},
                            {"ids", ElementType::I64, shape, ids.data(), ids.size() * 8},
                            {"mask", ElementType::I64, shape, mask.data(), mask.size() * 8}};
    OutputTensor out{"copy"};
    ASSERT_TRUE(forward().run(inputs, {&out, 1}).ok());
    for (int i = 0; i < b * s; ++i)
      EXPECT_EQ(static_cast<float *>(out.data)[i], 10);
  }
}

TEST_F(ExecutorTest, StateOutlivesRunsUntilReset) {
  Inputs in;
  auto calls = [&] {
    OutputTensor out{"calls"};
    EXPECT_TRUE(forward().run(in.tensors(), {&out, 1}).ok());
    return *static_cast<int32_t *>(out.data);
  };
  EXPECT_EQ(calls(), 1);
  EXPECT_EQ(calls(), 2);
  ASSERT_TRUE(loaded.model->reset().ok());
  EXPECT_EQ(calls(), 1);
}

TEST_F(ExecutorTest, ShapesAreRefusedWithExpectedAndGot) {
  Inputs in;
  auto with = [&](std::vector<int64_t> shape) {
    static std::vector<int64_t> kept;
    kept = std::move(shape);
    auto tensors = in.tensors();
    tensors[1].shape = kept;
    return refused(tensors);
  };
  EXPECT_TRUE(contains(with({6}), "expected rank 2 [B, S], got rank 1 [6]"));
  EXPECT_TRUE(contains(with({2, 9}), "dimension 1 (S): expected 1 to 8, got 9"));
  EXPECT_TRUE(contains(with({2, 0}), "expected 1 to 8, got 0"));
  EXPECT_TRUE(contains(with({-1, 3}), "expected 1 to 4, got -1"));
  EXPECT_TRUE(contains(with({3, 3}), "expected 2 as in the other inputs, got 3"));
  std::vector<int64_t> large{4, 8};
  auto tensors = in.tensors();
  tensors[0].shape = tensors[1].shape = large;
  EXPECT_TRUE(contains(refused(tensors), "B * S: expected at most 16, got 4 * 8"));
}

TEST_F(ExecutorTest, ValuesAreRefusedWithTheirPlace) {
  Inputs in;
  in.ids[4] = 10;
  EXPECT_TRUE(contains(refused(in.tensors()), "input 'ids': element 4: expected 0 to 9, got 10"));
  in.ids[4] = -1;
  EXPECT_TRUE(contains(refused(in.tensors()), "got -1"));
  in.ids[4] = 4;
  auto tensors = in.tensors();
  tensors[0].bytes = 20;
  EXPECT_TRUE(contains(refused(tensors), "expected 24 bytes for f32[2, 3], got 20"));
  tensors = in.tensors();
  tensors[1].type = ElementType::F32;
  EXPECT_TRUE(contains(refused(tensors), "expected integers or bools for i32, got f32"));
  tensors = in.tensors();
  tensors[0].type = ElementType::I32;
  EXPECT_TRUE(contains(refused(tensors), "expected floats for f32, got i32"));
}

TEST_F(ExecutorTest, NamesAreRefusedWithTheChoices) {
  Inputs in;
  auto tensors = in.tensors();
  tensors.pop_back();
  EXPECT_TRUE(contains(refused(tensors), "input 'ids' is missing"));
  tensors = in.tensors();
  tensors[0].name = "z";
  EXPECT_TRUE(contains(refused(tensors), "x, ids, mask (optional), got 'z'"));
  tensors = in.tensors();
  tensors.push_back(tensors[0]);
  EXPECT_TRUE(contains(refused(tensors), "given twice"));
  OutputTensor out{"z"};
  EXPECT_TRUE(contains(forward().run(in.tensors(), {&out, 1}), "y, copy, calls, got 'z'"));
  float small[2];
  out = {"y", small, sizeof small};
  EXPECT_TRUE(contains(forward().run(in.tensors(), {&out, 1}), "a buffer of 24 bytes, got 8"));
  EXPECT_TRUE(contains(loaded.model->findProgram("nothing").status(), "forward, step"));
}

TEST(ResidentSize, IsReadWhenItsStepRunsAndBounded) {
  LoadedModel loaded = loadModel([](format::PlanT &plan) {
    addResidentSize(*plan.programs[0]);
    // What the last launch writes is told from the copy by its input: x and the copy's source differ.
    plan.programs[0]->steps[4]->action.AsLaunch()->buffers = {4, 1, 2, 3, 6};
  });
  Program &program = **loaded.model->findProgram("forward");
  EXPECT_EQ(program.symbolNames().size(), 2u);
  std::vector<int64_t> shape{1, 2};
  float x[] = {1, 1};
  int32_t ids[] = {0, 0};
  InputTensor inputs[] = {{"x", ElementType::F32, shape, x, 8}, {"ids", ElementType::I32, shape, ids, 8}};
  // y = 2 x + 0 + 1 = 3; the first T elements of the copy become 2 y + 0 + 1 = 7.
  for (int call = 1; call <= 2; ++call) {
    OutputTensor out{"copy"};
    Status status = program.run(inputs, {&out, 1});
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(static_cast<float *>(out.data)[0], 7);
    EXPECT_EQ(static_cast<float *>(out.data)[1], call == 2 ? 7 : 3);
  }
  OutputTensor out{"copy"};
  Status status = program.run(inputs, {&out, 1}); // the third call counts 3 of at most 2
  EXPECT_EQ(status.code(), ExitCode::MalformedInput);
  EXPECT_TRUE(contains(status, "size T: expected 0 to 2, got 3")) << status.message();
}

TEST(Offsets, AreCheckedBeforeAnythingRuns) {
  LoadedModel loaded = loadModel([](format::PlanT &plan) {
    format::ProgramT &program = *plan.programs[0];
    auto buffer = std::make_unique<format::BufferT>();
    buffer->offset = 384;
    buffer->bytes = 12;
    buffer->dtype = format::DType::I32;
    buffer->shape.push_back(std::make_unique<format::SizeT>());
    buffer->shape[0]->factor = 3;
    program.buffers.push_back(std::move(buffer));
    auto port = std::make_unique<format::PortT>();
    port->name = "cu";
    port->buffer = uint32_t(program.buffers.size() - 1);
    port->ascends_to = std::make_unique<format::SizeT>();
    port->ascends_to->symbols = {1};
    port->max_step = 3;
    program.inputs.push_back(std::move(port));
  });
  auto run = [&](std::vector<int32_t> cu) {
    Inputs in;
    in.shape = {1, 6};
    std::vector<InputTensor> tensors = in.tensors();
    std::vector<int64_t> shape{int64_t(cu.size())};
    tensors.push_back({"cu", ElementType::I32, shape, cu.data(), cu.size() * 4});
    OutputTensor out{"y"};
    return (*loaded.model->findProgram("forward"))->run(tensors, {&out, 1});
  };
  EXPECT_TRUE(run({0, 3, 6}).ok());
  for (std::vector<int32_t> cu : {std::vector<int32_t>{1, 3, 6}, {0, 3, 5}, {0, 3, 7}, {0, 7, 6},
                                  {0, -1, 6}, {0, 4, 6}, {0, 2, 6}, {0, 6}, {-6, 0, 6}}) {
    Status status = run(cu);
    EXPECT_EQ(status.code(), ExitCode::Usage) << cu[1] << " " << status.message();
  }
}

TEST_F(ExecutorTest, MemoryIsThePlans) {
  auto memory = loaded.model->memory();
  ASSERT_EQ(memory.size(), 1u);
  EXPECT_EQ(memory[0].arena, 448u);
  EXPECT_TRUE(memory[0].weightsInPlace);
  EXPECT_EQ(memory[0].allocated, 3 * kPage); // activations, constants, state
}

TEST(Load, OnlySomePrograms) {
  auto withPrograms = [](std::vector<std::string> names) {
    LoadOptions options;
    options.programs = std::move(names);
    return loadModel(
        [&](format::PlanT &plan) {
          plan.devices[0]->arena_bytes += 4096; // of one buffer more of "step"
          auto buffer = std::make_unique<format::BufferT>(*plan.programs[1]->buffers[0]);
          buffer->offset = plan.devices[0]->arena_bytes - 4096;
          buffer->space = format::Space::Arena;
          buffer->bytes = 4096;
          plan.programs[1]->buffers.push_back(std::move(buffer));
        },
        options);
  };
  LoadedModel both = withPrograms({}), forward = withPrograms({"forward"}),
              step = withPrograms({"step"});
  EXPECT_EQ(both.model->programs().size(), 2u);
  ASSERT_EQ(forward.model->programs().size(), 1u);
  EXPECT_EQ(forward.model->programs()[0]->name(), "forward");
  EXPECT_TRUE(step.model->hasProgram("step"));
  EXPECT_FALSE(step.model->hasProgram("forward"));
  EXPECT_EQ(step.model->findProgram("forward").status().code(), ExitCode::Usage);
  // Activations are what the loaded programs need.
  EXPECT_EQ(both.model->memory()[0].arena, step.model->memory()[0].arena);
  EXPECT_LT(forward.model->memory()[0].arena + 4096, both.model->memory()[0].arena + 1);
  Inputs in;
  OutputTensor out{"y"};
  EXPECT_TRUE(forward.model->programs()[0]->run(in.tensors(), {&out, 1}).ok());
  EXPECT_TRUE(step.model->reset().ok());
}

TEST(Load, WeightsAreNeededOrRandom) {
  auto unbound = [](format::PlanT &plan) { plan.weights_embedded = false; };
  auto plan = makePlan();
  unbound(*plan);
  AlignedBytes bytes(makeFile(*plan));
  auto artifact = Artifact::fromBytes(bytes.span());
  ASSERT_TRUE(artifact.ok()) << artifact.status().message();
  Status status = Model::load(*artifact).status();
  EXPECT_EQ(status.code(), ExitCode::Usage);
  EXPECT_TRUE(contains(status, "--weights"));
  LoadOptions options;
  options.weights = "/no/such/folder";
  EXPECT_FALSE(Model::load(*artifact, options).ok());
  auto first = [&](const std::string &weights) {
    LoadOptions options;
    options.weights = weights;
    LoadedModel loaded = loadModel(unbound, options);
    Inputs in;
    OutputTensor out{"y"};
    EXPECT_TRUE((*loaded.model->findProgram("forward"))->run(in.tensors(), {&out, 1}).ok());
    return static_cast<float *>(out.data)[0];
  };
  EXPECT_EQ(first("random:1"), first("random:1"));
  EXPECT_NE(first("random:1"), first("random:2"));
}

TEST(Load, AMachineWithoutTheLevelIsRefused) {
  auto plan = makePlan();
  plan->targets[0]->arch = "x86-64-v9";
  AlignedBytes bytes(makeFile(*plan));
  auto artifact = Artifact::fromBytes(bytes.span());
  ASSERT_TRUE(artifact.ok());
  EXPECT_EQ(Model::load(*artifact).status().code(), ExitCode::DeviceMismatch);
}

TEST(Load, AMissingEntryOrABadImage) {
  auto load = [](const std::function<void(format::PlanT &)> &change) {
    auto plan = makePlan();
    change(*plan);
    AlignedBytes bytes(makeFile(*plan));
    auto artifact = Artifact::fromBytes(bytes.span());
    EXPECT_TRUE(artifact.ok()) << artifact.status().message();
    return Model::load(*artifact).status();
  };
  Status status = load([](format::PlanT &p) { p.kernels[1]->entry = "nothing"; });
  EXPECT_EQ(status.code(), ExitCode::MalformedInput);
  status = load([](format::PlanT &p) { p.images[0]->bytes = 1000; });
  EXPECT_EQ(status.code(), ExitCode::MalformedInput);
  status = load([](format::PlanT &p) { p.devices[0]->state_bytes = uint64_t(1) << 45; });
  EXPECT_EQ(status.code(), ExitCode::OutOfResources);
  EXPECT_TRUE(contains(status, "program state"));
}
