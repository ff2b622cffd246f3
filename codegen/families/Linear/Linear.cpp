//===- Linear.cpp - Linear layers on a GPU ----------------------------------===//
#include "codegen/families/Linear/Linear.h"

#include "codegen/cuda/KernelFunction.h"
#include "codegen/families/Linear/LinearDesc.h"
#include "codegen/families/Linear/LinearEpilogue.h"
#include "dialects/Exec/SizeExpr.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

//===----------------------------------------------------------------------===//
// Desc
//===----------------------------------------------------------------------===//

static bool isRoot(Operation &op) {
  return isa<transformer::LinearOp, transformer::GatedLinearOp>(op);
}

/// The argument that a weight operand is, seen through what undoes its layout.
static BlockArgument traceWeight(Value value) {
  for (;;) {
    if (auto argument = dyn_cast<BlockArgument>(value))
      return argument;
    Operation *op = value.getDefiningOp();
    if (!isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp, linalg::TransposeOp>(
            op))
      return {};
    value = op->getOperand(0);
  }
}

std::string LinearDesc::str(const std::string &rows) const {
  std::string type;
  llvm::raw_string_ostream(type) << elementType;
  return std::string(norm ? "rms_norm, " : "") + (gated ? "gated_linear" : "linear") + ", " + rows +
         " N=" + std::to_string(gated ? columns / 2 : columns) + " K=" + std::to_string(k) + ", " +
         type;
}

/// The norm that makes x, with parameters that are arguments; else why that is none.
static std::variant<LinearNorm, std::string> describeNorm(Value x) {
  if (x.getDefiningOp<transformer::LayerNormOp>())
    return std::string("a layer norm goes over its rows twice");
  auto norm = x.getDefiningOp<transformer::RmsNormOp>();
  if (!norm)
    return std::string("x is computed in the kernel");
  // How a gain in f32 is read (widen-vectors).
  Value gains = norm.getWeight();
  if (auto rounded = gains.getDefiningOp<arith::TruncFOp>())
    gains = rounded.getIn();
  auto argument = dyn_cast<BlockArgument>(gains);
  if (!argument)
    return std::string("the norm's gain is computed in the kernel");
  return LinearNorm{argument.getArgNumber(),
                    cast<RankedTensorType>(argument.getType()).getElementType(),
                    norm.getEps().convertToDouble()};
}

std::variant<LinearDesc, std::string> codegen::describeLinear(exec::KernelOp kernel,
                                                              bool withNorm) {
  LinearDesc desc;
  for (Operation &op : kernel.getBody().front())
    if (isRoot(op)) {
      if (desc.root)
        return std::string("it has two linear layers");
      desc.root = &op;
    }
  if (!desc.root)
    return std::string("it has no linear layer");
  desc.gated = isa<transformer::GatedLinearOp>(desc.root);
  desc.activated = desc.gated || llvm::any_of(kernel.getBody().front(), [](Operation &op) {
                     return isa<transformer::ActivationOp>(op);
                   });
  BlockArgument weight = traceWeight(desc.root->getOperand(1));
  if (!weight)
    return std::string("the weight is computed in the kernel");
  auto weightType = cast<RankedTensorType>(desc.root->getOperand(1).getType());
  if (!weightType.hasStaticShape())
    return std::string("the weight's shape is not static");
  desc.elementType = weightType.getElementType();
  desc.columns = weightType.getDimSize(0);
  desc.k = weightType.getDimSize(1);
  desc.weight = weight.getArgNumber();
  int64_t perChunk = 16 / (desc.elementType.getIntOrFloatBitWidth() / 8);

  Value x = desc.root->getOperand(0);
  auto skipCasts = [&] {
    while (auto cast = x.getDefiningOp<tensor::CastOp>())
      x = cast.getSource();
  };
  skipCasts();
  if (withNorm && isa_and_nonnull<transformer::RmsNormOp, transformer::LayerNormOp>(
                      x.getDefiningOp())) {
    std::variant<LinearNorm, std::string> norm = describeNorm(x);
    if (auto *reason = std::get_if<std::string>(&norm))
      return *reason;
    desc.norm = std::get<LinearNorm>(norm);
    x = x.getDefiningOp()->getOperand(0);
    skipCasts();
  }
  if (auto slice = x.getDefiningOp<tensor::ExtractSliceOp>()) {
    auto source = cast<RankedTensorType>(slice.getSource().getType());
    unsigned last = source.getRank() - 1;
    if (!slice.getDroppedDims().none() || !slice.hasUnitStride() ||
        ShapedType::isDynamic(slice.getStaticOffset(last)) || source.isDynamicDim(last))
      return std::string("x is a slice of other than its columns");
    for (unsigned i = 0; i < last; ++i)
      if (slice.getStaticOffset(i) != 0)
        return std::string("x is a slice of other than its columns");
    desc.offset = slice.getStaticOffset(last);
    desc.rowStride = source.getDimSize(last);
    x = slice.getSource();
  } else {
    desc.rowStride = desc.k;
  }
  auto argument = dyn_cast<BlockArgument>(x);
  if (!argument)
    return std::string("x is computed in the kernel");
  desc.x = argument.getArgNumber();
  if (desc.k % perChunk || desc.rowStride % perChunk || desc.offset % perChunk)
    return "K=" + std::to_string(desc.k) + " and the row stride " + std::to_string(desc.rowStride) +
           " are no multiples of " + std::to_string(perChunk) + " elements (16 bytes)";
  if (desc.gated && desc.columns / 2 % kGateRows)
    return "F=" + std::to_string(desc.columns / 2) + " is no multiple of 4";
  ArrayRef<exec::SizeAttr> shape = kernel.getInputType(desc.x).getShape();
  desc.rows = exec::countElements(kernel.getContext(), shape.drop_back());
  if (!desc.rows)
    return std::string("the number of rows has no form");
  for (unsigned i = 0; i < kernel.getNumOutputs(); ++i)
    if (kernel.getUpdates()[i] >= 0)
      return std::string("it updates an input");
  return desc;
}

