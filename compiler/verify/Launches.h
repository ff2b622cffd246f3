//===- Launches.h - A device against the host, launch by launch --*- C++ -*-===//
//
// Runs the programs of an ingot on its device and every launch once more on the host, from the
// bytes that the device had before it (README.md). This header includes no MLIR.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/device/Device.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace ingot::verify {

struct IngotOptions {
  /// Compiled with --debug-info.
  std::string file;
  /// "": embedded. Else as LoadOptions::weights.
  std::string weights;
  uint64_t seed = 0;
  /// Only these programs; empty for all.
  std::vector<std::string> programs;
  /// Where a failure's reproducer goes; empty for none.
  std::string reproducer;
  /// Most rows and tokens of a row in the inputs; 0 for small ones.
  int64_t maxBatch = 0, maxContext = 0;
  /// Tests put fakes here.
  DeviceFactory makeDevice = ingot::makeDevice;
};

/// All launches of one kernel in one program.
struct KernelReport {
  std::string kernel, family, summary;
  uint64_t launches = 0;
  /// The largest error of all launches: |got - expected| / largest |expected|.
  double error = 0, budget = 0;
  /// Where it was: "right padding, model.layers.0.mlp.down_proj".
  std::string worst;
  /// Why it was not compared; empty if it was.
  std::string problem;
};

/// A stream (plan.fbs) in one program, against the launches that it does.
struct StreamReport {
  std::string kernel;
  uint64_t first = 0, launches = 0; // steps
  uint64_t calls = 0;               // with so few tokens that it ran
  double error = 0, budget = 0;     // of the program's outputs, as KernelReport's
  std::string worst;
};

struct LaunchesReport {
  std::string program;
  uint64_t cases = 0, calls = 0, launches = 0;
  std::vector<KernelReport> kernels; // in the order of their first launch
  std::vector<StreamReport> streams;
};

/// The first launch that gives other results than the host.
/// The family of failures of streams, whose buffers are numbers of outputs.
constexpr const char *kStreamFamily = "stream";

struct LaunchFailure {
  std::string program, inputs, kernel, family, summary;
  /// Than what: a stream's is what its launches give.
  std::string reference = "on the host";
  /// Hugging Face module.
  std::string location;
  uint64_t step = 0, steps = 0;
  unsigned buffer = 0;
  /// Not a number where a value is not finite.
  double error = 0, budget = 0;
  /// The element that is off most, and what it should be.
  uint64_t element = 0, elements = 0;
  double got = 0, expected = 0;
  /// The folder, and how to run it; empty without one.
  std::string reproducer, command;
  /// What is to be known about the reproducer.
  std::string note;
};

struct IngotReport {
  std::string modelType, device, hostArch;
  std::vector<LaunchesReport> programs;
  std::optional<LaunchFailure> failure;
  double seconds = 0;
};

/// The failure in words, with exit code 5.
Status failureStatus(const LaunchFailure &failure);

/// Called before each case: "forward, right padding".
using LaunchProgress = std::function<void(size_t done, size_t total, const std::string &what)>;

/// Accuracy (exit code 5) if a launch differs, with `report.failure` set; Usage for an ingot
/// without debug info or a program that it does not have; else the errors of opening, loading and
/// running.
Status verifyIngot(const IngotOptions &options, IngotReport &report,
                   const LaunchProgress &progress = {});

/// True for a folder that a failure of verifyIngot was written to.
bool isLaunchReproducer(const std::string &folder);

/// Runs such a folder again: Accuracy if its launch still differs, ok if it does not.
Status rerunLaunch(const std::string &folder, IngotReport &report,
                   DeviceFactory makeDevice = ingot::makeDevice);

} // namespace ingot::verify
