//===- KernelFamily.h - What turns one exec.kernel into code -----*- C++ -*-===//
//
// A kernel family answers four questions about an exec.kernel, each with a struct that prints:
//
//   match    can this family run that body on that target, and if not, why not?    Match
//   select   Desc (what), Config (how), Launch (where), and which weight layouts?  Selection
//   emit     the code of kernels it selected, as images                            Code
//
// `host.linalg` takes any body through its decomposition; a CUDA family takes the bodies that its
// .cuh implements. A choice is data with a reason, so it is testable without the device.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "dialects/Exec/ExecOps.h"
#include "runtime/format/plan_generated.h"
#include "runtime/support/Status.h"

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace ingot::codegen {

/// The target of a kernel: what an exec.target says.
struct TargetInfo {
  std::string kind; // "host", "cuda"
  std::string arch; // "x86-64-v3", "sm_90a"
};

/// Whether a family can realise a kernel. `reason` says why not, or is empty.
struct Match {
  bool matched = false;
  std::string reason;
  /// The body holds what the family is for, so that a no is a fast path not taken and makes a
  /// remark. A body that has nothing of it was never meant for the family.
  bool concerns = true;

  static Match yes() { return {true, {}}; }
  static Match no(std::string reason) { return {false, std::move(reason)}; }
  static Match unrelated(std::string reason) { return {false, std::move(reason), false}; }
};

/// Whether a kernel's body has one of these ops.
template <typename... Ops> bool hasAnyOp(exec::KernelOp kernel) {
  return llvm::any_of(kernel.getBody().front(),
                      [](mlir::Operation &op) { return mlir::isa<Ops...>(op); });
}

/// The model's ops in a kernel's body, each once: "linear, activation".
std::string nameOps(exec::KernelOp kernel);

/// What `emit` ends with where a selected kernel is none that the family knows: a defect.
Status reportFormless(exec::KernelOp kernel, const std::string &reason);

/// Which operands of a kernel are weights: a family may ask for another layout of those.
struct SelectContext {
  TargetInfo target;
  /// One flag an input: every launch passes a weight here.
  llvm::SmallVector<bool> weightInputs;
  /// One flag an input: the weight is used by other kernels too, so that another layout costs a
  /// second copy of its bytes.
  llvm::SmallVector<bool> sharedWeights;
};

/// Another layout of a weight operand. `steps` are appended to the recipe of each weight that is
/// passed (`reshape`, `transpose`, `pad`, `cast`, …); `type` is the tensor they give. `undo`
/// builds, at the start of the kernel's body, the original tensor out of the new argument, from
/// tensor/linalg/arith ops, so that the body's meaning stays executable; a family's emit recognises
/// or folds what it built there.
struct WeightLayout {
  unsigned input;
  llvm::SmallVector<exec::StepAttr> steps;
  mlir::RankedTensorType type;
  std::function<mlir::Value(mlir::OpBuilder &, mlir::Location, mlir::Value)> undo;
  std::string description; // "W[N,K] in panels of 16 rows"
};

/// Gives the body of `kernel` the argument that `layout` says, and undoes the layout at its start.
/// The kernel's list of inputs stays as it is.
void takeLayout(exec::KernelOp kernel, const WeightLayout &layout);

/// Desc: what the kernel computes, in words, for remarks, banners and `inspect`:
/// "linear + bias + gelu, M=d0*d1 N=1536 K=384, f32".
struct KernelDesc {
  std::string text;
  /// What measurements of the kernel are kept under (runtime/format/Tuning.h): the same with bounds
  /// in place of sizes, so that it is the same in another model. Empty where nothing is chosen.
  std::string key;
};

/// Config: how. `attributes` is kept on the kernel, is all that `emit` may depend on besides the
/// body, and is equal for equal choices. `text` is the same in words, with the reason of the
/// choice.
struct KernelConfig {
  mlir::DictionaryAttr attributes;
  std::string text;
};

/// Launch: where. Blocks in x, y and z as sizes over the kernel's own size parameters, and threads
/// per block (all zero on the host).
struct KernelLaunch {
  std::array<exec::SizeAttr, 3> grid;
  std::array<uint32_t, 3> block = {0, 0, 0};
};

/// What a launch that is only measured gets where random numbers would not do.
struct Sample {
  llvm::SmallVector<int64_t> sizes; // values of the kernel's size parameters
  /// Contents of its inputs of integers, which index memory.
  llvm::SmallVector<std::pair<unsigned, std::vector<int32_t>>> integers;
};

/// What `select` decides.
struct Selection {
  KernelDesc desc;
  KernelConfig config;
  KernelLaunch launch;
  llvm::SmallVector<WeightLayout> weightLayouts;
  /// For each output that has a buffer of its own: the inputs whose bytes it may share, because the
  /// family reads an element of that input before it writes over it, in one block.
  /// `elementwiseInPlaceInputs` gives the answer for bodies of elementwise ops.
  llvm::SmallVector<llvm::SmallVector<int64_t>> inPlace;
};

/// One code image: an ELF shared object, a cubin.
struct CodeImage {
  std::vector<uint8_t> bytes;
};

/// A tensor map (TensorMap in runtime/format/plan.fbs) of a buffer argument. Sizes are over the
/// kernel's own size parameters; they count at the launch's values, device-resident ones by their
/// bounds.
struct TensorMapCode {
  unsigned buffer = 0; // index of the buffer argument
  uint64_t offset = 0; // bytes into the buffer, a multiple of 16
  mlir::Type elementType;
  llvm::SmallVector<exec::SizeAttr> dims;     // the innermost first, in elements
  llvm::SmallVector<exec::SizeAttr> strides;  // bytes, of dims[1], dims[2], ...; multiples of 16
  llvm::SmallVector<uint32_t> box;            // elements of each dimension, 1 to 256
  llvm::SmallVector<uint32_t> elementStrides; // empty: all 1
  format::Swizzle swizzle = format::Swizzle::B128;
  format::L2Promotion promotion = format::L2Promotion::B256;
  bool nanFill = false;
};

/// The code of one kernel: an entry point of an image. Arguments of the entry point: buffers, sizes
/// (int64), then on CUDA an address (const int *) for each of `deviceSizes` and the tensor maps by
/// value (`const __grid_constant__ CUtensorMap`).
struct KernelCode {
  std::string entry;
  unsigned image = 0; // index into Code::images
  std::array<uint32_t, 3> block = {0, 0, 0};
  uint32_t sharedBytes = 0;  // dynamic shared memory (CUDA)
  uint64_t scratchBytes = 0; // per worker (host)
  // CUDA only:
  std::array<uint32_t, 3> cluster = {0, 0, 0}; // blocks per cluster; zero: none
  /// Programmatic dependent launch: the kernel may start before the one in front of it has ended,
  /// and waits (griddepcontrol.wait) before it touches anything that a kernel wrote.
  bool overlaps = false;
  /// Indices of size parameters whose value the kernel reads in device memory: an address, or null
  /// where a launch passes a size that the host knows.
  llvm::SmallVector<uint16_t> deviceSizes;
  std::vector<TensorMapCode> tensorMaps;
};

/// What `emit` gives: one KernelCode a kernel, in the order asked for.
struct Code {
  std::vector<CodeImage> images;
  std::vector<KernelCode> kernels;
};

struct EmitOptions {
  /// Workers for code generation. The bytes that come out don't depend on it.
  unsigned threads = 1;
  /// If not empty: a folder for what each kernel went through (IR, assembly, sources).
  std::string dumpDirectory;
};

/// What a kernel would read before the launch in front of it has ended (programmatic dependent
/// launch), if what writes that has ended by then.
struct EarlyReads {
  llvm::SmallVector<unsigned> inputs;
  bool sizes = false; // that are device-resident
  bool any() const { return sizes || !inputs.empty(); }
};

/// In a config: the kernel may read so (`read-early`).
inline constexpr llvm::StringLiteral kReadsEarly = "reads_early";
/// In a config: the kernel waits for the launch in front of it before the next may start, so that
/// whatever runs behind it can count on all that was launched before it.
inline constexpr llvm::StringLiteral kWaitsFirst = "waits_first";

/// What the launches of a kernel are within a stream (cuda/kernels/stream.cuh): the text of its
/// task, and what `stream-launches` goes by. Indices are those of the kernel's buffers, sizes are
/// over its size parameters.
struct StreamTask {
  /// A function of the task. `value` is an expression over the kernel's buffers and sizes as its
  /// stub names them; sizes are at hand where it `takesSizes`.
  struct Function {
    std::string type, name, value;
    bool takesSizes = false;
  };
  std::string include, kind;                                  // ingot::kind<Task> is what runs it
  std::string elementType;                                    // "ingot::bf16"
  std::vector<std::pair<std::string, std::string>> constants; // as in Stub
  std::string declarations;                                   // that functions name
  std::vector<Function> functions;
  std::vector<TensorMapCode> tensorMaps; // of constant sizes
  exec::SizeAttr tokens;
  unsigned result = 0;
  /// Inputs that another launch of the stream may give in memory that is exchanged.
  llvm::SmallVector<unsigned> exchanged;
  /// Read before the grid in front has ended; what most of the time goes to.
  std::optional<unsigned> weight;
  uint64_t tokenBytes = 0, workBytes = 0; // of shared memory: a token, and of a block
  uint64_t partBytes = 0;                 // a token, that blocks exchange within a launch

  /// Whether the stream is passed the sizes of the kernel.
  bool takesSizes() const {
    return llvm::any_of(functions, [](const Function &function) { return function.takesSizes; });
  }
};

/// A way to make code for some kernels on one kind of target. Implementations are stateless.
class KernelFamily {
public:
  virtual ~KernelFamily();

  /// "host.linalg"; what exec.kernel's `family` holds.
  virtual llvm::StringRef getName() const = 0;
  /// The exec.target kind that it makes code for.
  virtual llvm::StringRef getTargetKind() const = 0;

  virtual Match match(exec::KernelOp kernel, const TargetInfo &target) const = 0;

  /// Whether a body may be several that have nothing in common but inputs, each of which gets
  /// blocks of its own: then `fuse-launches` makes one kernel out of small ones that it takes.
  virtual bool sharesLaunches() const { return false; }

  /// Whether a body may begin with what makes its operands, which then are in no buffer:
  /// `fuse-norms` and `fuse-appends` ask `match` of the families that say so.
  virtual bool takesProducers() const { return false; }

  virtual EarlyReads getEarlyReads(exec::KernelOp kernel) const { return {}; }

  /// What a selected kernel is within a stream, or why it is nothing there; an empty reason where
  /// the family has nothing to do with streams.
  virtual std::variant<StreamTask, std::string> getStreamTask(exec::KernelOp kernel) const {
    return std::string();
  }

  /// Chooses for a kernel that `match` took. Doesn't change `kernel`. The error's code is
  /// Unsupported or Internal.
  virtual Result<Selection> select(exec::KernelOp kernel, const SelectContext &context) const = 0;

  /// The ways to run a kernel that `match` took, the one that `select` chooses first, then others
  /// that the cost model does not rule out and that test/gpu has run. They differ in config and
  /// launch only. A family without a choice gives the one.
  virtual Result<std::vector<Selection>> candidates(exec::KernelOp kernel,
                                                    const SelectContext &context) const;

  /// What a kernel that `match` took is measured with: by default its largest sizes.
  virtual Sample sample(exec::KernelOp kernel) const;

  /// Makes the code of `kernels`, all of this family and of `target`. Called once a target, so that
  /// a family can put many kernels in one image. Doesn't change the kernels; their context may be
  /// used from one thread only (an implementation that uses several clones into contexts of its
  /// own).
  virtual Result<Code> emit(llvm::ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                            const EmitOptions &options) const = 0;
};

/// The inputs that each output with a buffer of its own may share bytes with when the body is
/// evaluated element by element: the output is made by elementwise ops alone, which read the
/// input at the element that is written, and nothing else reads that input.
llvm::SmallVector<llvm::SmallVector<int64_t>> elementwiseInPlaceInputs(exec::KernelOp kernel);

} // namespace ingot::codegen