//===----------------------------------------------------------------------===//
// The family
//===----------------------------------------------------------------------===//

Match LinearFamily::match(exec::KernelOp kernel, const TargetInfo &target) const {
  if (!cuda::getArchInfo(target.arch))
    return Match::no("architecture " + target.arch + " is not known");
  if (llvm::none_of(kernel.getBody().front(), isRoot))
    return Match::unrelated("it has no linear layer");
  std::variant<LinearDesc, std::string> desc = describeLinear(kernel);
  if (auto *reason = std::get_if<std::string>(&desc))
    return Match::no(*reason);
  std::string problem;
  if (!printEpilogue(kernel, std::get<LinearDesc>(desc), problem))
    return Match::no(problem);
  return Match::yes();
}

/// Rows of x, at most.
static int64_t boundRows(exec::KernelOp kernel, const LinearDesc &desc) {
  return exec::SizeBounds::get(kernel.getSizes()).maximum(desc.rows).value_or(1 << 20);
}

/// A config as a selection, its weight layouts left out.
static Selection makeSelection(exec::KernelOp kernel, const LinearDesc &desc, int64_t mostRows,
                               const LinearConfig &config, const cuda::ArchInfo &arch) {
  Builder builder(kernel.getContext());
  Selection selection;
  selection.desc.text = desc.str();
  selection.desc.key = desc.str(mostRows);
  auto number = [&](StringRef name, int64_t value) {
    return builder.getNamedAttr(name, builder.getI64IntegerAttr(value));
  };
  selection.config.attributes = builder.getDictionaryAttr(
      {number("threads", config.threads), number("tile_m", config.tileM),
       number("tile_n", config.tileN), number("stages", config.stages),
       number("warps_m", config.warpsM), number("tiles_at_once", config.tilesAtOnce),
       number("ring_stages", config.ringStages),
       builder.getNamedAttr("warpgroups", builder.getBoolAttr(config.warpgroups)),
       number("cluster", config.cluster), number("lead", config.lead),
       builder.getNamedAttr("in_turn", builder.getBoolAttr(config.inTurn)),
       builder.getNamedAttr("columns_in_order", builder.getBoolAttr(config.columnsInOrder)),
       number("out_panels", config.outPanels), number("blocks", config.blocksPerMultiprocessor),
       number("shared", config.sharedBytes)});
  selection.config.text = config.str();
  exec::SizeAttr one = exec::SizeAttr::get(kernel.getContext(), 1);
  selection.launch.grid = {
      exec::SizeAttr::get(kernel.getContext(), arch.multiprocessors / config.cluster *
                                                   config.cluster * config.blocksPerMultiprocessor),
      one, one};
  selection.launch.block = {config.threads, 1, 1};
  return selection;
}

