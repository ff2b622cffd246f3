//===- Target.cpp - What a compilation is for ------------------------------===//

#include "compiler/Target.h"

#include "compiler/Suggest.h"

#include <algorithm>

namespace ingot {

static const std::vector<std::string_view> targetNames = {
    "host",  "x86-64-v2", "x86-64-v3", "x86-64-v4", "sm_80",
    "sm_86", "sm_89",     "sm_90",     "sm_90a",    "sm_100a"};

/// The highest x86-64 level that this machine executes; empty on another architecture.
static std::string hostLevel() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4"))
    return "x86-64-v4";
  if (__builtin_cpu_supports("x86-64-v3"))
    return "x86-64-v3";
  if (__builtin_cpu_supports("x86-64-v2"))
    return "x86-64-v2";
#endif
  return "";
}

Result<Target> parseTarget(std::string_view text) {
  if (text == "host") {
    std::string level = hostLevel();
    if (level.empty())
      return Status(ExitCode::Unsupported,
                    "target 'host': this machine is not an x86-64-v2 or later processor; name the "
                    "machine to compile for with --target x86-64-v2, x86-64-v3 or x86-64-v4");
    return Target{"host", level};
  }
  for (std::string_view name : targetNames)
    if (name == text)
      return Target{text.starts_with("sm_") ? "cuda" : "host", std::string(text)};
  if (text.starts_with("sm_"))
    return Status(ExitCode::Unsupported,
                  "target '" + std::string(text) +
                      "' is not supported in this version; supported: " + listNames(targetNames));
  return Status(ExitCode::Usage, "unknown target '" + std::string(text) + "'" +
                                     didYouMean(text, targetNames) +
                                     "; supported: " + listNames(targetNames));
}

Result<std::vector<Target>> parseTargets(std::string_view text) {
  std::vector<Target> targets;
  for (size_t begin = 0; begin <= text.size();) {
    size_t end = std::min(text.find(',', begin), text.size());
    Result<Target> target = parseTarget(text.substr(begin, end - begin));
    if (!target.ok())
      return target.status();
    for (const Target &other : targets) {
      if (other.arch == target->arch)
        return Status(ExitCode::Usage, "--target: '" + target->arch + "' is named twice");
      // Kernels for a processor are formed otherwise than those for a GPU, so programs are others
      // too.
      if (other.kind != target->kind)
        return Status(ExitCode::Unsupported, "--target: one ingot holds code for several GPUs or "
                                             "for several processors, not for both: "
                                             "got " +
                                                 other.arch + " and " + target->arch +
                                                 "; compile the model once for each");
    }
    targets.push_back(std::move(*target));
    begin = end + 1;
  }
  return targets;
}

ElementType toElementType(std::string_view dtype) {
  return dtype == "bf16" ? ElementType::BF16 : dtype == "f16" ? ElementType::F16 : ElementType::F32;
}

Status checkDtype(std::string_view dtype, const Target &target) {
  static const std::vector<std::string_view> names = {"f32", "f16", "bf16"};
  if (dtype == "f32" || dtype == "bf16")
    return Status();
  if (dtype == "f16") {
    // Processors below v3 have no conversion of f16, and an image calls no library.
    if (target.kind != "host" || target.arch != "x86-64-v2")
      return Status();
    return Status(ExitCode::Unsupported,
                  "--dtype f16: target x86-64-v2 has no instructions for f16; use --dtype f32 or "
                  "bf16, or --target x86-64-v3");
  }
  return Status(ExitCode::Usage, "unknown --dtype '" + std::string(dtype) + "'" +
                                     didYouMean(dtype, names) + "; the types are " +
                                     listNames(names));
}

} // namespace ingot
