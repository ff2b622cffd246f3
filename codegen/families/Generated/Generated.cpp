//===- Generated.cpp - CUDA kernels of printed expressions ------------------===//
#include "codegen/families/Generated/Generated.h"

#include "codegen/cuda/KernelFunction.h"
#include "codegen/cuda/Stub.h"
#include "codegen/families/Generated/Parts.h"
#include "dialects/Exec/SizeExpr.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

namespace {

/// How a body is given to threads.
struct Plan {
  cuda::RowPlan rows;
  unsigned threads = 256;
  unsigned group = 256; // threads of a row
  cuda::PrintedCosts costs;
  std::string reason;
};

constexpr unsigned kElementThreads = 256;
/// Rows whose elements are fewer than this many vectors per lane belong to a warp.
constexpr int64_t kWarpVectorsPerLane = 4;
constexpr unsigned kWarpRowThreads = 128;
constexpr unsigned kMostRowThreads = 512;
/// Terms that a thread adds up by itself, where all threads read the same ones.
constexpr int64_t kMostSharedTerms = 512;
/// Warps that a multiprocessor has at once.
constexpr int64_t kResidentWarps = 64;

} // namespace

unsigned codegen::chooseRowThreads(int64_t vectors) {
  if (vectors <= 32 * kWarpVectorsPerLane)
    return 32;
  unsigned threads = 64;
  while (threads < kMostRowThreads && threads * 2 <= vectors)
    threads *= 2;
  return threads;
}

/// The shape of the first output in the normal form.
static RankedTensorType getRootType(const cuda::KernelFunction &function) {
  RankedTensorType type;
  const_cast<cuda::KernelFunction &>(function).func.walk(
      [&](bufferization::MaterializeInDestinationOp op) {
        if (!type)
          type = cast<RankedTensorType>(op.getSource().getType());
      });
  return type;
}

/// Elements of a 16-byte vector of the widest float that the kernel touches, if the last axis of
/// the output is whole vectors. Of what has that axis only, gains and biases, twice as many bytes
/// are loaded.
static int chooseVector(exec::KernelOp kernel, RankedTensorType root) {
  if (root.getRank() == 0 || root.isDynamicDim(root.getRank() - 1))
    return 1;
  int64_t bytes = 2;
  for (exec::BufferType type : kernel.getBufferTypes())
    if (isa<FloatType>(type.getElementType()) || type.getElementType() == root.getElementType())
      bytes = std::max(bytes, type.getShape().size() == 1 && root.getRank() > 1
                                  ? std::min<int64_t>(type.getElementBytes(), 2)
                                  : type.getElementBytes());
  int64_t columns = root.getDimSize(root.getRank() - 1);
  int vector = 16 / bytes;
  while (vector > 1 && columns % vector != 0)
    vector /= 2;
  return std::max(vector, 1);
}

/// Prints with a row plan; nothing if that doesn't work out (`problem` says why).
static std::optional<cuda::PrintedCosts> tryPlan(const cuda::KernelFunction &function,
                                                 cuda::RowPlan rows, std::string &problem,
                                                 std::string *text = nullptr) {
  cuda::Printer printer(function.func, function.abi, function.buffers, function.sizes, rows);
  if (!printer.print()) {
    problem = printer.getProblem();
    return std::nullopt;
  }
  if (text)
    *text = printer.getText();
  return printer.getCosts();
}

/// The elements that the threads of a row share: of its columns, or of its longest reduction.
static int64_t rowExtent(const cuda::KernelFunction &function, RankedTensorType root,
                         unsigned rowDims) {
  int64_t longest = 1;
  auto count = [&](RankedTensorType type) {
    int64_t columns = type.getRank() ? type.getDimSize(type.getRank() - 1) : 1;
    longest = std::max(longest, columns == ShapedType::kDynamic ? int64_t(1024) : columns);
  };
  if (rowDims < root.getRank())
    count(root);
  const_cast<cuda::KernelFunction &>(function).func.walk([&](linalg::GenericOp op) {
    if (op.getNumLoops() != op.getNumParallelLoops())
      for (Value input : op.getDpsInputs())
        if (auto type = dyn_cast<RankedTensorType>(input.getType()))
          count(type);
  });
  return longest;
}

/// The part's function; its buffers are those of the whole kernel.
static Result<std::unique_ptr<cuda::KernelFunction>> preparePart(const KernelPart &part) {
  Result<std::unique_ptr<cuda::KernelFunction>> function =
      cuda::prepareKernelFunction(part.kernel.get());
  if (!function.ok())
    return function;
  ArrayRef<unsigned> left = part.buffers;
  for (cuda::BufferHooks &hooks : (*function)->buffers)
    if (!hooks.write) {
      hooks.name = cuda::bufferName(left.front());
      left = left.drop_front();
    }
  return function;
}

