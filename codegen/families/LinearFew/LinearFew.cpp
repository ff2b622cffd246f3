//===- LinearFew.cpp - Linear layers of few tokens --------------------------===//
#include "codegen/families/LinearFew/LinearFew.h"

#include "codegen/cuda/KernelFunction.h"
#include "codegen/families/Generated/Generated.h"
#include "codegen/families/Linear/LinearEpilogue.h"
#include "codegen/families/LinearFew/LinearFewCode.h"
#include "dialects/Exec/SizeExpr.h"
#include "dialects/Transformer/TransformerOps.h"

#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

namespace {

/// How.
struct FewConfig {
  int tileRows = 32;
  int ringStages = 3;
  int tokenTiles = 1;
  uint32_t sharedBytes = 0;
};

constexpr int64_t kMostRows = 64;
/// Every block takes the gains of all rows for each of its tiles: measured to cost less than a
/// launch of the norm up to here.
constexpr int64_t kMostNormedRows = 16;
/// Of a block. Each warp takes boxes of so many elements of K and of a tile's rows of W.
constexpr unsigned kThreads = 256;
constexpr int kWarps = kThreads / 32, kBoxK = 64, kBoxRowBytes = kBoxK * 2;
/// Bytes of W that a block has on their way: what half a multiprocessor has room for.
constexpr int kRingBytes = 98304;

} // namespace

/// The rows of x that there may be, if they are few.
static std::optional<int64_t> fewRows(exec::KernelOp kernel, const LinearDesc &desc) {
  std::optional<int64_t> most = exec::SizeBounds::get(kernel.getSizes()).maximum(desc.rows);
  return most && *most >= 1 && *most <= kMostRows ? most : std::nullopt;
}

/// A height of tiles that is modelled to take so many times what the best takes is not measured.
constexpr double kHopeless = 1.25;

/// Boxes of a warp that are on their way.
static int countRingStages(int tileRows) {
  return std::min(8, kRingBytes / (kWarps * tileRows * kBoxRowBytes));
}

/// Modelled microseconds of a launch among others, fitted to what was measured on an H100
/// (README.md). Reading W takes as long as DRAM does, or as the busiest multiprocessor does
/// with its tiles: their rows, and for each tile the tokens, times what the norm makes of them.
/// What a launch takes beside that is less where multiprocessors without a tile have the next
/// one's blocks already.
static double modelTime(const LinearDesc &desc, int64_t tokens, int tileRows,
                        const cuda::ArchInfo &arch) {
  constexpr double kBytesPerMicrosecond = 3.11e6, kSteepness = 5.2;
  constexpr double kLaunch = 1.77, kNormLaunch = 0.055;
  constexpr double kRow = 4e-5, kTile = 2.1e-4, kToken = 1.46e-5; // an element of K
  constexpr double kNormedTile = 2.85e-4;
  constexpr double kTwoBoxes = 1.01; // of a ring that has no more, which moves in large steps
  const double norm = desc.norm ? 1 : 0, k = double(desc.k);
  const int64_t tiles = llvm::divideCeil(desc.columns, int64_t(tileRows));
  const int64_t turns = llvm::divideCeil(tiles, int64_t(arch.multiprocessors));
  const double memory = double(desc.columns) * k * 2 / kBytesPerMicrosecond;
  const double busiest =
      double(turns) * k * (kRow * tileRows + kTile + kToken * double(tokens) + kNormedTile * norm);
  const double idle = 1 - double(tiles) / double(turns * arch.multiprocessors);
  // What a ring has of a tile is there when the wait ends.
  const int stages = countRingStages(tileRows);
  const double ahead = std::min(1.0, double(stages * kBoxK * kWarps) / k);
  const double time =
      (kLaunch + kNormLaunch * norm) * (1 - idle * ahead) +
      std::pow(std::pow(memory, kSteepness) + std::pow(busiest, kSteepness), 1 / kSteepness);
  return stages > 2 ? time : time * kTwoBoxes;
}

/// Heights of tiles that are worth measuring, in the order of what they are modelled to take.
static SmallVector<int> listTileRows(const LinearDesc &desc, int64_t mostRows, int tokenTiles,
                                     const cuda::ArchInfo &arch) {
  // Sums take registers: of 40 rows and four tiles of tokens, 80.
  SmallVector<int> choices{8, 16, 24, 32, 40};
  if (tokenTiles <= 2)
    choices.push_back(48);
  // Up to 16 tokens are often one; what serves that serves 16 (README.md).
  const int64_t tokens = tokenTiles == 1 ? 1 : mostRows;
  auto time = [&](int rows) { return modelTime(desc, tokens, rows, arch); };
  llvm::sort(choices, [&](int a, int b) { return std::pair(time(a), a) < std::pair(time(b), b); });
  const double hopeless = kHopeless * time(choices.front());
  llvm::erase_if(choices, [&](int rows) { return time(rows) > hopeless; });
  return choices;
}

