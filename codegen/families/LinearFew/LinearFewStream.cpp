//===- LinearFewStream.cpp - Linear layers of few tokens within a stream ----===//
#include "codegen/cuda/KernelFunction.h"
#include "codegen/families/Linear/LinearEpilogue.h"
#include "codegen/families/LinearFew/LinearFew.h"
#include "codegen/families/LinearFew/LinearFewCode.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

/// Of stream_state.cuh: rows of W of a tile and elements of K of a stage. A block keeps so many
/// stages of tokens, K is cut into parts of no more; with a norm, whose squares are of whole rows,
/// into none, up to twice that.
static constexpr int64_t kTileRows = 16, kStageK = 512, kMostStages = 8, kMostNormStages = 16;
static constexpr int64_t kWarps = 8;

/// Why tokens cannot be read in words of 16 bytes, or sizes not be known; empty if they can.
static std::string whyNotRead(exec::KernelOp kernel, const LinearDesc &desc, StringRef statements) {
  for (int64_t elements : {desc.k, desc.rowStride, desc.offset})
    if (elements % 8)
      return "rows of x are no whole words of 16 bytes";
  if (desc.norm && desc.k > kMostNormStages * kStageK)
    return "K=" + std::to_string(desc.k) + " behind a norm is more than the " +
           std::to_string(kMostNormStages * kStageK) + " that a block keeps of every token";
  for (unsigned i = 0; i < kernel.getSizes().size(); ++i)
    if (cuda::hasName(statements, cuda::sizeName(kernel, i)))
      return "what follows the sums needs sizes";
  return "";
}

std::variant<StreamTask, std::string> LinearFewFamily::getStreamTask(exec::KernelOp kernel) const {
  auto described = describeLinear(kernel, /*withNorm=*/true);
  if (auto *reason = std::get_if<std::string>(&described))
    return *reason;
  const auto &desc = std::get<LinearDesc>(described);
  std::string problem;
  std::optional<std::string> epilogue = printEpilogue(kernel, desc, problem);
  if (!epilogue)
    return problem;
  std::optional<ResultPanels> panels = findPanels(kernel, desc, *epilogue);
  if (!panels)
    return "its results are no rows of 16-bit elements that are stored 16 bytes at a time";
  if (problem = whyNotRead(kernel, desc, *epilogue); !problem.empty())
    return problem;

  int64_t stages = llvm::divideCeil(desc.k, kStageK);
  int64_t splits = desc.norm ? 1 : llvm::divideCeil(stages, kMostStages);
  EpilogueFunctor functor = makePanelEpilogue(kernel, desc, *panels, *epilogue);
  StreamTask task;
  task.include = "codegen/cuda/kernels/stream_linear.cuh";
  task.kind = "StreamLinear";
  task.elementType = elementName(desc.elementType);
  auto number = [&](const char *name, int64_t value) {
    task.constants.push_back({name, std::to_string(value)});
  };
  task.constants = listFewShape(desc);
  number("int kSplits", splits);
  number("int kOffset", desc.offset);
  number("int kX", desc.x);
  number("int kResult", panels->result);
  number("int kBeside", panels->beside ? int64_t(*panels->beside) : -1);
  number("int kGains", desc.norm ? int64_t(desc.norm->gains) : -1);
  number("int kResultStride", panels->columns);
  llvm::append_range(task.constants, listFewNorm(desc));
  task.declarations = functor.declaration;
  task.functions = {{functor.type, "epilogue", functor.type + "{" + functor.arguments + "}"}};
  task.tensorMaps = {mapFewWeight(kernel, desc, kTileRows)};
  task.tokens = desc.rows;
  task.result = panels->result;
  task.exchanged = {desc.x};
  if (panels->beside)
    task.exchanged.push_back(*panels->beside);
  task.weight = desc.weight;
  // What each warp has of a token meets other banks than its neighbours'.
  task.tokenBytes = llvm::divideCeil(stages, splits) * kStageK * 2 + kWarps * 16;
  task.partBytes = (splits - 1) * desc.columns * 4;
  return task;
}