/// Whether the output has so many elements that to give each a warp takes several times the warps
/// that there are at once.
static bool hasManyElements(exec::KernelOp kernel, const cuda::ArchInfo &arch) {
  if (kernel.getOwnOutputs().empty())
    return false;
  exec::SizeAttr count =
      exec::countElements(kernel.getContext(),
                          kernel.getOutputType(kernel.getOwnOutputs().front()).getShape());
  exec::SizeBounds bounds = exec::SizeBounds::get(kernel.getSizes());
  return count && bounds.maximum(count).value_or(0) > 4 * kResidentWarps * arch.multiprocessors;
}

static Result<Plan> makePlan(exec::KernelOp kernel, const cuda::KernelFunction &function,
                             const cuda::ArchInfo &arch) {
  RankedTensorType root = getRootType(function);
  if (!root)
    return Status(ExitCode::Unsupported, "it has no outputs");
  int vector = chooseVector(kernel, root);
  while (function.scatters && function.appendedWidth % vector != 0)
    vector /= 2;
  unsigned rank = root.getRank();

  // Threads over elements; over rows of the last axis; over single elements whose reductions a
  // group of threads shares. Later ones have to be better, since they use more threads an element.
  SmallVector<std::pair<std::optional<unsigned>, const char *>> choices{
      {std::nullopt, "a thread an element"}};
  if (rank > 0)
    choices.push_back({rank - 1, "reductions shared by the threads of a row"});
  choices.push_back({rank, "a reduction an element, shared by a group of threads"});
  std::optional<Plan> best;
  unsigned bestScore = 0;
  std::string problem;
  for (auto [rowDims, reason] : choices) {
    Plan plan;
    plan.rows = {rowDims, 1};
    plan.reason = reason;
    std::optional<cuda::PrintedCosts> costs = tryPlan(function, plan.rows, problem);
    if (!costs)
      return Status(ExitCode::Unsupported, problem);
    plan.costs = *costs;
    unsigned score =
        10 * costs->serialReductions +
        (costs->serialReductions || costs->rowReductions ? 100 * costs->uncoalescedLoads : 0);
    if (!best || score < bestScore) {
      best = plan;
      bestScore = score;
    }
    // Few terms that all threads read together cost a thread less than a warp's taking part.
    if (!rowDims && costs->uncoalescedLoads == 0 && costs->serialTerms <= kMostSharedTerms &&
        hasManyElements(kernel, arch))
      break;
  }
  // A serial loop a lane would keep neighbouring threads from reading neighbouring elements.
  if (best->costs.serialReductions == 0)
    best->rows.vector = vector;
  if (!best->rows.rowDims) {
    best->threads = best->group = kElementThreads;
    return *best;
  }
  int64_t vectors =
      llvm::divideCeil(rowExtent(function, root, *best->rows.rowDims), int64_t(best->rows.vector));
  // Of single elements there are many: a warp for each, unless its reduction is long.
  bool single = *best->rows.rowDims == rank;
  best->group = single && vectors <= 32 * kWarpVectorsPerLane * 4 ? 32 : chooseRowThreads(vectors);
  best->threads = best->group == 32 ? kWarpRowThreads : best->group;
  return *best;
}

/// The grid: a block for every group of elements or rows.
static exec::SizeAttr makeGrid(exec::KernelOp kernel, const cuda::KernelFunction &function,
                               const Plan &plan, const cuda::ArchInfo &arch) {
  MLIRContext *context = kernel.getContext();
  exec::SizeAttr fallback = exec::SizeAttr::get(context, arch.multiprocessors * 8);
  RankedTensorType root = getRootType(function);
  // Appended tokens have an input's rows; any other output has a buffer of its own.
  SmallVector<exec::SizeAttr> shape;
  if (!kernel.getOwnOutputs().empty()) {
    llvm::append_range(shape, kernel.getOutputType(kernel.getOwnOutputs().front()).getShape());
  } else if (function.scatters && function.appendedLike < kernel.getNumInputs()) {
    ArrayRef<exec::SizeAttr> like = kernel.getInputType(function.appendedLike).getShape();
    for (auto [dim, extent] : llvm::enumerate(function.appendedShape))
      shape.push_back(ShapedType::isDynamic(extent) ? like[dim]
                                                    : exec::SizeAttr::get(context, extent));
  } else {
    return fallback;
  }
  unsigned perBlock = plan.threads / plan.group;
  if (!plan.rows.rowDims) {
    exec::SizeAttr count = exec::countElements(context, shape);
    exec::SizeAttr blocks =
        count ? exec::ceilDivide(count, int64_t(plan.threads) * plan.rows.vector) : nullptr;
    // Blocks go on to further elements: of many, no more than fit at once, which begin only once.
    exec::SizeBounds bounds = exec::SizeBounds::get(kernel.getSizes());
    if (!blocks || bounds.maximum(blocks).value_or(INT64_MAX) > arch.multiprocessors * 8)
      return fallback;
    return blocks;
  }
  // The normal form may have joined leading dimensions, never trailing ones.
  unsigned columns = root.getRank() - *plan.rows.rowDims;
  if (columns > shape.size())
    return fallback;
  exec::SizeAttr rows = exec::countElements(context, ArrayRef(shape).drop_back(columns));
  exec::SizeAttr blocks = rows ? exec::ceilDivide(rows, perBlock) : nullptr;
  return blocks ? blocks : fallback;
}

