//===- TuningChoice.cpp - A kernel's config by measurements -----------------===//
#include "passes/TuningChoice.h"

#include "codegen/cuda/ShippedTuning.h"
#include "codegen/cuda/Stub.h"

#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace ingot;
using codegen::Selection;

static remark::RemarkOpts remarkOptions() {
  return remark::RemarkOpts::name("Tuning").category("tuning");
}

Result<TuningChoice> TuningChoice::read(const std::vector<std::string> &files,
                                        llvm::StringRef gpu) {
  TuningChoice choice;
  choice.gpu = gpu;
  // Of shipped ones that fit alike, the first by name counts.
  for (const cuda::ShippedTuning &file : llvm::reverse(cuda::getShippedTuning())) {
    Result<Tuning> parsed = Tuning::parse(file.text, file.name);
    if (!parsed.ok())
      return Status(ExitCode::Internal, parsed.status().message());
    choice.sources.push_back({file.name, true, std::move(*parsed)});
  }
  for (const std::string &path : files) {
    Result<Tuning> file = Tuning::read(path);
    if (!file.ok())
      return file.status();
    choice.sources.push_back({path, false, std::move(*file)});
  }
  return choice;
}

void TuningChoice::reportUnread(Location location) const {
  for (const Source &source : sources)
    if (std::optional<int64_t> version = source.tuning.otherVersion())
      remark::missed(location, remarkOptions())
          << source.name + " is left aside: expected a tuning file of version " +
                 std::to_string(Tuning::kVersion) + ", got version " + std::to_string(*version);
}

std::string ingot::makeTuningKey(const codegen::KernelFamily &family, exec::KernelOp kernel,
                                 const Selection &selection) {
  if (selection.desc.key.empty())
    return {};
  return family.getName().str() + ": " + selection.desc.key + "; " + codegen::nameOps(kernel);
}

std::string ingot::printConfig(const Selection &selection) {
  std::string text;
  llvm::raw_string_ostream(text) << selection.config.attributes;
  return text;
}

/// Why a measurement on that GPU says nothing about code for `target`, or nothing.
std::string TuningChoice::whyUnfit(const GpuDescription &entry,
                                   const codegen::TargetInfo &target) const {
  std::optional<cuda::ArchInfo> arch = cuda::getArchInfo(target.arch);
  if (entry.arch != target.arch || !arch)
    return "it ran code for " + entry.arch;
  if (entry.multiprocessors != arch->multiprocessors)
    return "it has " + std::to_string(entry.multiprocessors) +
           " multiprocessors, the code is for " + std::to_string(arch->multiprocessors);
  if (!StringRef(entry.name).contains_insensitive(gpu))
    return "the code is for a GPU called '" + gpu + "'";
  return {};
}

Selection TuningChoice::choose(const codegen::KernelFamily &family, exec::KernelOp kernel,
                               const codegen::TargetInfo &target,
                               std::vector<Selection> candidates) const {
  std::string key = makeTuningKey(family, kernel, candidates.front());
  if (key.empty() || candidates.size() == 1)
    return std::move(candidates.front());
  std::string name = "@" + kernel.getSymName().str() + ": ", unfit;
  bool asked = false; // somebody named a file
  for (const Source &source : llvm::reverse(sources)) {
    asked |= !source.shipped;
    for (const TuningEntry &entry : source.tuning.entries()) {
      if (entry.kernel != key)
        continue;
      auto leaveAside = [&](const std::string &why) {
        if (!source.shipped)
          unfit += "; what " + source.name + " has of " + entry.gpu.name + " is left aside: " + why;
      };
      if (std::string why = whyUnfit(entry.gpu, target); !why.empty()) {
        leaveAside(why);
        continue;
      }
      auto fastest = llvm::find_if(candidates, [&](const Selection &candidate) {
        return printConfig(candidate) == entry.config;
      });
      if (fastest == candidates.end()) {
        leaveAside(family.getName().str() + " has no config " + entry.config +
                   " (any more); measure again");
        continue;
      }
      char times[96];
      snprintf(times, sizeof times, "%.2f us, %.2f by the cost model's choice, %lld candidates",
               entry.microseconds, entry.modelledMicroseconds,
               static_cast<long long>(entry.candidates));
      remark::passed(kernel.getLoc(), remarkOptions())
          << name + "measured on " + entry.gpu.name + ": " + times;
      fastest->config.text += "; measured on " + entry.gpu.name;
      return std::move(*fastest);
    }
  }
  if (asked)
    remark::missed(kernel.getLoc(), remarkOptions())
        << name + "goes by the cost model, no measurement fits " + key + unfit;
  return std::move(candidates.front());
}
