//===- CudaRandom.cpp - Random weights made on the GPU ------------*- C++ -*-===//
//
// 2^30 values take 16 threads half a second and a GPU some milliseconds.
//
//===----------------------------------------------------------------------===//
#include "runtime/device/cuda/CudaDevice.h"

#include "runtime/support/Text.h"
#include "runtime/support/Try.h"

#include <algorithm>

namespace ingot {

using namespace cuda;

static const char kPtx[] =
#include "runtime/device/cuda/RandomPtx.inc"
    ;

namespace {

/// Arguments of Random.cu.
struct RandomArguments {
  void *target;
  uint64_t key;
  double scale, mean;
  uint64_t first, count;
  uint64_t sizes[4];
  int64_t from[4], to[4];
  uint64_t type;
};

} // namespace

Result<bool> CudaDevice::fillRandom(const RandomBox &box) {
  uint64_t type = box.type == ElementType::F32 ? 0 : box.type == ElementType::F16 ? 1 : 2;
  if (type == 2 && box.type != ElementType::BF16)
    return false;
  INGOT_TRY(enter());
  if (!randomTried_) {
    randomTried_ = true;
    CUmodule module = nullptr;
    // A driver without its compiler leaves the work to the host.
    if (driver_.moduleLoadData(&module, kPtx) == kSuccess) {
      modules_.push_back(module);
      INGOT_TRY(check(driver_.moduleGetFunction(&random_, module, "ingot_random"),
                      "finding the kernel of random weights"));
    }
  }
  if (!random_)
    return false;
  RandomArguments arguments = {
      box.target, box.fill.key(), box.fill.scale(), box.fill.mean(), box.first, 1, {}, {}, {},
      type};
  for (unsigned i = 0; i < 4; ++i) {
    arguments.sizes[i] = box.axes[i].size;
    arguments.from[i] = box.axes[i].sourceStride;
    arguments.to[i] = box.axes[i].targetStride;
    arguments.count *= box.axes[i].size;
  }
  if (arguments.count == 0)
    return true;
  void *parameters[] = {&arguments};
  LaunchConfig config = {};
  config.blockX = 256;
  config.blockY = config.blockZ = config.gridY = config.gridZ = 1;
  config.gridX =
      unsigned(std::min<uint64_t>((arguments.count + 255) / 256, uint64_t(multiprocessors_) * 8));
  config.stream = stream_;
  INGOT_TRY(check(driver_.launchKernel(&config, random_, parameters, nullptr),
                  text("making ", arguments.count, " random weights")));
  return true;
}

} // namespace ingot