Match GeneratedFamily::match(exec::KernelOp kernel, const TargetInfo &target) const {
  if (!cuda::getArchInfo(target.arch))
    return Match::no("architecture " + target.arch + " is not known");
  for (const KernelPart &part : splitParts(kernel)) {
    Result<std::unique_ptr<cuda::KernelFunction>> function = preparePart(part);
    if (!function.ok())
      return Match::no(function.status().message());
    std::string problem;
    if (!tryPlan(**function, {}, problem))
      return Match::no(problem);
  }
  return Match::yes();
}

/// How one part is made, in words.
static std::string describePlan(const Plan &plan) {
  std::string text = plan.reason;
  if (plan.rows.rowDims)
    text += plan.group == 32 ? ", a warp a row" : ", a block a row";
  if (plan.rows.vector > 1)
    text += ", vectors of " + std::to_string(plan.rows.vector);
  return text;
}

/// All parts have a block's threads in common: as many as the widest row takes. Returns them.
static unsigned shareThreads(MutableArrayRef<Plan> plans) {
  if (plans.size() == 1)
    return plans.front().threads;
  unsigned widest = 0;
  for (const Plan &plan : plans)
    if (plan.rows.rowDims && plan.group != 32)
      widest = std::max(widest, plan.threads);
  unsigned threads = widest ? widest : kElementThreads;
  for (Plan &plan : plans) {
    plan.threads = threads;
    if (!plan.rows.rowDims || plan.group != 32)
      plan.group = threads;
  }
  return threads;
}

static std::vector<NamedAttribute> getPartConfig(Builder &builder, const Plan &plan) {
  return {builder.getNamedAttr("rows", builder.getI64IntegerAttr(
                                           plan.rows.rowDims ? int64_t(*plan.rows.rowDims) : -1)),
          builder.getNamedAttr("vector", builder.getI64IntegerAttr(plan.rows.vector)),
          builder.getNamedAttr("group", builder.getI64IntegerAttr(plan.group))};
}

Result<Selection> GeneratedFamily::select(exec::KernelOp kernel,
                                          const SelectContext &context) const {
  std::optional<cuda::ArchInfo> arch = cuda::getArchInfo(context.target.arch);
  std::vector<KernelPart> parts = splitParts(kernel);
  std::vector<std::unique_ptr<cuda::KernelFunction>> functions;
  std::vector<Plan> plans;
  for (const KernelPart &part : parts) {
    Result<std::unique_ptr<cuda::KernelFunction>> function = preparePart(part);
    if (!function.ok())
      return function.status();
    Result<Plan> plan = makePlan(part.kernel.get(), **function, *arch);
    if (!plan.ok())
      return plan.status();
    functions.push_back(std::move(*function));
    plans.push_back(std::move(*plan));
  }
  if (plans.empty())
    return Status(ExitCode::Unsupported, "it has no outputs");
  unsigned threads = shareThreads(plans);
  Builder builder(kernel.getContext());
  auto one = exec::SizeAttr::get(kernel.getContext(), 1);
  Selection selection;
  selection.desc.text = nameOps(kernel);
  std::vector<NamedAttribute> config{
      builder.getNamedAttr("threads", builder.getI64IntegerAttr(threads))};
  SmallVector<Attribute> partConfigs;
  exec::SizeBounds bounds = exec::SizeBounds::get(kernel.getSizes());
  int64_t most = -1;
  for (auto [part, function, plan] : llvm::zip_equal(parts, functions, plans)) {
    // Along x the blocks of the part that may need the most; the others' last ones have nothing to
    // do. Along y the parts.
    exec::SizeAttr grid = makeGrid(part.kernel.get(), *function, plan, *arch);
    int64_t blocks = bounds.maximum(grid).value_or(INT64_MAX);
    if (blocks > most)
      selection.launch.grid = {grid, exec::SizeAttr::get(kernel.getContext(), plans.size()), one};
    most = std::max(most, blocks);
    std::vector<NamedAttribute> partConfig = getPartConfig(builder, plan);
    if (plans.size() == 1)
      llvm::append_range(config, partConfig);
    partConfigs.push_back(builder.getDictionaryAttr(partConfig));
    selection.config.text += (selection.config.text.empty() ? "" : "; ") +
                             (plans.size() > 1 ? nameOps(part.kernel.get()) + ": " : "") +
                             describePlan(plan);
  }
  if (plans.size() > 1) {
    config.push_back(builder.getNamedAttr("parts", builder.getArrayAttr(partConfigs)));
    selection.config.text =
        std::to_string(plans.size()) + " parts with blocks of their own: " + selection.config.text;
  }
  selection.config.attributes = builder.getDictionaryAttr(config);
  selection.launch.block = {threads, 1, 1};
  // A part may not overwrite what another may still read.
  if (plans.size() == 1 && !plans[0].rows.rowDims && plans[0].costs.serialReductions == 0)
    selection.inPlace = elementwiseInPlaceInputs(kernel);
  return selection;
}

