//===- Tuning.h - Measured choices, as a file ---------------------*- C++ -*-===//
//
// `ingot-run tune` measures the candidates of a pack on a GPU and keeps the fastest of each kernel
// here; `ingot compile --tuning` chooses by it. JSON that a person can read, edit and merge:
//
//   {"version": 1,
//    "entries": [{"gpu": {"name": "NVIDIA H100 80GB HBM3", "arch": "sm_90a", "multiprocessors":
//    132,
//                         "memory_gb_per_second": 3352, "clock_mhz": 1980},
//                 "kernel": "cuda.linear: linear, M<=4096 N=4096 K=4096, bf16; linear",
//                 "config": "{cluster = 2 : i64, ...}", "microseconds": 205.1,
//                 "modelled": {"config": "{...}", "microseconds": 209.4}, "candidates": 9}]}
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/support/Status.h"
#include "runtime/weights/Json.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

/// What a measurement holds for: GPUs that are alike in this are taken to be the same.
struct GpuDescription {
  std::string name; // as the driver calls it; for people, and to choose among GPUs by
  std::string arch; // of the code: "sm_90a"
  int64_t multiprocessors = 0;
  int64_t memoryGbPerSecond = 0; // of the data sheet: clock times width of the bus
  int64_t clockMhz = 0;          // the highest

  bool operator==(const GpuDescription &) const = default;
};

struct TuningEntry {
  GpuDescription gpu;
  std::string kernel;      // KernelDesc::key of codegen/KernelFamily.h
  std::string config;      // KernelConfig::attributes, printed
  double microseconds = 0; // a launch, median
  /// What the cost model would have chosen.
  std::string modelledConfig;
  double modelledMicroseconds = 0;
  int64_t candidates = 0;
};

/// Entries, one a GPU and kernel.
class Tuning {
public:
  static constexpr int64_t kVersion = 1;

  /// Errors: MalformedInput, with the place.
  static Result<Tuning> read(const std::string &path);
  static Result<Tuning> parse(std::string_view text, const std::string &name);

  /// Writes beside `path` and renames, so that an interrupted run leaves the last whole file.
  Status write(const std::string &path) const;
  std::string text() const;

  /// Set where what was read is of a version that this is not: there are no entries then.
  std::optional<int64_t> otherVersion() const { return otherVersion_; }
  const std::vector<TuningEntry> &entries() const { return entries_; }
  const TuningEntry *find(const GpuDescription &gpu, std::string_view kernel) const;
  /// Adds an entry, in place of one for the same GPU and kernel.
  void put(TuningEntry entry);

private:
  static Result<Tuning> readDocument(const JsonDocument &document);

  std::vector<TuningEntry> entries_;
  std::optional<int64_t> otherVersion_;
};

} // namespace ingot