static std::vector<FewConfig> listConfigs(const LinearDesc &desc, int64_t mostRows,
                                          const cuda::ArchInfo &arch) {
  int tokenTiles = mostRows <= 16 ? 1 : mostRows <= 32 ? 2 : 4;
  std::vector<FewConfig> configs;
  for (int tileRows : listTileRows(desc, mostRows, tokenTiles, arch)) {
    FewConfig config;
    config.tokenTiles = tokenTiles;
    config.tileRows = tileRows;
    config.ringStages = countRingStages(tileRows);
    config.sharedBytes = 1024 + kWarps * config.ringStages * (tileRows * kBoxRowBytes + 8) +
                         kWarps * tokenTiles * 16 * tileRows * 4;
    if (desc.norm) {
      // Gains, and what every warp has of a token's sum of squares.
      config.sharedBytes += desc.k * 4 + kWarps * tokenTiles * 16 * 4;
    }
    // So much that no two blocks of these kernels share a multiprocessor: the next kernel's would
    // take places beside this one's and leave others empty.
    config.sharedBytes = std::max(config.sharedBytes, (arch.sharedBytesPerBlock + 1024) / 2);
    configs.push_back(config);
  }
  return configs;
}

/// Why the norm in front is no part of the kernel, though it could be the layer's; empty if it is.
static std::string whyNotNormed(const LinearDesc &desc, int64_t mostRows,
                                const cuda::ArchInfo &arch) {
  if (!desc.norm->gainType.isF32())
    return "the norm's gain is not f32";
  if (!desc.elementType.isBF16())
    return "an f16 token times the gain may overflow: its factor is for the sums";
  if (mostRows > kMostNormedRows)
    return "every block would take the gains of up to " + std::to_string(mostRows) +
           " rows; that is known to cost less than a launch up to " +
           std::to_string(kMostNormedRows);
  uint32_t bytes = 0;
  for (const FewConfig &config : listConfigs(desc, mostRows, arch))
    bytes = std::max(bytes, config.sharedBytes);
  if (bytes > arch.sharedBytesPerBlock)
    return "with K=" + std::to_string(desc.k) + " gains a block needs " + std::to_string(bytes) +
           " bytes of shared memory and has " + std::to_string(arch.sharedBytesPerBlock);
  return "";
}

Match LinearFewFamily::match(exec::KernelOp kernel, const TargetInfo &target) const {
  std::optional<cuda::ArchInfo> arch = cuda::getArchInfo(target.arch);
  if (!arch || arch->number < 90)
    return Match::unrelated(target.arch + " has no tensor copy engine");
  if (!hasAnyOp<transformer::LinearOp, transformer::GatedLinearOp>(kernel))
    return Match::unrelated("it has no linear layer");
  // cuda.linear takes what is left, and says what keeps a body from being a linear layer.
  std::variant<LinearDesc, std::string> described = describeLinear(kernel, /*withNorm=*/true);
  if (auto *reason = std::get_if<std::string>(&described))
    return Match::unrelated(*reason);
  const auto &desc = std::get<LinearDesc>(described);
  if (desc.elementType.isF32())
    return Match::unrelated("f32 is no 16-bit type");
  std::optional<int64_t> rows = fewRows(kernel, desc);
  if (!rows)
    return Match::unrelated("there may be more than " + std::to_string(kMostRows) + " rows");
  if (desc.norm)
    if (std::string reason = whyNotNormed(desc, *rows, *arch); !reason.empty())
      return Match::no(reason);
  std::string problem;
  if (!printEpilogue(kernel, desc, problem))
    return Match::unrelated(problem);
  return Match::yes();
}

static Selection makeSelection(exec::KernelOp kernel, const LinearDesc &desc, int64_t mostRows,
                               const FewConfig &config, const cuda::ArchInfo &arch) {
  Builder builder(kernel.getContext());
  auto number = [&](StringRef name, int64_t value) {
    return builder.getNamedAttr(name, builder.getI64IntegerAttr(value));
  };
  Selection selection;
  selection.desc.text = desc.str();
  selection.desc.key = desc.str(mostRows);
  selection.config.attributes = builder.getDictionaryAttr(
      {number("threads", kThreads), number("tile_rows", config.tileRows),
       number("ring_stages", config.ringStages), number("token_tiles", config.tokenTiles),
       number("shared", config.sharedBytes)});
  selection.config.text = "tiles of " + std::to_string(config.tileRows) + " rows of W, " +
                          std::to_string(config.ringStages) +
                          " boxes a warp on their way: the weight's bytes are the time";
  if (desc.norm)
    selection.config.text +=
        "; the norm's factors are for the sums, gains are taken as tokens are read";
  if (desc.gated)
    selection.weightLayouts.push_back(interleaveGate(kernel, desc));
  exec::SizeAttr one = exec::SizeAttr::get(kernel.getContext(), 1);
  selection.launch.grid = {exec::SizeAttr::get(kernel.getContext(), arch.multiprocessors), one,
                           one};
  selection.launch.block = {kThreads, 1, 1};
  return selection;
}

