//===- ModelFlags.h - The flags of commands that load an ingot ---*- C++ -*-===//
#pragma once

#include "runtime/cli/Commands.h"
#include "tools/cli/Cli.h"

namespace ingot::cli {

/// FILE, --weights, --threads, --no-verify, --no-streams.
inline void addModelFlags(CLI::App &command, commands::ModelOptions &model) {
  command.add_option("FILE", model.file, "The .ingot file")->required();
  command.add_option("--weights", model.weights,
                     "Model folder to take the weights from, or random:SEED [those embedded]");
  command.add_option("--threads", model.threads, "Worker threads [all processors]")
      ->check(CLI::Range(1u, 4096u));
  command.add_flag_callback(
      "--no-verify", [&model] { model.verifyChecksums = false; },
      "Skip the checksums of the sections (faster start; the plan is checked all the same)");
  command.add_flag_callback(
      "--no-streams", [&model] { model.streams = false; },
      "Launch every kernel by itself, also where one can do many of them at once");
}

} // namespace ingot::cli
