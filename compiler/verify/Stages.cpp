//===- Stages.cpp - What every pass leaves of every program ----------------===//

#include "compiler/verify/Stages.h"

#include "compiler/Suggest.h"
#include "dialects/Transformer/TransformerDialect.h"

#include "llvm/ADT/SmallPtrSet.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Pass/PassManager.h"

#include <set>

using namespace mlir;

namespace ingot::verify {

OwningOpRef<ModuleOp> isolate(func::FuncOp program) {
  auto parent = program->getParentOfType<ModuleOp>();
  OwningOpRef<ModuleOp> module = ModuleOp::create(parent.getLoc());
  (*module)->setAttrs(parent->getAttrDictionary());
  // It names ports of programs that are not here.
  (*module)->removeAttr(transformer::kGenerationAttr);
  module->push_back(program->clone());
  return module;
}

func::FuncOp programOf(ModuleOp module) {
  for (func::FuncOp function : module.getOps<func::FuncOp>())
    if (function->hasAttr(transformer::kProgramAttr))
      return function;
  return {};
}

namespace {

std::string printed(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream);
  return text;
}

/// Sees every pass before and after it runs; one thread.
class Recorder : public PassInstrumentation {
public:
  struct State {
    std::vector<ProgramStages> programs;
    std::vector<std::string> texts; // of the last stage of each program
    std::vector<std::string> passes;
    std::set<size_t> appliedOptions; // indices into the list
    std::string problem;
    Phase phase = Phase::Import;
  };
  Recorder(State &state, const PassOptionList &options) : state(state), options(options) {}

  /// Adds a stage for each program in `op`.
  static void record(State &state, Pass *pass, Operation *op) {
    SmallVector<func::FuncOp> functions;
    if (auto module = dyn_cast<ModuleOp>(op))
      functions.append(module.getOps<func::FuncOp>().begin(), module.getOps<func::FuncOp>().end());
    else if (auto function = dyn_cast<func::FuncOp>(op))
      functions.push_back(function);
    for (func::FuncOp function : functions)
      if (function->hasAttr(transformer::kProgramAttr))
        recordProgram(state, pass, isa<func::FuncOp>(op), function);
  }

  void runBeforePass(Pass *pass, Operation *) override {
    if (pass->getArgument().empty() || !configured.insert(pass).second)
      return;
    for (auto [index, option] : llvm::enumerate(options)) {
      if (option.first != pass->getArgument())
        continue;
      state.appliedOptions.insert(index);
      auto report = [&](const Twine &message) {
        state.problem = message.str();
        return failure();
      };
      if (failed(pass->initializeOptions(option.second, report)) && state.problem.empty())
        state.problem = "pass " + option.first + " does not take '" + option.second + "'";
    }
  }

  void runAfterPass(Pass *pass, Operation *op) override {
    // What only runs other passes over nested ops has no name.
    if (!pass->getArgument().empty())
      record(state, pass, op);
  }

private:
  static void recordProgram(State &state, Pass *pass, bool nested, func::FuncOp function) {
    StringRef name = function.getSymName();
    size_t index = 0;
    while (index < state.programs.size() && state.programs[index].program != name)
      ++index;
    if (index == state.programs.size()) {
      state.programs.push_back({name.str(), {}});
      state.texts.emplace_back();
    }
    Stage stage;
    stage.phase = state.phase;
    stage.module = isolate(function);
    if (pass) {
      stage.pass = pass->getArgument().str();
      llvm::raw_string_ostream stream(stage.pipeline);
      stream << "builtin.module(" << (nested ? "func.func(" : "");
      pass->printAsTextualPipeline(stream);
      stream << (nested ? "))" : ")");
    }
    std::string text = printed(*stage.module);
    stage.changed = text != state.texts[index];
    state.texts[index] = std::move(text);
    state.programs[index].stages.push_back(std::move(stage));
  }

  State &state;
  const PassOptionList &options;
  llvm::SmallPtrSet<Pass *, 16> configured;
};

} // namespace

Result<std::vector<ProgramStages>> recordStages(ModuleOp module, const PipelineOptions &pipeline,
                                                const PassOptionList &passOptions,
                                                DiagnosticCollector &diagnostics) {
  MLIRContext *context = module.getContext();
  Recorder::State state;
  Recorder::record(state, nullptr, module);
  bool threads = context->isMultithreadingEnabled();
  context->disableMultithreading();
  Status status;
  for (const PhaseInfo &info : phaseTable) {
    if (info.phase <= Phase::Import || info.phase >= Phase::Lower)
      continue;
    state.phase = info.phase;
    PassManager manager(context, ModuleOp::getOperationName());
    buildPipeline(info.phase, manager, pipeline);
    manager.addInstrumentation(std::make_unique<Recorder>(state, passOptions));
    LogicalResult result = manager.run(module);
    if (!state.problem.empty())
      status = Status(ExitCode::Usage, state.problem);
    else if (failed(result))
      status = diagnostics.takeError("phase '" + std::string(info.name) +
                                     "' failed without saying why; this is a defect of ingot");
    if (!status.ok())
      break;
  }
  context->enableMultithreading(threads);
  if (!status.ok())
    return status;
  for (auto [index, option] : llvm::enumerate(passOptions))
    if (!state.appliedOptions.count(index)) {
      std::vector<std::string_view> names;
      for (const Stage &stage : state.programs.front().stages)
        if (!stage.pass.empty() && !llvm::is_contained(names, stage.pass))
          names.push_back(stage.pass);
      return Status(ExitCode::Usage, "no pass '" + option.first + "' runs" +
                                         didYouMean(option.first, names) + "; the passes are " +
                                         listNames(names));
    }
  return std::move(state.programs);
}

} // namespace ingot::verify
