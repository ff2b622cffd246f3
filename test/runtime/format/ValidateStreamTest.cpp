//===- ValidateStreamTest.cpp - Rule V15, one wrong plan each ---*- C++ -*-===//
#include "test/runtime/format/Refuses.h"

#include <algorithm>

using namespace ingot;
using namespace ingot::format;
using namespace ingot::testing;

namespace {

/// The program of addStream(), the last one.
ProgramT &chain(PlanT &p) { return *p.programs.back(); }
StreamT &streamOf(PlanT &p) { return *chain(p).streams[0]; }
KernelT &streamKernel(PlanT &p) { return *p.kernels[streamOf(p).kernel]; }
TensorMapT &streamMap(PlanT &p) { return *streamOf(p).tasks[0]->tensor_maps[0]; }
LaunchT &streamed(PlanT &p, size_t i) {
  return *chain(p).steps[streamOf(p).first + i]->action.AsLaunch();
}

void makeStream(PlanT &p, bool resident = false) {
  addStream(p, resident);
  p.targets[0]->kind = "cuda";
}
void refusesStream(const std::string &words, const std::function<void(PlanT &)> &change) {
  refuses(words, [&](PlanT &p) {
    makeStream(p);
    change(p);
  });
}
void refusesResident(const std::string &words, const std::function<void(PlanT &)> &change) {
  refuses(words, [&](PlanT &p) {
    makeStream(p, /*resident=*/true);
    change(p);
  });
}

} // namespace

TEST(Validate, V15_StreamsAreValid) {
  for (bool resident : {false, true}) {
    auto plan = makePlan();
    makeStream(*plan, resident);
    AlignedBytes bytes(packPlan(*plan));
    auto verified = verifyPlan(bytes.span());
    ASSERT_TRUE(verified.ok());
    Status status = validatePlan(**verified, {kernelImage().size(), true, kPage});
    EXPECT_TRUE(status.ok()) << status.message();
  }
}

TEST(Validate, V15_StreamLaunches) {
  refusesStream("inside the 4 steps", [](PlanT &p) { streamOf(p).first = 2; });
  refusesStream("inside the 4 steps", [](PlanT &p) { streamOf(p).first = UINT32_MAX; });
  refusesStream("inside the 4 steps", [](PlanT &p) { streamOf(p).steps.clear(); });
  refusesStream("a first step from 4 on", [](PlanT &p) {
    chain(p).streams.push_back(std::make_unique<StreamT>(streamOf(p)));
  });
  refusesResident("steps[0]: expected a launch", [](PlanT &p) { streamOf(p).first = 0; });
  refusesStream("of kind 'cuda'", [](PlanT &p) {
    p.targets[0]->kind = "host";
    streamKernel(p).device_sizes.clear();
  });
  refusesStream("on device 0, got one on device 1", [](PlanT &p) {
    p.devices.push_back(std::make_unique<DeviceT>(*p.devices[0]));
    p.devices[1]->weight_bytes = 0;
    for (uint32_t &buffer : streamed(p, 2).buffers) {
      chain(p).buffers.push_back(std::make_unique<BufferT>(*chain(p).buffers[buffer]));
      buffer = uint32_t(chain(p).buffers.size() - 1);
      chain(p).buffers.back()->device = 1;
    }
    streamed(p, 2).device = 1;
  });
}

TEST(Validate, V15_StreamKernels) {
  refusesStream("a kernel below", [](PlanT &p) { streamOf(p).kernel = 99; });
  refusesStream("for the device's target", [](PlanT &p) {
    p.targets.push_back(std::make_unique<TargetT>(*p.targets[0]));
    p.images.push_back(std::make_unique<ImageT>(*p.images[0]));
    p.images[1]->target = 1;
    streamKernel(p).image = 1;
  });
  refusesStream("2 buffers and 2 sizes", [](PlanT &p) {
    streamKernel(p).num_buffers = 3;
    streamKernel(p).written = {0, 1, 1};
  });
  refusesStream("2 buffers and 2 sizes", [](PlanT &p) { streamKernel(p).num_sizes = 3; });
  refusesStream("2 buffers and 1 sizes", [](PlanT &p) { streamOf(p).sizes.clear(); });
  refusesStream("size 0 by address", [](PlanT &p) { streamKernel(p).device_sizes.clear(); });
  refusesStream("size 0 by address", [](PlanT &p) { streamKernel(p).device_sizes = {1}; });
  refusesStream("size 0 by address", [](PlanT &p) { streamKernel(p).device_sizes = {0, 1}; });
  refusesStream("no tensor maps", [](PlanT &p) {
    streamKernel(p).tensor_maps.push_back(std::make_unique<TensorMapT>(streamMap(p)));
  });
  refusesStream("3 constant sizes", [](PlanT &p) { streamKernel(p).grid.clear(); });
  refusesStream("3 constant sizes", [](PlanT &p) { streamKernel(p).grid[0]->symbols = {0}; });
  refusesStream("not one of a stream", [](PlanT &p) { // launched, too
    auto step = std::make_unique<StepT>();
    LaunchT launch(streamed(p, 0));
    launch.kernel = streamOf(p).kernel;
    launch.sizes.push_back(std::make_unique<SizeT>());
    step->action.Set(std::move(launch));
    chain(p).steps.push_back(std::move(step));
  });
}

