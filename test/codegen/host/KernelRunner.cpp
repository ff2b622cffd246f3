//===- KernelRunner.cpp - Compile kernel functions and call them ----------===//
#include "test/codegen/host/KernelRunner.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

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
                                                      std::string &error) {
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
  Result<HostImage> image = compileHostImage(*module, options);
  if (!image.ok()) {
    error = image.status().message();
    return nullptr;
  }
  auto loaded = std::make_unique<LoadedKernels>();
  loaded->host = std::move(*image);
  if (const char *dump = std::getenv("INGOT_TEST_ELF")) {
    FILE *file = fopen(dump, "wb");
    fwrite(loaded->host.elf.data(), 1, loaded->host.elf.size(), file);
    fclose(file);
  }
  int file = memfd_create("kernels", MFD_CLOEXEC);
  if (file < 0 || write(file, loaded->host.elf.data(), loaded->host.elf.size()) !=
                      static_cast<ssize_t>(loaded->host.elf.size())) {
    error = "cannot write the image";
    return nullptr;
  }
  std::string path = "/proc/self/fd/" + std::to_string(file);
  loaded->handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!loaded->handle)
    error = dlerror();
  close(file);
  uint64_t scratch = 0;
  for (const HostKernelInfo &kernel : loaded->host.kernels)
    scratch = std::max(scratch, kernel.scratchBytes);
  loaded->scratch = std::make_unique<AlignedBytes>(scratch);
  return loaded->handle ? std::move(loaded) : nullptr;
}

LoadedKernels::~LoadedKernels() {
  if (handle)
    dlclose(handle);
}

ingot_host_kernel LoadedKernels::entry(const std::string &name) const {
  return reinterpret_cast<ingot_host_kernel>(dlsym(handle, name.c_str()));
}

std::vector<int64_t> LoadedKernels::grid(const std::string &name,
                                         const std::vector<int64_t> &sizes) const {
  for (const HostKernelInfo &kernel : host.kernels)
    if (kernel.entry == name) {
      std::vector<int64_t> blocks;
      for (const GridSize &axis : kernel.plan.grid)
        blocks.push_back(axis.evaluate(sizes));
      return blocks;
    }
  return {0, 0, 0};
}

void LoadedKernels::run(const std::string &name, const std::vector<void *> &buffers,
                        const std::vector<int64_t> &sizes, bool reverse) {
  ingot_host_kernel kernel = entry(name);
  std::vector<int64_t> blocks = grid(name, sizes);
  int64_t total = blocks[0] * blocks[1] * blocks[2];
  for (int64_t i = 0; i < total; ++i) {
    int64_t block = reverse ? total - 1 - i : i;
    kernel(buffers.data(), sizes.data(), scratch->as<void>(), block % blocks[0],
           block / blocks[0] % blocks[1], block / blocks[0] / blocks[1]);
  }
}

} // namespace ingot::host
