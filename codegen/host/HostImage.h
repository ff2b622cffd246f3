//===- HostImage.h - Kernel functions to one ELF shared object --*- C++ -*-===//
//
// A kernel function is a `func.func` on tensors:
//
//   func.func @k(%x: tensor<?x384xf32> {ingot.sizes = [0]}, %w: tensor<384x384xf32>)
//       -> (tensor<?x384xf32> {ingot.sizes = [0]})
//       attributes {ingot.size_max = [1024], ingot.grid = [...]}
//
// `ingot.sizes` gives the extent of each dynamic dimension in order: the index of a size argument, or
// [factor, divisor, size arguments…] for ceil(factor * product / divisor).
// A result with `ingot.alias = i` lives in the buffer of argument i. `ingot.size_max` bounds each size
// argument; scratch is sized by it. `ingot.may_alias` on the function says that a result may be placed
// over an argument that it is an elementwise function of, or that the body reads in time.
// `ingot.stream_zeros` says that vectors of zeros begin with a cache line and go past the caches. The
// compiled entry point takes the arguments' buffers, then those of the results without ingot.alias, as
// runtime/device/HostKernelAbi.h says.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/host/HostTarget.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include <array>
#include <functional>
#include <string>
#include <vector>

namespace mlir {
class DialectRegistry;
}

namespace ingot::host {

/// On a function whose zeros are to go past the caches: do its rows and blocks begin with a line?
inline constexpr llvm::StringLiteral streamZerosAttr = "ingot.stream_zeros";

struct HostImageOptions {
  HostTarget target;
  /// Called with a step's name and the module after it; for --dump-kernels and tests.
  std::function<void(llvm::StringRef step, mlir::ModuleOp)> onStep;
};

/// ceil(factor * size[sizes[0]] * size[sizes[1]] * ... / divisor)
struct GridSize {
  int64_t factor = 1;
  llvm::SmallVector<int64_t> sizes;
  int64_t divisor = 1;

  int64_t evaluate(llvm::ArrayRef<int64_t> values) const {
    int64_t product = factor;
    for (int64_t size : sizes)
      product *= values[size];
    return (product + divisor - 1) / divisor;
  }
  bool operator==(const GridSize &) const = default;
};

/// How the blocks of a kernel are cut, and why.
struct KernelPlan {
  /// "contraction": register-tiled matmul with fused producers and consumers;
  /// "rows": vectors along the last dimension, blocks of rows;
  /// "forall": the body's own parallel loop, a block an iteration;
  /// "serial": one block does everything.
  std::string strategy = "serial";
  /// Block tile of each loop of the root operation; 0 leaves a loop whole.
  llvm::SmallVector<int64_t> tile;
  /// Grid dimension of each tiled loop: 0 is x, 1 y, all others together z.
  llvm::SmallVector<int64_t> mapping;
  /// Columns of the register tile (contraction).
  int64_t columns = 0;
  /// Blocks of rows that take turns at each block of columns (contraction).
  int64_t band = 1;
  std::array<GridSize, 3> grid = {};
  /// The kernel is a single elementwise operation: it reads an element before it writes it.
  bool onePass = false;
  /// Why the strategy was taken, in words.
  std::string reason;
};

/// What the launch of a compiled kernel needs to know.
struct HostKernelInfo {
  std::string entry;
  int64_t numBuffers = 0, numSizes = 0;
  uint64_t scratchBytes = 0;
  KernelPlan plan;
};

/// Relocatable code of some kernels.
struct HostObject {
  std::string bytes;
  std::vector<HostKernelInfo> kernels;
};
struct HostImage {
  std::string elf;
  std::vector<HostKernelInfo> kernels;
};

/// Adds the dialects and interface models that compileHostImage needs; call it on the registry of
/// the module's context before the module is made.
void registerHostDialects(mlir::DialectRegistry &registry);

/// How the only function of `module` (which is consumed) will be cut; what compileHostObject does.
Result<KernelPlan> planHostKernel(mlir::ModuleOp module, const HostTarget &target);

/// For each argument of the only function of `module` (which is consumed): the weight layout with
/// which its matmul reads memory in order, as the columns of a panel, or 0.
Result<std::vector<int64_t>> chooseWeightPanels(mlir::ModuleOp module, const HostTarget &target);

/// Compiles every function of `module` (which is consumed) to an entry point. The same module gives
/// the same bytes.
Result<HostObject> compileHostObject(mlir::ModuleOp module, const HostImageOptions &options);

/// Links objects into one shared object without undefined symbols.
Result<HostImage> linkHostImage(llvm::ArrayRef<HostObject> objects);

} // namespace ingot::host