Result<std::vector<Selection>> LinearFamily::candidates(exec::KernelOp kernel,
                                                        const SelectContext &context) const {
  LinearDesc desc = std::get<LinearDesc>(describeLinear(kernel));
  if (desc.gated && !context.weightInputs[desc.weight])
    return Status(ExitCode::Unsupported, "the weight of a gated linear layer is no weight");
  cuda::ArchInfo arch = *cuda::getArchInfo(context.target.arch);
  const int64_t mostRows = boundRows(kernel, desc);
  std::string problem;
  if (std::optional<std::string> statements = printEpilogue(kernel, desc, problem))
    if (std::optional<ResultPanels> panels = findPanels(kernel, desc, *statements)) {
      desc.panels = true;
      desc.beside = panels->beside.has_value();
    }
  std::vector<Selection> selections;
  for (const LinearConfig &config : listLinearConfigs(desc, mostRows, arch)) {
    selections.push_back(makeSelection(kernel, desc, mostRows, config, arch));
    if (desc.gated)
      selections.back().weightLayouts.push_back(interleaveGate(kernel, desc));
  }
  return selections;
}

Result<Selection> LinearFamily::select(exec::KernelOp kernel, const SelectContext &context) const {
  Result<std::vector<Selection>> selections = candidates(kernel, context);
  if (!selections.ok())
    return selections.status();
  return std::move(selections->front());
}

/// Columns [offset, offset + K) of a buffer's rows, in boxes of 64 x `boxRows`.
static TensorMapCode makeMap(MLIRContext *context, unsigned buffer, Type type, int64_t k,
                             int64_t stride, int64_t offset, exec::SizeAttr rows,
                             uint32_t boxRows) {
  TensorMapCode map;
  map.buffer = buffer;
  map.offset = offset * 2;
  map.elementType = type;
  map.dims = {exec::SizeAttr::get(context, k), rows};
  map.strides = {exec::SizeAttr::get(context, stride * 2)};
  map.box = {64, boxRows};
  return map;
}

/// W with its rows 32g + 8c + 2j + e as dimensions K, e, j, c, g: what gemm_sm90.cuh calls
/// kColumnsInOrder copies of them in boxes of one j.
static TensorMapCode makeOrderedMap(MLIRContext *context, unsigned buffer, Type type, int64_t k,
                                    int64_t columns, uint32_t boxRows) {
  TensorMapCode map;
  map.buffer = buffer;
  map.elementType = type;
  for (int64_t size : {k, int64_t(2), int64_t(4), int64_t(4), columns / 32})
    map.dims.push_back(exec::SizeAttr::get(context, size));
  for (int64_t rows : {1, 2, 8, 32})
    map.strides.push_back(exec::SizeAttr::get(context, rows * k * 2));
  map.box = {64, 2, 1, 4, boxRows / 32};
  return map;
}

