//===- ValidateTest.cpp - Rules V1 to V14, one wrong plan each --*- C++ -*-===//
#include "test/runtime/format/Refuses.h"

using namespace ingot;
using namespace ingot::format;
using namespace ingot::testing;

static LaunchT &launchOf(PlanT &plan, size_t step = 0) {
  return *plan.programs[0]->steps[step]->action.AsLaunch();
}
static BufferT &buffer(PlanT &plan, size_t index) { return *plan.programs[0]->buffers[index]; }

TEST(Validate, TheTestPlanIsValid) {
  AlignedBytes bytes(packPlan(*makePlan()));
  auto plan = verifyPlan(bytes.span());
  ASSERT_TRUE(plan.ok());
  Status status = validatePlan(**plan, {kernelImage().size(), true, kPage});
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(Validate, V1_Names) {
  refuses("unique names", [](PlanT &p) { p.programs[1]->name = "forward"; });
  refuses("a name of 1 to", [](PlanT &p) { p.programs[0]->name = ""; });
  refuses("a name of 1 to", [](PlanT &p) { p.weights[0]->name = std::string(5000, 'x'); });
  refuses("without zero bytes", [](PlanT &p) { p.states[0]->name = std::string("a\0b", 3); });
  refuses("unique names", [](PlanT &p) { p.programs[0]->inputs[1]->name = "x"; });
  refuses("unique names", [](PlanT &p) { p.programs[0]->symbols[1]->name = "B"; });
}

TEST(Validate, V2_Indices) {
  refuses("a target below", [](PlanT &p) { p.devices[0]->target = 1; });
  refuses("a target below", [](PlanT &p) { p.images[0]->target = 1; });
  refuses("an image below", [](PlanT &p) { p.kernels[0]->image = 1; });
  refuses("a kernel below", [](PlanT &p) { launchOf(p).kernel = 99; });
  refuses("a device below", [](PlanT &p) { launchOf(p).device = 1; });
  refuses("a device below", [](PlanT &p) { buffer(p, 0).device = 1; });
  refuses("a buffer below", [](PlanT &p) { launchOf(p).buffers[0] = 1000; });
  refuses("a buffer below", [](PlanT &p) { p.programs[0]->inputs[0]->buffer = 1000; });
  refuses("a source below", [](PlanT &p) { p.weights[0]->sources[0] = 1; });
  refuses("symbols below", [](PlanT &p) { buffer(p, 0).shape[0]->symbols[0] = 2; });
  refuses("distinct symbols", [](PlanT &p) { p.programs[0]->limits[0]->symbols = {0, 0}; });
  refuses("a launch, a copy or the reading",
          [](PlanT &p) { p.programs[0]->steps[0]->action.Reset(); });
}

TEST(Validate, V3_Symbols) {
  refuses("1 <= min <= max", [](PlanT &p) { p.programs[0]->symbols[0]->min = 0; });
  refuses("1 <= min <= max", [](PlanT &p) { p.programs[0]->symbols[0]->max = -1; });
  refuses("1 <= min <= max", [](PlanT &p) { p.programs[0]->symbols[0]->max = INT64_MAX; });
  refuses("minima keep", [](PlanT &p) { p.programs[0]->limits[0]->max = 0; });
  refuses("minima keep", [](PlanT &p) { p.programs[0]->limits[0]->symbols.clear(); });
}

TEST(Validate, V4_Sizes) {
  refuses("factor >= 1", [](PlanT &p) { buffer(p, 0).shape[0]->factor = 0; });
  refuses("factor >= 1", [](PlanT &p) { launchOf(p).sizes[0]->factor = -4; });
  refuses("divisor >= 1", [](PlanT &p) { launchOf(p).grid[0]->divisor = 0; });
  refuses("63 bits", [](PlanT &p) { launchOf(p).sizes[0]->factor = INT64_MAX; });
  refuses("63 bits", [](PlanT &p) {
    for (int i = 0; i < 3; ++i)
      launchOf(p).grid[i]->factor = int64_t(1) << 40;
  });
}

TEST(Validate, V5_Buffers) {
  refuses("at least 64 bytes", [](PlanT &p) { buffer(p, 0).bytes = 63; });
  refuses("a range inside", [](PlanT &p) { buffer(p, 6).offset = 448; });
  refuses("a range inside", [](PlanT &p) { buffer(p, 0).offset = UINT64_MAX - 63; });
  refuses("a range inside", [](PlanT &p) { p.devices[0]->arena_bytes = 100; });
  refuses("a multiple of 64", [](PlanT &p) { buffer(p, 0).offset = 8; });
  refuses("an element type", [](PlanT &p) { buffer(p, 0).dtype = DType(99); });
  refuses("a space from", [](PlanT &p) { buffer(p, 0).space = Space(4); });
  refuses("a rank of at most", [](PlanT &p) {
    for (int i = 0; i < 9; ++i)
      buffer(p, 0).shape.push_back(std::make_unique<SizeT>());
  });
  refuses("63 bits", [](PlanT &p) {
    for (auto &dim : buffer(p, 0).shape)
      dim->factor = int64_t(1) << 32;
  });
  // Without the limit, B * S may be 32.
  refuses("at least 128 bytes", [](PlanT &p) { p.programs[0]->limits.clear(); });
}

TEST(Validate, V6_Launches) {
  refuses("5 buffers", [](PlanT &p) { launchOf(p).buffers.pop_back(); });
  refuses("1 sizes", [](PlanT &p) { launchOf(p).sizes.clear(); });
  refuses("a grid of 3", [](PlanT &p) { launchOf(p).grid.pop_back(); });
  refuses("may be written", [](PlanT &p) { p.kernels[0]->written[3] = 1; });
  refuses("written flags", [](PlanT &p) { p.kernels[0]->written.pop_back(); });
  refuses("a kernel for the device's target", [](PlanT &p) {
    p.targets.push_back(std::make_unique<TargetT>(*p.targets[0]));
    p.images[0]->target = 1;
  });
  refuses("a buffer on device 1", [](PlanT &p) {
    p.devices.push_back(std::make_unique<DeviceT>(*p.devices[0]));
    p.devices[1]->weight_bytes = 0;
    launchOf(p).device = 1;
  });
}

TEST(Validate, V7_Copies) {
  refuses("the same byte size", [](PlanT &p) { buffer(p, 6).shape.pop_back(); });
  refuses("may be written", [](PlanT &p) { p.programs[0]->steps[1]->action.AsCopy()->target = 3; });
  refuses("a buffer below",
          [](PlanT &p) { p.programs[0]->steps[1]->action.AsCopy()->source = 77; });
}

TEST(Validate, V8_Inputs) {
  refuses("do not overlap", [](PlanT &p) { buffer(p, 1).offset = 0; });
  refuses("in the arena", [](PlanT &p) { p.programs[0]->inputs[0]->buffer = 3; });
  refuses("minimum <= fill", [](PlanT &p) { p.programs[0]->inputs[2]->fill = 2; });
  refuses("fit i32", [](PlanT &p) { p.programs[0]->inputs[1]->maximum = INT64_MAX; });
  refuses("no range for", [](PlanT &p) { p.programs[0]->inputs[0]->has_range = true; });
  refuses("a dimension of a required input", [](PlanT &p) {
    auto symbol = std::make_unique<SymbolT>();
    symbol->name = "X";
    symbol->max = 2;
    p.programs[0]->symbols.push_back(std::move(symbol));
  });
}

TEST(Validate, V9_WeightsStatesImages) {
  refuses("a range inside the code", [](PlanT &p) { p.images[0]->bytes += 1; });
  refuses("a range inside the code", [](PlanT &p) { p.images[0]->offset = UINT64_MAX; });
  refuses("16 bytes for f32[4]", [](PlanT &p) { p.weights[0]->bytes = 17; });
  refuses("aligned range", [](PlanT &p) { p.weights[0]->offset = 64; });
  refuses("dimensions from 1", [](PlanT &p) { p.sources[0]->shape = {0}; });
  refuses("63 bits", [](PlanT &p) { p.sources[0]->shape = {1ull << 40, 1ull << 40}; });
  refuses("weights[0] 'w'", [](PlanT &p) { p.weights[0]->recipe.clear(); });
  refuses("weights[0] 'w'", [](PlanT &p) { p.sources[0]->shape = {5}; });
  refuses("an op below", [](PlanT &p) { p.weights[0]->recipe[0]->op = format::RecipeOp(77); });
  refuses("do not overlap", [](PlanT &p) {
    p.weights.push_back(std::make_unique<WeightT>());
    *p.weights[1] = WeightT();
    p.weights[1]->name = "v";
    p.weights[1]->shape = {4};
    p.weights[1]->bytes = 16;
    p.weights[1]->sources = {0};
    p.weights[1]->recipe.push_back(std::make_unique<RecipeStepT>());
    p.weights[1]->recipe[0]->ints = {0};
  });
  refuses("weights section", [](PlanT &p) { p.weights_embedded = false; });
  refuses("weight_bytes", [](PlanT &p) { p.devices[0]->weight_bytes = 2 * kPage; });
  refuses("a range inside 64", [](PlanT &p) { p.constants[0]->offset = 62; });
  refuses("144 bytes for i32[9, 4]", [](PlanT &p) { p.states[0]->bytes = 4; });
}

TEST(Validate, V10_Generation) {
  refuses("the name of a program", [](PlanT &p) { p.generation->program = "nothing"; });
  refuses("the name of an input", [](PlanT &p) { p.generation->num_tokens = "nothing"; });
  refuses("the name of an output", [](PlanT &p) { p.generation->logits = "input_ids"; });
  refuses("another last dimension", [](PlanT &p) { p.generation->vocab_size = 14; });
  refuses("hold max_context", [](PlanT &p) { p.generation->max_context = 17; });
  refuses("hold max_context", [](PlanT &p) { p.generation->block_size = 0; });
  refuses("a port with the range", [](PlanT &p) { p.generation->num_blocks = 8; });
  refuses("a port with the range", [](PlanT &p) { p.programs[1]->inputs[0]->has_range = false; });
  refuses("top_p", [](PlanT &p) { p.generation->top_p = 0; });
  refuses("top_p", [](PlanT &p) { p.generation->temperature = __builtin_nanf(""); });
  refuses("may be 1", [](PlanT &p) { p.programs[1]->symbols[1]->min = 2; });
  refuses("another shape", [](PlanT &p) { p.generation->input_ids = "num_tokens"; });
}

TEST(Validate, V10_DecodeProgram) {
  auto refusesDecode = [](const std::string &words, const std::function<void(PlanT &)> &change) {
    refuses(words, [&](PlanT &p) {
      addDecode(p);
      change(p);
    });
  };
  refusesDecode("version", [](PlanT &p) { p.version = 0; });
  refusesDecode("the name of a program", [](PlanT &p) { p.generation->decode_program = "x"; });
  refusesDecode("the name of an input", [](PlanT &p) { p.generation->decode_program = "forward"; });
  refusesDecode("another last dimension", [](PlanT &p) {
    p.programs[2]->buffers[p.programs[2]->outputs[0]->buffer]->shape[1]->factor = 7;
  });
  refusesDecode("the rows and blocks of the step program",
                [](PlanT &p) { p.programs[2]->symbols[0]->max = 2; });
}

TEST(Validate, V10_Sampling) {
  auto refusesSampling = [](const std::string &words, const std::function<void(PlanT &)> &change) {
    refuses(words, [&](PlanT &p) {
      addSampling(p);
      change(p);
    });
  };
  refusesSampling("version", [](PlanT &p) { p.version = 0; });
  refusesSampling("the name of an output", [](PlanT &p) { p.generation->sampling->tokens = "x"; });
  refusesSampling("the name of an input", [](PlanT &p) { p.generation->sampling->seed = "x"; });
  refusesSampling("expected i64", [](PlanT &p) { p.generation->sampling->seed = "top_k"; });
  refusesSampling("a port for nothing else",
                  [](PlanT &p) { p.generation->sampling->top_p = "temperature"; });
  refusesSampling("the range [0, 2]", [](PlanT &p) { p.programs[1]->inputs[11]->maximum = 3; });
  refusesSampling("another shape", [](PlanT &p) {
    p.programs[1]->buffers[p.programs[1]->inputs[4]->buffer]->shape.clear();
  });
}

TEST(Validate, V11_Caps) {
  refuses("spaces of at most", [](PlanT &p) { p.devices[0]->state_bytes = UINT64_MAX; });
  refuses("of scratch", [](PlanT &p) { p.kernels[0]->scratch_bytes = UINT64_MAX; });
  refuses("1 to 64", [](PlanT &p) { p.devices.clear(); });
  refuses("at least one", [](PlanT &p) { p.generation.reset(), p.programs.clear(); });
  refuses("version", [](PlanT &p) { p.version = kFormatVersion + 1; });
  refuses("1024 in all", [](PlanT &p) { p.kernels[0]->block = {1024, 2, 1}; });
}

namespace {

/// combine, as a kernel for CUDA with a tensor map over x[B * S / 4, 4].
void makeCuda(PlanT &p) {
  p.targets[0]->kind = "cuda";
  p.targets[0]->arch = "sm_90a";
  KernelT &kernel = *p.kernels[0];
  kernel.block = {128, 1, 1};
  kernel.cluster = {2, 1, 1};
  kernel.overlaps = true;
  kernel.device_sizes = {0};
  auto map = std::make_unique<TensorMapT>();
  map->dims.push_back(std::make_unique<SizeT>());
  map->dims[0]->factor = 4;
  map->dims.push_back(std::make_unique<SizeT>());
  map->dims[1]->symbols = {0};
  map->dims[1]->divisor = 4;
  map->strides.push_back(std::make_unique<SizeT>());
  map->strides[0]->factor = 16;
  map->box = {4, 8};
  kernel.tensor_maps.push_back(std::move(map));
  // The same code for another architecture.
  p.targets.push_back(std::make_unique<TargetT>(*p.targets[0]));
  p.targets[1]->arch = "sm_80";
  p.images.push_back(std::make_unique<ImageT>(*p.images[0]));
  p.images[1]->target = 1;
  p.kernels.push_back(std::make_unique<KernelT>());
  KernelT &variant = *p.kernels.back();
  variant.entry = "combine";
  variant.image = 1;
  variant.num_buffers = 5;
  variant.num_sizes = 1;
  variant.written = {0, 0, 0, 0, 1};
  for (int i = 0; i < 3; ++i)
    variant.grid.push_back(std::make_unique<SizeT>());
  variant.grid[0]->symbols = {0};
  p.kernels[0]->variants = {uint32_t(p.kernels.size() - 1)};
}

void refusesCuda(const std::string &words, const std::function<void(PlanT &)> &change) {
  refuses(words, [&](PlanT &p) {
    makeCuda(p);
    change(p);
  });
}

TensorMapT &mapOf(PlanT &p) { return *p.kernels[0]->tensor_maps[0]; }

} // namespace

TEST(Validate, V12_CudaKernels) {
  refusesCuda("version", [](PlanT &p) { p.version = 0; });
  // All that is in it is fine otherwise.
  auto plan = makePlan();
  makeCuda(*plan);
  AlignedBytes bytes(packPlan(*plan));
  auto verified = verifyPlan(bytes.span());
  ASSERT_TRUE(verified.ok());
  Status status = validatePlan(**verified, {kernelImage().size(), true, kPage});
  EXPECT_TRUE(status.ok()) << status.message();

  refusesCuda("on CUDA only", [](PlanT &p) { p.targets[0]->kind = "host"; });
  refusesCuda("1 to 16 in all", [](PlanT &p) { p.kernels[0]->cluster = {32, 1, 1}; });
  refusesCuda("1 to 16 in all", [](PlanT &p) { p.kernels[0]->cluster = {0, 1, 1}; });
  refusesCuda("a size argument below", [](PlanT &p) { p.kernels[0]->device_sizes = {1}; });
  refusesCuda("at most 64 device sizes",
              [](PlanT &p) { p.kernels[0]->device_sizes.assign(65, 0); });
}

TEST(Validate, V12_TensorMaps) {
  refusesCuda("a buffer argument below", [](PlanT &p) { mapOf(p).buffer = 5; });
  refusesCuda("an element type", [](PlanT &p) { mapOf(p).dtype = DType(99); });
  refusesCuda("1 to 5 dimensions", [](PlanT &p) { mapOf(p).strides.clear(); });
  refusesCuda("1 to 5 dimensions", [](PlanT &p) { mapOf(p).box.push_back(1); });
  refusesCuda("1 to 5 dimensions", [](PlanT &p) { mapOf(p).element_strides = {1}; });
  refusesCuda("1 to 5 dimensions", [](PlanT &p) {
    mapOf(p).dims.clear();
    mapOf(p).strides.clear();
    mapOf(p).box.clear();
  });
  refusesCuda("a multiple of 16", [](PlanT &p) { mapOf(p).offset = 8; });
  refusesCuda("a multiple of 16", [](PlanT &p) { mapOf(p).strides[0]->factor = 8; });
  refusesCuda("without a divisor", [](PlanT &p) { mapOf(p).strides[0]->divisor = 2; });
  refusesCuda("factor >= 1", [](PlanT &p) { mapOf(p).dims[0]->factor = 0; });
  refusesCuda("size arguments below", [](PlanT &p) { mapOf(p).dims[1]->symbols = {1}; });
  refusesCuda("1 to 256", [](PlanT &p) { mapOf(p).box[1] = 257; });
  refusesCuda("1 to 8", [](PlanT &p) { mapOf(p).element_strides = {1, 9}; });
  refusesCuda("a known swizzle", [](PlanT &p) { mapOf(p).swizzle = Swizzle(4); });
  refusesCuda("no more than the swizzle's", [](PlanT &p) {
    mapOf(p).box[0] = 16;
    mapOf(p).swizzle = Swizzle::B32;
  });
  refusesCuda("a multiple of 16 bytes", [](PlanT &p) { mapOf(p).box[0] = 3; });
  // Past the buffer's 64 bytes: by the offset, a row more, a larger stride, a size beyond 63 bits.
  refusesCuda("inside the 64 bytes", [](PlanT &p) { mapOf(p).offset = 16; });
  refusesCuda("inside the 64 bytes", [](PlanT &p) { mapOf(p).offset = UINT64_MAX - 15; });
  refusesCuda("inside the 64 bytes", [](PlanT &p) { mapOf(p).dims[1]->divisor = 3; });
  refusesCuda("inside the 64 bytes", [](PlanT &p) { mapOf(p).strides[0]->factor = 32; });
  refusesCuda("of at most 2^32", [](PlanT &p) { mapOf(p).dims[0]->factor = INT64_MAX; });
  refusesCuda("strides below 2^40",
              [](PlanT &p) { mapOf(p).strides[0]->factor = int64_t(1) << 40; });
  refusesCuda("at most 64 device sizes, 16 tensor maps", [](PlanT &p) {
    for (int i = 0; i < 16; ++i)
      p.kernels[0]->tensor_maps.push_back(std::make_unique<TensorMapT>(mapOf(p)));
  });
}

TEST(Validate, V12_Variants) {
  refusesCuda("another kernel below", [](PlanT &p) { p.kernels[0]->variants = {0}; });
  refusesCuda("another kernel below", [](PlanT &p) { p.kernels[0]->variants = {99}; });
  refusesCuda("of the same arguments", [](PlanT &p) { p.kernels.back()->written[0] = 1; });
  refusesCuda("of the same arguments", [](PlanT &p) { p.kernels[0]->variants = {1}; });
  refusesCuda("of kind 'cuda'", [](PlanT &p) { p.targets[1]->kind = "host"; });
  refusesCuda("a grid of its own", [](PlanT &p) { p.kernels.back()->grid.clear(); });
  refusesCuda("one of 3 sizes",
              [](PlanT &p) { p.kernels[0]->grid.push_back(std::make_unique<SizeT>()); });
  refusesCuda("size arguments below", [](PlanT &p) { p.kernels.back()->grid[1]->symbols = {1}; });
  refusesCuda("63 bits", [](PlanT &p) {
    for (auto &size : p.kernels.back()->grid)
      size->factor = int64_t(1) << 30;
  });
  refusesCuda("less than 64 variants", [](PlanT &p) { p.kernels[0]->variants.assign(64, 4); });
}

/// Symbol T of at most B * S, read from `calls` by a last step, and a launch over it.
static void addReadSize(PlanT &plan) { addResidentSize(*plan.programs[0]); }
static ReadSizeT &readOf(PlanT &plan) { return *plan.programs[0]->steps[3]->action.AsReadSize(); }

TEST(Validate, V13_SizesReadFromBuffers) {
  auto plan = makePlan();
  addReadSize(*plan);
  AlignedBytes bytes(packPlan(*plan));
  auto verified = verifyPlan(bytes.span());
  ASSERT_TRUE(verified.ok());
  Status status = validatePlan(**verified, {kernelImage().size(), true, kPage});
  EXPECT_TRUE(status.ok()) << status.message();

  auto refusesRead = [](const std::string &words, const std::function<void(PlanT &)> &change) {
    refuses(words, [&](PlanT &plan) {
      addReadSize(plan);
      change(plan);
    });
  };
  auto symbol = [](PlanT &p) -> SymbolT & { return *p.programs[0]->symbols[2]; };
  refusesRead("min 0 and max from 16", [&](PlanT &p) { symbol(p).min = 1; });
  refusesRead("min 0 and max from 16", [&](PlanT &p) { symbol(p).max = 15; });
  refusesRead("min 0 and max from 16", [&](PlanT &p) { symbol(p).max = INT64_MAX; });
  refusesRead("of the caller", [&](PlanT &p) { symbol(p).bound->symbols = {2}; });
  refusesRead("of the caller", [&](PlanT &p) { symbol(p).bound->symbols = {0, 9}; });
  refusesRead("factor >= 1", [&](PlanT &p) { symbol(p).bound->factor = -1; });
  refusesRead("distinct symbols", [](PlanT &p) { p.programs[0]->limits[0]->symbols = {0, 2}; });
  refusesRead("the caller's symbols before",
              [](PlanT &p) { std::swap(p.programs[0]->symbols[1], p.programs[0]->symbols[2]); });
  refusesRead("a symbol that is read", [](PlanT &p) { readOf(p).symbol = 0; });
  refusesRead("a symbol that is read", [](PlanT &p) { readOf(p).symbol = 99; });
  refusesRead("a buffer below", [](PlanT &p) { readOf(p).buffer = 1000; });
  refusesRead("an element of an i32 buffer", [](PlanT &p) { readOf(p).element = 1; });
  refusesRead("an element of an i32 buffer", [](PlanT &p) { readOf(p).element = UINT64_MAX; });
  refusesRead("an element of an i32 buffer", [](PlanT &p) { readOf(p).buffer = 1; }); // B x S
  refusesRead("an element of an i32 buffer", [](PlanT &p) { readOf(p).buffer = 3; }); // f32
  refusesRead("which no step has read before",
              [](PlanT &p) { std::swap(p.programs[0]->steps[3], p.programs[0]->steps[4]); });
  refusesRead("which no step has read before", [](PlanT &p) { // of an input
    buffer(p, 0).shape.resize(1);
    buffer(p, 0).shape[0]->symbols = {2};
  });
  // Read twice.
  refusesRead("a symbol that is read", [](PlanT &p) {
    auto step = std::make_unique<StepT>();
    step->action.Set(ReadSizeT(readOf(p)));
    p.programs[0]->steps.push_back(std::move(step));
  });
}

TEST(Validate, V14_Offsets) {
  auto offsets = [](PlanT &p) -> PortT & {
    PortT &port = *p.programs[1]->inputs[1]; // num_tokens [B] i32
    port.ascends_to = std::make_unique<SizeT>();
    port.ascends_to->symbols = {0};
    return port;
  };
  refuses("offsets in a required i32 input", [&](PlanT &p) { offsets(p).max_step = -1; });
  refuses("offsets in a required i32 input", [&](PlanT &p) { offsets(p).buffer = 0; }); // rank 2
  refuses("symbols below", [&](PlanT &p) { offsets(p).ascends_to->symbols = {7}; });
}
