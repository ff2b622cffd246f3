//===- KernelRunner.cpp - Compile kernel functions and call them ----------===//
#include "test/codegen/host/KernelRunner.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace mlir;

namespace ingot::host {

AlignedBytes::AlignedBytes(size_t bytes) : bytes(bytes) {
  size_t rounded = (std::max<size_t>(bytes, 1) + 63) / 64 * 64;
  data = std::aligned_alloc(64, rounded);
  // Bytes that nobody wrote show up as NaN.
  std::memset(data, 0xff, rounded);
}

AlignedBytes::~AlignedBytes() { std::free(data); }

std::unique_ptr<LoadedKernels> LoadedKernels::compile(const std::string &source,
                                                      const std::string &level,
                                                      std::string &error, unsigned threads) {
  DialectRegistry registry;
  registerHostDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(source, &context);
  if (!module) {
    error = "the kernel source does not parse";
    return nullptr;
  }
  Result<HostTarget> target = getHostTarget(level);
  if (!target.ok()) {
    error = target.status().message();
    return nullptr;
  }
  HostImageOptions options{*target, {}};
  if (const char *dump = std::getenv("INGOT_TEST_DUMP"))
    options.onStep = [dump](llvm::StringRef step, ModuleOp current) {
      if (step == dump || llvm::StringRef(dump) == "all") {
        llvm::errs() << "// ----- " << step << "\n";
        current.print(llvm::errs());
      }
    };
  Result<HostObject> object = compileHostObject(*module, options);
  if (!object.ok()) {
    error = object.status().message();
    return nullptr;
  }
  Result<HostImage> image = linkHostImage(*object);
  if (!image.ok()) {
    error = image.status().message();
    return nullptr;
  }
  auto loaded = std::make_unique<LoadedKernels>();
  loaded->host = std::move(*image);
  if (const char *dump = std::getenv("INGOT_TEST_ELF")) {
    std::error_code failed;
    llvm::raw_fd_ostream(dump, failed) << loaded->host.elf;
  }
  llvm::StringRef elf = loaded->host.elf;
  loaded->bytes.resize(elf.size());
  std::memcpy(loaded->bytes.data(), elf.data(), elf.size());
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(threads);
  if (!pool.ok()) {
    error = pool.status().message();
    return nullptr;
  }
  loaded->pool = std::move(*pool);
  const std::string_view archs[] = {target->level};
  Result<std::unique_ptr<Device>> device = makeDevice({"host", archs, 0, *loaded->pool});
  if (!device.ok()) {
    error = device.status().message();
    return nullptr;
  }
  loaded->device = std::move(*device);
  Result<uint32_t> handle = loaded->device->loadImage(loaded->bytes, target->level);
  if (!handle.ok()) {
    error = handle.status().message();
    return nullptr;
  }
  for (const HostKernelInfo &kernel : loaded->host.kernels) {
    KernelSpec spec;
    spec.entry = kernel.entry.c_str();
    spec.image = *handle;
    spec.numBuffers = kernel.numBuffers;
    spec.numSizes = kernel.numSizes;
    spec.scratchBytes = kernel.scratchBytes;
    Result<uint32_t> resolved = loaded->device->resolveKernel(spec);
    if (!resolved.ok()) {
      error = resolved.status().message();
      return nullptr;
    }
    loaded->handles[kernel.entry] = *resolved;
  }
  if (Status status = loaded->device->finishLoad(); !status.ok()) {
    error = status.message();
    return nullptr;
  }
  return loaded;
}

void LoadedKernels::run(const std::string &name, const std::vector<void *> &buffers,
                        const std::vector<int64_t> &sizes) {
  LaunchSpec launch;
  launch.kernel = handles.at(name);
  launch.buffers = buffers.data();
  launch.sizes = sizes.data();
  for (const HostKernelInfo &kernel : host.kernels)
    if (kernel.entry == name)
      for (unsigned axis = 0; axis < 3; ++axis)
        launch.grid[axis] = kernel.plan.grid[axis].evaluate(sizes);
  Status status = device->launch(launch);
  if (!status.ok())
    llvm::errs() << "launch failed: " << status.message() << "\n";
}

} // namespace ingot::host