Result<std::vector<Selection>> LinearFewFamily::candidates(exec::KernelOp kernel,
                                                           const SelectContext &context) const {
  LinearDesc desc = std::get<LinearDesc>(describeLinear(kernel, /*withNorm=*/true));
  if (desc.gated && !context.weightInputs[desc.weight])
    return Status(ExitCode::Unsupported, "the weight of a gated linear layer is no weight");
  cuda::ArchInfo arch = *cuda::getArchInfo(context.target.arch);
  int64_t mostRows = *fewRows(kernel, desc);
  std::vector<Selection> selections;
  for (const FewConfig &config : listConfigs(desc, mostRows, arch))
    selections.push_back(makeSelection(kernel, desc, mostRows, config, arch));
  return selections;
}

Result<Selection> LinearFewFamily::select(exec::KernelOp kernel,
                                          const SelectContext &context) const {
  Result<std::vector<Selection>> selections = candidates(kernel, context);
  if (!selections.ok())
    return selections.status();
  return std::move(selections->front());
}

EarlyReads LinearFewFamily::getEarlyReads(exec::KernelOp) const {
  EarlyReads reads;
  reads.sizes = true; // without them no token can be asked for
  return reads;
}

cuda::Constants codegen::listFewShape(const LinearDesc &desc) {
  return {{"int kN", std::to_string(desc.columns)},
          {"int kK", std::to_string(desc.k)},
          {"int kRowStride", std::to_string(desc.rowStride)}};
}

cuda::Constants codegen::listFewNorm(const LinearDesc &desc) {
  return {{"bool kNorm", desc.norm ? "true" : "false"},
          {"float kNormEps", cuda::printFloat(desc.norm ? desc.norm->eps : 0)}};
}

TensorMapCode codegen::mapFewWeight(exec::KernelOp kernel, const LinearDesc &desc, uint32_t rows) {
  MLIRContext *context = kernel.getContext();
  TensorMapCode map;
  map.buffer = desc.weight;
  map.elementType = desc.elementType;
  map.dims = {exec::SizeAttr::get(context, desc.k), exec::SizeAttr::get(context, desc.columns)};
  map.strides = {exec::SizeAttr::get(context, desc.k * 2)};
  map.box = {kBoxK, rows};
  return map;
}

Result<Code> LinearFewFamily::emit(ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                                   const EmitOptions &options) const {
  std::vector<cuda::Stub> stubs;
  for (exec::KernelOp kernel : kernels) {
    auto described = describeLinear(kernel, /*withNorm=*/true);
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
      return kernel.getConfig()->getAs<IntegerAttr>(name).getInt();
    };
    // What lies beside the results is asked for ahead.
    std::optional<ResultPanels> panels = findPanels(kernel, desc, *epilogue);
    EpilogueFunctor functor = panels && panels->beside
                                  ? makePanelEpilogue(kernel, desc, *panels, *epilogue)
                                  : makeEpilogueFunctor(kernel, desc, *epilogue);
    std::string element = elementName(desc.elementType);
    cuda::Stub stub;
    stub.includes = {"codegen/cuda/kernels/linear_few.cuh"};
    stub.threads = config("threads");
    // Several tiles of tokens take the registers of two blocks.
    stub.blocksPerMultiprocessor = config("token_tiles") > 1 ? 1 : 2;
    stub.sharedBytes = config("shared");
    stub.waitsItself = true;
    stub.constants = listFewShape(desc);
    stub.constants.insert(stub.constants.end(),
                          {{"int kTileRows", std::to_string(config("tile_rows"))},
                           {"int kRingStages", std::to_string(config("ring_stages"))},
                           {"int kTokenTiles", std::to_string(config("token_tiles"))},
                           {"int kEpilogueVector", std::to_string(functor.values)}});
    llvm::append_range(stub.constants, listFewNorm(desc));
    stub.constants.push_back({"int kSharedBytes", std::to_string(config("shared"))});
    stub.declarations = functor.declaration;
    for (unsigned i = 0; i < kernel.getSizes().size(); ++i)
      stub.deviceSizes.push_back(i);
    stub.tensorMaps = {mapFewWeight(kernel, desc, config("tile_rows"))};
    stub.sizesEarly = kernel.getConfig()->contains(kReadsEarly);
    stub.prologue = "  ingot::FewRing<Config, " + element + "> ring(&map0" +
                    (desc.norm ? ", " + cuda::bufferName(desc.norm->gains) : "") + ");\n";
    stub.body = "  ingot::linear_few<Config, " + element + ">(" + cuda::bufferName(desc.x) +
                (desc.offset ? " + " + std::to_string(desc.offset) : std::string()) + ", " +
                cuda::printSize(desc.rows) + ", " + functor.type + "{" + functor.arguments +
                "}, ring);\n";
    stubs.push_back(std::move(stub));
  }
  return cuda::compileStubs(kernels, stubs, target, options);
}
