//===- Commands.h - run, generate, bench, tune and inspect --------*- C++ -*-===//
//
// The runtime's commands as functions, for `ingot-run` and `ingot`: options in, the text for stdout
// out. Flags are parsed by the callers. The strings of options are the command line's own.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/support/Status.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace ingot::commands {

struct ModelOptions {
  std::string file;            // the .ingot file
  std::string weights;         // --weights: "" for embedded, a folder, or random:SEED
  unsigned threads = 0;        // --threads: 0 for INGOT_NUM_THREADS or the number of CPUs
  bool verifyChecksums = true; // --no-verify
  bool streams = true;         // --no-streams: every launch by itself
};

struct RunOptions {
  ModelOptions model;
  std::string program;              // --program: "" for the only one, else "forward"
  std::vector<std::string> inputs;  // --input: "NAME=@FILE.npy" or "NAME=1,2,3;4,5,6"
  std::vector<std::string> outputs; // --output: "NAME=@FILE.npy", or "NAME" to print it whole
  uint64_t repeat = 1;              // --repeat: run that often, report the times
  bool profile = false;             // --profile: time every step, report by kernel
  bool json = false;
};

struct GenerateOptions {
  ModelOptions model;
  /// --ids: "1,2,3" is one prompt, "@FILE" holds one prompt a line (or is a .npy of integers).
  std::vector<std::string> prompts;
  uint64_t maxNewTokens = 128;
  // Unset: what the model was published with.
  std::optional<bool> sample; // --sample / --greedy; any flag below but the penalty means --sample
  std::optional<double> temperature, topP, minP, repetitionPenalty;
  std::optional<uint64_t> topK;
  uint64_t seed = 0;
  std::vector<int64_t> eosIds; // --eos, replaces the model's
  bool ignoreEos = false;
  bool json = false;
  /// Called after each token (prompt index, token), for progress; may be empty.
  std::function<void(size_t prompt, int32_t token)> onToken;
};

struct BenchOptions {
  ModelOptions model;
  std::vector<std::string> forward; // --forward: "8x128", or "8x128@50" for half of it padding
  std::vector<std::string> prefill; // --prefill: "1x512", rows x prompt tokens
  std::vector<std::string> decode;  // --decode: "16x1000", rows x tokens already in the cache
  uint64_t runs = 20, warmup = 3;
  bool json = false;
};

struct TuneOptions {
  ModelOptions model;   // a tuning pack; its operands are random
  std::string output;   // -o: the tuning file; what it has of this GPU is not measured again
  bool again = false;   // --again: it is
  uint64_t rounds = 15; // --rounds: counted runs of each candidate that is not given up
  bool json = false;
  /// Called before each kernel, for progress, and for each candidate that computes something else
  /// than the others; may be empty.
  std::function<void(size_t index, size_t count, const std::string &kernel)> onKernel;
  std::function<void(const std::string &kernel, const std::string &what)> onWrong;
};

struct InspectOptions {
  std::string file;
  std::vector<std::string> sections; // --section; empty: the summary (text), everything (JSON)
  std::string format;                // of section graph: dot (as text the default) or json
  bool verifyChecksums = true;
  bool json = false;
};

struct ExtractOptions {
  std::string file;
  std::string output; // a folder; made if missing
  bool json = false;
};

/// Names that --section takes.
const std::vector<std::string> &inspectSections();

// Each returns what to print on stdout, ending in a newline.
Result<std::string> run(const RunOptions &options);
Result<std::string> generate(const GenerateOptions &options);
Result<std::string> bench(const BenchOptions &options);
/// Measures the candidates of each kernel of a pack (ingot tune) in turn and keeps the fastest in
/// the tuning file, which is written after every kernel.
Result<std::string> tune(const TuneOptions &options);
Result<std::string> inspect(const InspectOptions &options);
/// Writes OUTPUT/model.safetensors: every checkpoint tensor that the ingot's weights were made of,
/// under the name, in the type and with the bytes it had there. What the model does not read
/// (config.json, the tokenizer, tensors without a use) is not in an ingot.
Result<std::string> extractWeights(const ExtractOptions &options);

} // namespace ingot::commands
