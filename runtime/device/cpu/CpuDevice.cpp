//===- CpuDevice.cpp --------------------------------------------*- C++ -*-===//
#include "runtime/device/cpu/CpuDevice.h"

#include "runtime/device/cpu/CpuFeatures.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/Text.h"
#include "runtime/support/ThreadPool.h"

#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace ingot {

static constexpr uint64_t kPageBytes = 4096;
static constexpr uint64_t kHugePageBytes = 2 << 20;

Result<std::unique_ptr<Device>> CpuDevice::create(const DeviceRequest &request) {
  Status first;
  std::optional<size_t> best;
  for (size_t i = 0; i < request.archs.size(); ++i) {
    Status status = checkCpuArch(request.archs[i], cpuLevel(readCpuid()));
    // Names of levels sort by level: "x86-64" < "x86-64-v2" < ...
    if (status.ok() && (!best || request.archs[i] > request.archs[*best]))
      best = i;
    if (i == 0)
      first = status;
  }
  if (!best)
    return first;
  return std::unique_ptr<Device>(new CpuDevice(request.pool, *best));
}

CpuDevice::~CpuDevice() {
  for (Mapping &mapping : mappings_)
    ::munmap(mapping.data, mapping.bytes);
}

std::string CpuDevice::description() const {
  return text("CPU of level ", cpuLevelName(cpuLevel(readCpuid())), ", ", pool_.threads(),
              pool_.threads() == 1 ? " thread" : " threads");
}

Result<uint32_t> CpuDevice::loadImage(std::span<const std::byte> image, std::string_view arch) {
  if (Status status = checkCpuArch(arch, cpuLevel(readCpuid())); !status.ok())
    return status;
  auto loaded = ElfImage::load(image);
  if (!loaded.ok())
    return loaded.status();
  images_.push_back(std::move(*loaded));
  return uint32_t(images_.size() - 1);
}

Result<uint32_t> CpuDevice::resolveKernel(const KernelSpec &spec) {
  void *address = images_[spec.image].find(spec.entry);
  if (!address)
    return Status(ExitCode::MalformedInput, text("code image ", spec.image, ": expected a kernel ",
                                                 quoted(spec.entry), ", got none of that name"));
  kernels_.push_back(reinterpret_cast<ingot_host_kernel>(address));
  scratchBytes_ = std::max(scratchBytes_, spec.scratchBytes);
  return uint32_t(kernels_.size() - 1);
}

Result<void *> CpuDevice::map(uint64_t bytes, std::string_view what) {
  auto rounded = checkedAlignUp(std::max<uint64_t>(bytes, 1), kPageBytes);
  // Memory is handed out lazily: a mapping beyond the machine's memory would succeed and the
  // process be killed later, so it is refused here.
  uint64_t physical = uint64_t(::sysconf(_SC_PHYS_PAGES)) * uint64_t(::sysconf(_SC_PAGESIZE));
  void *data = MAP_FAILED;
  int error = ENOMEM;
  if (rounded && *rounded <= physical) {
    data = ::mmap(nullptr, *rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    error = errno;
  }
  if (data == MAP_FAILED)
    return Status(ExitCode::OutOfResources,
                  text("cannot allocate ", bytesText(bytes), " for ", what, " (this machine has ",
                       bytesText(physical), "): ", std::strerror(error)));
  if (*rounded >= 2 * kHugePageBytes)
    (void)::madvise(data, *rounded, MADV_HUGEPAGE); // fewer TLB misses where the kernel can
  mappings_.push_back({data, *rounded});
  return data;
}

Result<void *> CpuDevice::allocate(uint64_t bytes, std::string_view what) {
  auto data = map(bytes, what);
  if (data.ok() && bytes != 0)
    allocatedBytes_ += mappings_.back().bytes;
  return data;
}

Result<void *> CpuDevice::allocateHost(uint64_t bytes, std::string_view what) {
  return map(bytes, what);
}

const void *CpuDevice::adoptReadOnly(std::span<const std::byte> bytes) { return bytes.data(); }

Status CpuDevice::finishLoad() {
  if (scratchBytes_ == 0)
    return {};
  // Whole pages each, so that workers do not share cache lines.
  auto perWorker = checkedAlignUp(scratchBytes_, kPageBytes);
  auto total = perWorker ? checkedMul<uint64_t>(*perWorker, pool_.threads()) : std::nullopt;
  auto data = map(total ? *total : UINT64_MAX, "the scratch of the threads");
  if (!data.ok())
    return data.status();
  scratchBytes_ = *perWorker;
  scratch_ = static_cast<char *>(*data);
  return {};
}

namespace {
struct GridJob {
  ingot_host_kernel kernel;
  const LaunchSpec *launch;
  char *scratch;
  uint64_t scratchBytes;
};
} // namespace

static void runBlocks(void *context, unsigned worker, int64_t begin, int64_t end) {
  const GridJob &job = *static_cast<const GridJob *>(context);
  const LaunchSpec &launch = *job.launch;
  void *scratch = job.scratch ? job.scratch + worker * job.scratchBytes : nullptr;
  int64_t x = begin % launch.grid[0];
  int64_t y = begin / launch.grid[0] % launch.grid[1];
  int64_t z = begin / launch.grid[0] / launch.grid[1];
  for (int64_t i = begin; i < end; ++i) {
    job.kernel(launch.buffers, launch.sizes, scratch, x, y, z);
    if (++x == launch.grid[0]) {
      x = 0;
      if (++y == launch.grid[1]) {
        y = 0;
        ++z;
      }
    }
  }
}

Status CpuDevice::launch(const LaunchSpec &launch) {
  GridJob job{kernels_[launch.kernel], &launch, scratch_, scratchBytes_};
  pool_.run(launch.grid[0] * launch.grid[1] * launch.grid[2], runBlocks, &job);
  return {};
}

Status CpuDevice::copy(void *target, const void *source, uint64_t bytes) {
  std::memmove(target, source, bytes);
  return {};
}

Status CpuDevice::upload(void *target, const void *hostSource, uint64_t bytes) {
  std::memmove(target, hostSource, bytes);
  return {};
}

Status CpuDevice::download(void *hostTarget, const void *source, uint64_t bytes) {
  std::memmove(hostTarget, source, bytes);
  return {};
}

Status CpuDevice::fill(void *target, uint8_t byte, uint64_t bytes) {
  std::memset(target, byte, bytes);
  return {};
}

} // namespace ingot
