//===- Phases.cpp - The named steps of a compilation -----------------------===//

#include "compiler/Phases.h"

#include "compiler/Suggest.h"

namespace ingot {

Result<Phase> parsePhase(std::string_view name) {
  std::vector<std::string_view> names;
  for (const PhaseInfo &info : phaseTable) {
    if (info.name == name)
      return info.phase;
    names.push_back(info.name);
  }
  return Status(ExitCode::Usage, "unknown phase '" + std::string(name) + "'" +
                                     didYouMean(name, names) + "; the phases are " +
                                     listNames(names));
}

} // namespace ingot
