//===- ModelFolder.cpp - The weights of a model folder ---------------------===//

#include "compiler/ModelFolder.h"

#include <filesystem>

namespace ingot {

Result<std::optional<Checkpoint>> openCheckpoint(const std::string &folder, bool required) {
  std::error_code ignored;
  if (!required && !std::filesystem::exists(folder + "/model.safetensors", ignored) &&
      !std::filesystem::exists(folder + "/model.safetensors.index.json", ignored))
    return std::optional<Checkpoint>();
  Result<Checkpoint> checkpoint = Checkpoint::open(folder);
  if (!checkpoint.ok())
    return checkpoint.status();
  return std::optional<Checkpoint>(std::move(*checkpoint));
}

} // namespace ingot