TEST(Validate, V15_StreamSizes) {
  refusesStream("a symbol below 1", [](PlanT &p) { streamOf(p).symbol = 1; });
  refusesStream("symbols below 1", [](PlanT &p) { streamOf(p).sizes[0]->symbols = {1}; });
  refusesStream("factor >= 1", [](PlanT &p) { streamOf(p).sizes[0]->factor = 0; });
  refusesStream("63 bits", [](PlanT &p) {
    streamOf(p).sizes[0]->factor = INT64_MAX;
    streamOf(p).sizes[0]->symbols = {0};
  });
  refusesStream("most_tokens from 1 to 8", [](PlanT &p) { streamOf(p).most_tokens = 0; });
  refusesStream("most_tokens from 1 to 8", [](PlanT &p) { streamOf(p).most_tokens = 9; });
  refusesStream("bytes per token", [](PlanT &p) { streamOf(p).bytes_per_token = UINT64_MAX; });
  refusesStream("bytes on a device", [](PlanT &p) {
    streamOf(p).most_tokens = 8;
    streamOf(p).bytes_per_token = kMaxSpaceBytes / 8;
  });
  // The number of tokens is read behind the first launch of the stream, or elsewhere.
  auto readLast = [](PlanT &p) {
    for (size_t i = 0; i < 4; ++i)
      chain(p).steps[i + 1]->action.AsLaunch()->sizes[0]->symbols = {0};
    std::rotate(chain(p).steps.begin(), chain(p).steps.begin() + 1, chain(p).steps.end());
    streamOf(p).first = 1;
  };
  refusesResident("which no step has read on device 0", readLast);
  refusesResident("which no step has read on device 0", [&](PlanT &p) {
    readLast(p);
    streamOf(p).symbol = 0;
    streamOf(p).sizes[0]->symbols = {1};
  });
  refusesResident("which no step has read on device 0", [](PlanT &p) {
    p.devices.push_back(std::make_unique<DeviceT>(*p.devices[0]));
    p.devices[1]->weight_bytes = 0;
    chain(p).buffers[5]->device = 1;
  });
}

