//===- RaggedBatch.h - Batches of rows of different lengths -------*- C++ -*-===//
//
// A batch as tokens in rows, and the same batch as the inputs of a padded program, of one for
// packed tokens, or of a step of generation.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/include/ingot/runtime.h"

#include <deque>
#include <random>
#include <string>
#include <vector>

namespace ingot::bench {

/// Prints the message and ends the process.
[[noreturn]] void fail(const std::string &message);

/// Rows of `width` places with tokens in front.
struct Batch {
  int64_t width = 0;
  std::vector<int64_t> lengths;
  std::vector<int32_t> ids; // [rows, width]

  int64_t rows() const { return int64_t(lengths.size()); }
  int64_t total() const;

  /// Lengths are drawn so that `fill` of the places are tokens; the longest row need not be
  /// `width`.
  static Batch make(int64_t rows, int64_t width, double fill, int64_t vocabulary,
                    std::mt19937 &random);
};

/// A result in memory of its own.
struct Output {
  std::string name;
  std::vector<std::string> dims; // "B", "S", "T", "384"
  std::vector<int64_t> shape;
  std::vector<float> values;
};

/// The largest difference of a padded result and the same one padded or packed, over tokens and
/// rows that there are, as a share of the largest magnitude. Padding that is not zero in `have` is
/// infinite.
double largestDifference(const Batch &batch, const Output &want, const Output &have);

/// A program with all inputs of a run.
class Feed {
public:
  explicit Feed(ingot_program *program) : program(program) {}

  void add(const char *name, std::vector<int64_t> shape, std::vector<int32_t> values);
  void run();
  /// Runs, and copies what comes out.
  std::vector<Output> outputs();

  int64_t tokens = 0;

private:
  ingot_program *program;
  std::deque<std::vector<int64_t>> shapes;
  std::deque<std::vector<int32_t>> arrays;
  std::vector<ingot_tensor> inputs;
};

class LoadedModel {
public:
  LoadedModel(const std::string &path, const std::string &weights, unsigned threads);
  ~LoadedModel();
  LoadedModel(const LoadedModel &) = delete;
  LoadedModel &operator=(const LoadedModel &) = delete;

  bool hasGeneration() const { return !step.empty(); }
  ingot_port_info findPort(const char *program, int outputs, const char *name);

  Feed feedPadded(const char *program, const Batch &batch);
  Feed feedPacked(const char *program, const Batch &batch);
  /// A step of generation with `past` tokens in each row's cache.
  Feed feedStep(const Batch &batch, int64_t past);

private:
  ingot_program *find(const char *program);

  ingot_file *file = nullptr;
  ingot_model *model = nullptr;
  std::string step; // the program, empty if there is none
  int64_t blockSize = 0;
};

} // namespace ingot::bench