/// Prints one part as its config says.
static Result<std::string> printPart(exec::KernelOp kernel, const KernelPart &part,
                                     DictionaryAttr config) {
  Result<std::unique_ptr<cuda::KernelFunction>> function = preparePart(part);
  if (!function.ok())
    return function.status();
  cuda::RowPlan rows;
  if (int64_t rowDims = config.getAs<IntegerAttr>("rows").getInt(); rowDims >= 0)
    rows.rowDims = rowDims;
  rows.vector = config.getAs<IntegerAttr>("vector").getInt();
  std::string problem, text;
  if (!tryPlan(**function, rows, problem, &text))
    return reportFormless(kernel, problem);
  return text;
}

/// What loads of rows need not wait for.
static void readRowsAhead(cuda::Stub &stub, exec::KernelOp kernel) {
  // Gains and biases, which nobody before writes: the wait is not for them.
  for (unsigned i = 0; i < kernel.getNumInputs(); ++i) {
    exec::BufferType type = kernel.getInputType(i);
    if (type.getShape().size() == 1 && isa<FloatType>(type.getElementType()) &&
        type.getShape()[0].isStatic())
      stub.fetchedAhead.emplace_back(i, type.getShape()[0].getFactor() * type.getElementBytes());
  }
  // Rows are never computed in place: what is read again behind a store has not changed.
  if (llvm::all_of(kernel.getUpdates(), [](int64_t at) { return at < 0; }))
    for (unsigned i = 0; i < kernel.getBufferTypes().size(); ++i)
      stub.restricted.push_back(i);
}

static Result<cuda::Stub> makeStub(exec::KernelOp kernel) {
  DictionaryAttr config = *kernel.getConfig();
  auto groupOf = [](DictionaryAttr part) {
    return std::to_string(part.getAs<IntegerAttr>("group").getInt());
  };
  cuda::Stub stub;
  stub.includes = {"codegen/cuda/kernels/rows.cuh", "codegen/cuda/kernels/paged.cuh"};
  stub.threads = config.getAs<IntegerAttr>("threads").getInt();
  for (unsigned i = 0; i < kernel.getSizes().size(); ++i)
    stub.deviceSizes.push_back(i);
  std::vector<KernelPart> parts = splitParts(kernel);
  auto partConfigs = config.getAs<ArrayAttr>("parts");
  if (!partConfigs) {
    Result<std::string> text = printPart(kernel, parts.front(), config);
    if (!text.ok())
      return text.status();
    stub.constants = {{"int kGroup", groupOf(config)}};
    stub.body = *text;
    if (config.getAs<IntegerAttr>("rows").getInt() >= 0)
      readRowsAhead(stub, kernel);
    return stub;
  }
  for (auto [i, part] : llvm::enumerate(parts)) {
    auto partConfig = cast<DictionaryAttr>(partConfigs[i]);
    Result<std::string> text = printPart(kernel, part, partConfig);
    if (!text.ok())
      return text.status();
    std::string number = std::to_string(i);
    stub.declarations += "struct Part" + number +
                         " : Config {\n  static constexpr int kGroup = " + groupOf(partConfig) +
                         ";\n};\n\n";
    stub.body += "  if (blockIdx.y == " + number + ") { // " + nameOps(part.kernel.get()) +
                 "\n    using Config = Part" + number + ";\n" + *text + "  }\n";
  }
  return stub;
}

Result<Code> GeneratedFamily::emit(ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                                   const EmitOptions &options) const {
  std::vector<cuda::Stub> stubs;
  for (exec::KernelOp kernel : kernels) {
    Result<cuda::Stub> stub = makeStub(kernel);
    if (!stub.ok())
      return stub.status();
    stubs.push_back(std::move(*stub));
  }
  return cuda::compileStubs(kernels, stubs, target, options);
}