TEST(Validate, V15_ExchangedMemory) {
  auto step = [](PlanT &p, size_t i) -> StreamStepT & { return *streamOf(p).steps[i]; };
  refusesStream("a task below 2", [&](PlanT &p) { step(p, 2).task = 2; });
  refusesStream("an entry for each of 2", [&](PlanT &p) { step(p, 0).exchanged.pop_back(); });
  refusesStream("an entry for each of 2", [&](PlanT &p) { step(p, 0).exchanged.push_back(-1); });
  refusesStream("at most 14", [&](PlanT &p) {
    p.kernels.push_back(std::make_unique<KernelT>(*p.kernels[streamed(p, 2).kernel]));
    p.kernels.back()->num_buffers = 15;
    p.kernels.back()->written.resize(15);
    streamed(p, 2).kernel = uint32_t(p.kernels.size() - 1);
    streamed(p, 2).buffers.resize(15);
    step(p, 2).exchanged.resize(15, -1);
  });
  refusesStream("a task of its kernel", [](PlanT &p) { streamOf(p).tasks[1]->kernel = 0; });
  auto part = [&](PlanT &p, uint64_t at, uint64_t bytes) {
    step(p, 0).part = at;
    streamOf(p).tasks[0]->part_bytes = bytes;
  };
  refusesStream("part: expected a multiple of 16 with 4 bytes", [&](PlanT &p) { part(p, 8, 4); });
  refusesStream("4 bytes inside 32", [&](PlanT &p) { part(p, 32, 4); });
  refusesStream("4 bytes inside 32", [&](PlanT &p) { part(p, UINT64_MAX - 15, 4); });
  refusesStream("bytes inside 32", [&](PlanT &p) { part(p, 16, UINT64_MAX); });
  refusesStream("written before", [&](PlanT &p) { part(p, 16, 4); });
  refusesStream("16 bytes inside 32", [&](PlanT &p) { step(p, 0).exchanged[1] = 8; });
  refusesStream("16 bytes inside 32", [&](PlanT &p) { step(p, 0).exchanged[1] = -16; });
  refusesStream("16 bytes inside 32", [&](PlanT &p) { step(p, 1).exchanged[1] = 32; });
  refusesStream("16 bytes inside 32", [&](PlanT &p) { step(p, 1).exchanged[1] = INT64_MAX - 15; });
  refusesStream("16 bytes inside 31", [](PlanT &p) { streamOf(p).bytes_per_token = 31; });
  refusesStream("24 bytes inside 32", [](PlanT &p) { // larger than its place
    chain(p).buffers[3]->shape[1]->factor = 6;
    chain(p).buffers[3]->bytes = 144;
    chain(p).buffers[3]->offset = 0;
  });
  refusesStream("that 6 tokens share",
                [](PlanT &p) { chain(p).buffers[2]->shape[0]->symbols.clear(); });
  refusesStream("where 0 are written", [&](PlanT &p) { step(p, 0).exchanged[1] = -1; });
  refusesStream("where 0 are written", [&](PlanT &p) { step(p, 1).exchanged[0] = 16; });
  refusesStream("written before", [&](PlanT &p) { step(p, 1).exchanged[1] = 0; });
  refusesStream("written before", [&](PlanT &p) {
    chain(p).buffers[2]->shape[1]->factor = 5; // a word into the next
    chain(p).buffers[2]->bytes = 120;
  });
  refusesStream("24 bytes at offset 0, where 16 are written", [&](PlanT &p) {
    chain(p).buffers.push_back(std::make_unique<BufferT>(*chain(p).buffers[2]));
    chain(p).buffers.back()->shape[1]->factor = 6;
    chain(p).buffers.back()->bytes = 144;
    streamed(p, 1).buffers[0] = uint32_t(chain(p).buffers.size() - 1);
  });
  refusesStream("an output", [&](PlanT &p) {
    streamOf(p).bytes_per_token = 48;
    step(p, 2).exchanged[1] = 32;
  });
  refusesStream("one that outlives it", [](PlanT &p) {
    chain(p).buffers[2]->space = Space::State;
    chain(p).buffers[2]->offset = 0;
  });
}

TEST(Validate, V15_StreamMaps) {
  refusesStream("a buffer argument below 2", [](PlanT &p) { streamMap(p).buffer = 2; });
  refusesStream("constant dimensions", [](PlanT &p) { streamMap(p).dims[1]->symbols = {0}; });
  refusesStream("constant dimensions", [](PlanT &p) { streamMap(p).strides[0]->symbols = {0}; });
  refusesStream("size arguments below 1", [](PlanT &p) { streamMap(p).dims[1]->symbols = {1}; });
  refusesStream("inside the 96 bytes", [](PlanT &p) { streamMap(p).dims[1]->factor = 7; });
  refusesStream("inside the 96 bytes", [](PlanT &p) { streamMap(p).offset = 16; });
  refusesStream("of at most 2^32", [](PlanT &p) { streamMap(p).dims[1]->factor = INT64_MAX; });
  refusesStream("1 to 256", [](PlanT &p) { streamMap(p).box[1] = 0; });
  refusesStream("at most 2 tensor maps", [](PlanT &p) {
    for (int i = 0; i < 2; ++i)
      streamOf(p).tasks[0]->tensor_maps.push_back(std::make_unique<TensorMapT>(streamMap(p)));
  });
  refusesStream("argument that is not exchanged, got one of argument 1",
                [](PlanT &p) { streamMap(p).buffer = 1; });
  // Of every launch of the task.
  refusesStream("steps[1] of kernel 'twice': tensor map 0",
                [](PlanT &p) { streamOf(p).steps[1]->task = 0; });
}