Result<Code> LinearFamily::emit(ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                                const EmitOptions &options) const {
  std::vector<cuda::Stub> stubs;
  for (exec::KernelOp kernel : kernels) {
    auto described = describeLinear(kernel);
    std::string problem;
    LinearDesc desc;
    std::optional<std::string> epilogue;
    if (auto *reason = std::get_if<std::string>(&described)) {
      problem = *reason;
    } else {
      desc = std::get<LinearDesc>(described);
      epilogue = printEpilogue(kernel, desc, problem);
    }
    if (!epilogue)
      return reportFormless(kernel, problem);
    auto config = [&](StringRef name) {
      return std::to_string(kernel.getConfig()->getAs<IntegerAttr>(name).getInt());
    };
    auto flag = [&](StringRef name) {
      return kernel.getConfig()->getAs<BoolAttr>(name).getValue();
    };
    cuda::Stub stub;
    bool warpgroups = flag("warpgroups"), ordered = flag("columns_in_order");
    stub.includes = {warpgroups ? "codegen/cuda/kernels/linear_sm90.cuh"
                                : "codegen/cuda/kernels/linear.cuh"};
    stub.threads = kernel.getConfig()->getAs<IntegerAttr>("threads").getInt();
    stub.blocksPerMultiprocessor = kernel.getConfig()->getAs<IntegerAttr>("blocks").getInt();
    stub.sharedBytes = kernel.getConfig()->getAs<IntegerAttr>("shared").getInt();
    stub.cluster = kernel.getConfig()->getAs<IntegerAttr>("cluster").getInt();
    int values = desc.gated ? 2 * kGateRows : epilogueColumns(kernel, desc);
    stub.constants = {{"int kN", std::to_string(desc.columns)},
                      {"int kK", std::to_string(desc.k)},
                      {"int kRowStride", std::to_string(desc.rowStride)},
                      {"int kTileM", config("tile_m")},
                      {"int kTileN", config("tile_n")},
                      {"int kStages", config("stages")},
                      {"int kWarpsM", config("warps_m")},
                      {"int kTilesAtOnce", config("tiles_at_once")},
                      {"int kRingStages", config("ring_stages")},
                      {"int kEpilogueVector", std::to_string(values)},
                      {"int kCluster", config("cluster")},
                      {"bool kInTurn", flag("in_turn") ? "true" : "false"},
                      {"int kLead", config("lead")},
                      {"bool kColumnsInOrder", ordered ? "true" : "false"},
                      {"int kOutPanels", config("out_panels")},
                      {"bool kPromote", "false"},
                      {"int kSharedBytes", config("shared")}};
    FewTiles few;
    if (warpgroups) {
      few = chooseFewTiles(desc, boundRows(kernel, desc), stub.cluster,
                           *cuda::getArchInfo(target.arch));
      stub.constants.push_back({"int kFewNarrow", std::to_string(few.narrow)});
      stub.constants.push_back({"int kFewWide", std::to_string(few.wide)});
      stub.constants.push_back({"ingot::u64 kFewWays", std::to_string(few.ways) + "ull"});
    }
    std::optional<ResultPanels> panels;
    if (kernel.getConfig()->getAs<IntegerAttr>("out_panels").getInt() > 0)
      panels = findPanels(kernel, desc, *epilogue);
    EpilogueFunctor functor = panels ? makePanelEpilogue(kernel, desc, *panels, *epilogue)
                                     : makeEpilogueFunctor(kernel, desc, *epilogue);
    stub.declarations = functor.declaration;
    std::string rows = std::to_string(desc.rows.getFactor()), most = rows;
    for (unsigned i = 0; i < kernel.getBufferTypes().size(); ++i)
      // What only the epilogue knows: no output is written over an input (Selection::inPlace is
      // empty). Loads of x stay where the skinny path has them.
      if (i != desc.x && i != desc.weight)
        stub.restricted.push_back(i);
    for (unsigned i = 0; i < kernel.getSizes().size(); ++i)
      stub.deviceSizes.push_back(i);
    for (StringAttr symbol : desc.rows.getSymbols()) {
      rows += " * " + symbol.str();
      most += " * " + symbol.str() + "_most";
    }
    stub.waitsItself = true;
    if (warpgroups) {
      MLIRContext *context = kernel.getContext();
      // Of columns in order, blocks of a cluster have the boxes of some j (gemm_sm90.cuh).
      uint32_t boxRows =
          kernel.getConfig()->getAs<IntegerAttr>("tile_n").getInt() / (ordered ? 1 : stub.cluster);
      stub.tensorMaps = {makeMap(context, desc.x, desc.elementType, desc.k, desc.rowStride,
                                 desc.offset, desc.rows, 128)};
      // Of the tiles for many rows, and of those for few (gemm_few_sm90.cuh).
      for (uint32_t rows : {boxRows, uint32_t(few.wide), uint32_t(few.narrow)})
        stub.tensorMaps.push_back(
            ordered
                ? makeOrderedMap(context, desc.weight, desc.elementType, desc.k, desc.columns, rows)
                : makeMap(context, desc.weight, desc.elementType, desc.k, desc.k, 0,
                          exec::SizeAttr::get(context, desc.columns), rows));
      if (panels)
        stub.tensorMaps.push_back(makeMap(context, panels->result,
                                          kernel.getBufferTypes()[panels->result].getElementType(),
                                          panels->columns, panels->columns, 0, desc.rows, 64));
    }
    std::string element = elementName(desc.elementType);
    // Without panels, any map: it is not used.
    std::string output = panels ? "&map4, " : "&map0, ";
    stub.prologue = "  const ingot::i64 most = " + most + ";\n  ingot::LinearStart<Config, " +
                    element + "> start(" + cuda::bufferName(desc.weight) + ", most);\n";
    stub.body = std::string("  ingot::linear") + (warpgroups ? "_sm90" : "") + "<Config, " +
                element + ">(start, " + cuda::bufferName(desc.x) +
                (desc.offset ? " + " + std::to_string(desc.offset) : std::string()) + ", " +
                cuda::bufferName(desc.weight) + ", " +
                (warpgroups ? "&map0, &map1, &map2, &map3, " + output : "") + rows + ", most, " +
                functor.type + "{" + functor.arguments + "});\n";
    stubs.push_back(std::move(stub));
  }
  return cuda::compileStubs(kernels, stubs, target, options);
}
