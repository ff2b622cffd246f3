//===- CudaDevice.cpp -------------------------------------------*- C++ -*-===//
#include "runtime/device/cuda/CudaDevice.h"

#include "runtime/format/Validate.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"

#include <algorithm>

namespace ingot {

using namespace cuda;

static constexpr uint64_t kPageBytes = 4096;

static CUdeviceptr address(const void *pointer) {
  return CUdeviceptr(reinterpret_cast<uintptr_t>(pointer));
}

Result<std::unique_ptr<Device>> CudaDevice::create(const DeviceRequest &request) {
  static const Result<CudaDriver> driver = openCudaDriver();
  if (!driver.ok())
    return driver.status();
  return create(*driver, request);
}

Result<std::unique_ptr<Device>> CudaDevice::create(const CudaDriver &driver,
                                                   const DeviceRequest &request) {
  std::unique_ptr<CudaDevice> device(new CudaDevice(driver));
  if (Status status = device->open(request); !status.ok())
    return status;
  return std::unique_ptr<Device>(std::move(device));
}

static std::string archList(std::span<const std::string_view> archs) {
  std::string out;
  for (std::string_view arch : archs)
    out += text(out.empty() ? "" : ", ", arch);
  return out;
}

Status CudaDevice::open(const DeviceRequest &request) {
  INGOT_TRY(check(driver_.init(0), "starting the CUDA driver"));
  INGOT_TRY(check(driver_.driverGetVersion(&driverVersion_), "asking for the driver's version"));
  if (driverVersion_ < kLeastDriverVersion)
    return Status(ExitCode::DeviceMismatch,
                  text("the NVIDIA driver supports CUDA ", driverVersion_ / 1000, ".",
                       driverVersion_ % 1000 / 10,
                       ", expected 12.0 or newer (NVIDIA driver 525 or "
                       "newer); update the NVIDIA driver"));
  int count = 0;
  INGOT_TRY(check(driver_.deviceGetCount(&count), "counting GPUs"));
  if (int64_t(request.ordinal) >= count)
    return Status(ExitCode::DeviceMismatch,
                  text("the file needs ", request.ordinal + 1, request.ordinal ? " GPUs" : " GPU",
                       ", this process sees ", count,
                       "; `nvidia-smi` lists those there are, CUDA_VISIBLE_DEVICES hides them"));
  std::string which = text("GPU ", request.ordinal);
  INGOT_TRY(check(driver_.deviceGet(&device_, int(request.ordinal)), "opening " + which));
  char name[256] = {};
  INGOT_TRY(check(driver_.deviceGetName(name, sizeof name - 1, device_), "naming " + which));
  name_ = name;
  const std::pair<int, int *> attributes[] = {{kComputeCapabilityMajor, &capability_.major},
                                              {kComputeCapabilityMinor, &capability_.minor},
                                              {kMultiprocessorCount, &multiprocessors_},
                                              {kMaxSharedBytesOptin, &sharedBytesOptin_}};
  for (auto [attribute, value] : attributes)
    INGOT_TRY(check(driver_.deviceGetAttribute(value, attribute, device_),
                    text("asking ", which, " (", quoted(name_), ") what it is")));
  // Before anything is allocated: can it run the code?
  std::optional<int> best;
  for (size_t i = 0; i < request.archs.size(); ++i)
    if (auto fit = fitOf(request.archs[i], capability_); fit && (!best || *fit > *best)) {
      best = fit;
      archIndex_ = i;
    }
  if (!best)
    return Status(ExitCode::DeviceMismatch,
                  text("the file has code for ", archList(request.archs), ", ", which, " (",
                       quoted(name_), ") is ", capability_.str(),
                       "; compile the model with --target ", capability_.str(),
                       capability_.major >= 9 ? "a" : "",
                       ", or choose another GPU with "
                       "CUDA_VISIBLE_DEVICES"));
  INGOT_TRY(check(driver_.contextRetain(&context_, device_), "starting " + which));
  INGOT_TRY(enter());
  INGOT_TRY(check(driver_.streamCreate(&stream_, kStreamNonBlocking), "making a stream"));
  return check(driver_.streamCreate(&copyStream_, kStreamNonBlocking), "making a stream");
}

// Errors have no one left to hear them here, and after a failed kernel every call gives one.
CudaDevice::~CudaDevice() {
  if (!context_)
    return;
  (void)driver_.contextSetCurrent(context_);
  for (CUstream stream : {stream_, copyStream_})
    if (stream)
      (void)driver_.streamSynchronize(stream);
  for (CUgraphExec recording : recordings_)
    if (recording)
      (void)driver_.graphExecDestroy(recording);
  for (CUstream stream : {stream_, copyStream_})
    if (stream)
      (void)driver_.streamDestroy(stream);
  for (void *memory : hostMemory_)
    (void)driver_.memFreeHost(memory);
  for (CUdeviceptr memory : memory_)
    (void)driver_.memFree(memory);
  for (CUmodule module : modules_)
    (void)driver_.moduleUnload(module);
  (void)driver_.contextRelease(device_);
}

std::string CudaDevice::description() const {
  return text(name_, " (", capability_.str(), ", ", multiprocessors_, " multiprocessors, CUDA ",
              driverVersion_ / 1000, ".", driverVersion_ % 1000 / 10, ")");
}

std::optional<GpuDescription> CudaDevice::gpu() {
  int clock = 0, memoryClock = 0, busWidth = 0; // kHz, kHz, bits
  const std::pair<int, int *> attributes[] = {
      {kClockRate, &clock}, {kMemoryClockRate, &memoryClock}, {kMemoryBusWidth, &busWidth}};
  for (auto [attribute, value] : attributes)
    if (driver_.deviceGetAttribute(value, attribute, device_) != kSuccess)
      *value = 0;
  // Data goes over the bus twice a clock.
  return GpuDescription{name_,
                        {},
                        multiprocessors_,
                        int64_t(memoryClock) * busWidth / 8 * 2 / 1'000'000,
                        clock / 1000};
}

Status CudaDevice::enter() { return check(driver_.contextSetCurrent(context_), "using " + name_); }

std::optional<DeviceMemoryInfo> CudaDevice::memoryInfo() {
  size_t free = 0, total = 0;
  if (!enter().ok() || driver_.memGetInfo(&free, &total) != kSuccess)
    return std::nullopt;
  return DeviceMemoryInfo{free, total};
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

Result<uint32_t> CudaDevice::loadImage(std::span<const std::byte> image, std::string_view arch) {
  INGOT_TRY(enter());
  // The driver reads the size from the ELF header of a cubin: no less may be there.
  auto *elf = reinterpret_cast<const unsigned char *>(image.data());
  if (image.size() < 64 || elf[0] != 0x7f || elf[1] != 'E' || elf[2] != 'L' || elf[3] != 'F')
    return Status(ExitCode::MalformedInput,
                  text("code image ", modules_.size(), " (", arch, ", ", bytesText(image.size()),
                       "): expected a cubin (an ELF file), got something else"));
  CUmodule module = nullptr;
  INGOT_TRY(check(driver_.moduleLoadData(&module, image.data()),
                  text("loading a code image for ", arch, " (", bytesText(image.size()), ") on ",
                       description())));
  modules_.push_back(module);
  return uint32_t(modules_.size() - 1);
}

Status CudaDevice::checkKernelFits(const KernelSpec &spec, CUfunction function,
                                   const std::string &what) {
  int threads = 0, staticBytes = 0;
  INGOT_TRY(check(driver_.functionGetAttribute(&threads, kFunctionMaxThreads, function),
                  "asking about " + what));
  INGOT_TRY(check(driver_.functionGetAttribute(&staticBytes, kFunctionStaticSharedBytes, function),
                  "asking about " + what));
  uint64_t block = uint64_t(spec.block[0]) * spec.block[1] * spec.block[2];
  if (block > uint64_t(threads))
    return Status(ExitCode::DeviceMismatch,
                  text(what, ": the plan launches blocks of ", block, " threads, on ",
                       description(), " its registers allow ", threads,
                       "; compile the model with --target for this GPU"));
  uint64_t shared = uint64_t(spec.sharedBytes) + uint64_t(staticBytes);
  if (shared > uint64_t(sharedBytesOptin_))
    return Status(ExitCode::DeviceMismatch,
                  text(what, ": needs ", bytesText(shared), " of shared memory a block, ",
                       description(), " has ", bytesText(uint64_t(sharedBytesOptin_)),
                       "; compile the model with --target for this GPU"));
  return {};
}

Result<uint32_t> CudaDevice::resolveKernel(const KernelSpec &spec) {
  INGOT_TRY(enter());
  std::string what = text("kernel ", quoted(spec.entry));
  CUfunction function = nullptr;
  INGOT_TRY(check(driver_.moduleGetFunction(&function, modules_[spec.image], spec.entry),
                  text("finding ", what, " in code image ", spec.image)));
  INGOT_TRY(checkKernelFits(spec, function, what));
  // More than 48 KiB must be asked for. This also makes the driver load the code now, not at the
  // first launch.
  INGOT_TRY(check(
      driver_.functionSetAttribute(function, kFunctionMaxDynamicSharedBytes, int(spec.sharedBytes)),
      text("reserving ", bytesText(spec.sharedBytes), " of shared memory for ", what)));
  if (spec.cluster[0] * spec.cluster[1] * spec.cluster[2] > 8)
    INGOT_TRY(check(driver_.functionSetAttribute(function, kFunctionNonPortableCluster, 1),
                    text("allowing clusters of more than 8 blocks for ", what)));
  kernels_.push_back({function, spec, spec.entry});
  return uint32_t(kernels_.size() - 1);
}

Status CudaDevice::encodeTensorMap(const TensorMapSpec &spec, TensorMapImage &map) {
  static constexpr struct {
    ElementType type;
    int dataType;
  } types[] = {{ElementType::F32, kMapF32},   {ElementType::F16, kMapF16},
               {ElementType::BF16, kMapBF16}, {ElementType::I8, kMapU8},
               {ElementType::U8, kMapU8},     {ElementType::I1, kMapU8},
               {ElementType::I32, kMapI32},   {ElementType::I64, kMapI64}};
  int dataType = kMapU8;
  for (const auto &entry : types)
    if (entry.type == spec.type)
      dataType = entry.dataType;
  CUresult result = driver_.tensorMapEncode(
      &map, dataType, spec.rank, spec.address, spec.dims, spec.strides, spec.box,
      spec.elementStrides, /*interleave=*/0, int(spec.swizzle), int(spec.promotion), spec.nanFill);
  if (result == kSuccess)
    return {};
  std::string dims, box;
  for (uint32_t i = 0; i < spec.rank; ++i) {
    dims += text(i ? ", " : "", spec.dims[i]);
    box += text(i ? ", " : "", spec.box[i]);
  }
  return check(result, text("encoding a tensor map of ", nameOf(spec.type), " [", dims,
                            "] (the innermost first) with boxes of [", box, "]"));
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Status CudaDevice::outOfMemory(CUresult result, const std::string &operation) {
  if (result != kErrorOutOfMemory)
    return check(result, operation);
  auto info = memoryInfo();
  if (!info)
    return check(result, operation);
  return check(result, text(operation, " on ", name_, ", which has ", bytesText(info->free),
                            " free of ", bytesText(info->total), " (this model holds ",
                            bytesText(allocatedBytes_), " so far)"));
}

Result<void *> CudaDevice::allocate(uint64_t bytes, std::string_view what) {
  INGOT_TRY(enter());
  std::string operation = text("allocating ", bytesText(bytes), " for ", what);
  auto rounded = checkedAlignUp(std::max<uint64_t>(bytes, 1), kPageBytes);
  // The driver aligns to 256 bytes only.
  auto padded = rounded ? checkedAdd(*rounded, kPageBytes) : std::nullopt;
  if (!padded)
    return outOfMemory(kErrorOutOfMemory, operation);
  CUdeviceptr memory = 0;
  INGOT_TRY(outOfMemory(driver_.memAlloc(&memory, *padded), operation));
  memory_.push_back(memory);
  if (bytes != 0)
    allocatedBytes_ += *rounded;
  CUdeviceptr aligned = *checkedAlignUp(memory, kPageBytes);
  INGOT_TRY(
      check(driver_.memsetAsync(aligned, 0, *rounded, stream_), "zeroing after " + operation));
  return reinterpret_cast<void *>(uintptr_t(aligned));
}

Result<void *> CudaDevice::allocateHost(uint64_t bytes, std::string_view what) {
  INGOT_TRY(enter());
  void *memory = nullptr;
  CUresult result = driver_.memHostAlloc(&memory, std::max<uint64_t>(bytes, 1), kHostAllocPortable);
  if (result == kErrorOutOfMemory)
    return Status(ExitCode::OutOfResources,
                  text("CUDA: cannot pin ", bytesText(bytes), " of host memory for ", what,
                       "; free some memory on this machine, or raise the limit on locked memory "
                       "(`ulimit -l`, in a container its memory limit)"));
  INGOT_TRY(check(result, text("pinning ", bytesText(bytes), " of host memory for ", what)));
  hostMemory_.push_back(memory);
  return memory;
}

Status CudaDevice::copy(void *target, const void *source, uint64_t bytes) {
  INGOT_TRY(enter());
  if (bytes == 0)
    return {};
  return check(driver_.copyOnDevice(address(target), address(source), bytes, stream_),
               text("copying ", bytesText(bytes), " on the GPU"));
}

Status CudaDevice::upload(void *target, const void *hostSource, uint64_t bytes) {
  INGOT_TRY(enter());
  if (bytes == 0)
    return {};
  return check(driver_.copyToDevice(address(target), hostSource, bytes, stream_),
               text("uploading ", bytesText(bytes)));
}

Status CudaDevice::download(void *hostTarget, const void *source, uint64_t bytes) {
  INGOT_TRY(enter());
  if (bytes == 0)
    return {};
  return check(driver_.copyToHost(hostTarget, address(source), bytes, stream_),
               text("downloading ", bytesText(bytes)));
}

Status CudaDevice::fill(void *target, uint8_t byte, uint64_t bytes) {
  INGOT_TRY(enter());
  if (bytes == 0)
    return {};
  return check(driver_.memsetAsync(address(target), byte, bytes, stream_),
               text("filling ", bytesText(bytes)));
}

Status CudaDevice::synchronize() {
  INGOT_TRY(enter());
  return check(driver_.streamSynchronize(stream_), "waiting for the GPU");
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

std::string CudaDevice::gridText(const int64_t (&grid)[3]) const {
  return text(grid[0], " x ", grid[1], " x ", grid[2], " blocks");
}

Status CudaDevice::launch(const LaunchSpec &launch) {
  const Kernel &kernel = kernels_[launch.kernel];
  const KernelSpec &spec = kernel.spec;
  INGOT_TRY(enter());
  // Addresses of the arguments, in the order of the entry point's parameters.
  void *parameters[kMaxKernelBuffers + 2 * kMaxKernelSizes + kMaxTensorMaps];
  unsigned count = 0;
  for (uint32_t i = 0; i < spec.numBuffers; ++i)
    parameters[count++] = const_cast<void **>(launch.buffers + i);
  for (uint32_t i = 0; i < spec.numSizes; ++i)
    parameters[count++] = const_cast<int64_t *>(launch.sizes + i);
  for (uint32_t i = 0; i < spec.numSizeAddresses; ++i)
    parameters[count++] = const_cast<const void **>(launch.sizeAddresses + i);
  for (uint32_t i = 0; i < spec.numTensorMaps; ++i)
    parameters[count++] = const_cast<TensorMapImage *>(launch.tensorMaps + i);

  LaunchAttribute attributes[2] = {};
  LaunchConfig config = {};
  config.attributes = attributes;
  config.blockX = spec.block[0], config.blockY = spec.block[1], config.blockZ = spec.block[2];
  config.sharedBytes = spec.sharedBytes;
  config.stream = stream_;
  int64_t grid[3] = {launch.grid[0], launch.grid[1], launch.grid[2]};
  if (spec.cluster[0] != 0) {
    LaunchAttribute &attribute = attributes[config.numAttributes++];
    attribute.id = kLaunchClusterDimension;
    attribute.value.cluster = {spec.cluster[0], spec.cluster[1], spec.cluster[2]};
    for (int i = 0; i < 3; ++i) // whole clusters
      grid[i] = (grid[i] + spec.cluster[i] - 1) / spec.cluster[i] * spec.cluster[i];
  }
  if (spec.overlaps) {
    LaunchAttribute &attribute = attributes[config.numAttributes++];
    attribute.id = kLaunchProgrammaticSerialization;
    attribute.value.programmaticSerialization = 1;
  }
  if (grid[0] > INT32_MAX || grid[1] > UINT16_MAX || grid[2] > UINT16_MAX)
    return Status(ExitCode::DeviceMismatch,
                  text("kernel ", quoted(kernel.entry), ": ", gridText(grid),
                       ", CUDA allows 2147483647 x 65535 x 65535; run fewer or shorter rows"));
  config.gridX = unsigned(grid[0]), config.gridY = unsigned(grid[1]);
  config.gridZ = unsigned(grid[2]);
  CUresult result = driver_.launchKernel(&config, kernel.function, parameters, nullptr);
  if (result == kSuccess)
    return {};
  return check(result, text("launching kernel ", quoted(kernel.entry), " (", gridText(grid), " of ",
                            spec.block[0], " x ", spec.block[1], " x ", spec.block[2], " threads, ",
                            bytesText(spec.sharedBytes), " of shared memory)"));
}

//===----------------------------------------------------------------------===//
// Recordings
//===----------------------------------------------------------------------===//

Status CudaDevice::beginRecording() {
  INGOT_TRY(enter());
  return check(driver_.streamBeginCapture(stream_, kCaptureRelaxed), "beginning a CUDA graph");
}

Result<uint32_t> CudaDevice::endRecording() {
  if (Status status = enter(); !status.ok()) {
    abandonRecording();
    return status;
  }
  CUgraph graph = nullptr;
  INGOT_TRY(check(driver_.streamEndCapture(stream_, &graph), "ending a CUDA graph"));
  CUgraphExec recording = nullptr;
  CUresult result = driver_.graphInstantiate(&recording, graph, 0);
  (void)driver_.graphDestroy(graph);
  INGOT_TRY(outOfMemory(result, "preparing a CUDA graph"));
  for (size_t i = 0; i < recordings_.size(); ++i)
    if (!recordings_[i]) {
      recordings_[i] = recording;
      return uint32_t(i);
    }
  recordings_.push_back(recording);
  return uint32_t(recordings_.size() - 1);
}

void CudaDevice::abandonRecording() {
  CUgraph graph = nullptr;
  (void)enter(); // the first error is the one to report
  if (driver_.streamEndCapture(stream_, &graph) == kSuccess && graph)
    (void)driver_.graphDestroy(graph);
}

Status CudaDevice::replay(uint32_t recording) {
  INGOT_TRY(enter());
  return check(driver_.graphLaunch(recordings_[recording], stream_), "launching a CUDA graph");
}

void CudaDevice::dropRecording(uint32_t recording) {
  (void)enter();
  (void)driver_.graphExecDestroy(recordings_[recording]);
  recordings_[recording] = nullptr;
}

} // namespace ingot
