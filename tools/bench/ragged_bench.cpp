//===- ragged_bench.cpp - Ragged batches beside the same tokens alone -----===//
//
//   ragged-bench MODEL_FOLDER [--rows B] [--tokens S] [--fill 50,30,10] [--rounds R] [--seconds T]
//                [--threads N] [--only TEXT] [--check] [--json]
//
// What padding costs once it is removed. The folder is compiled three times: as it is by default
// (`ragged`), without remove-padding (`padded`), and for packed input (`packed`: the same tokens,
// with no padding anywhere), and all three are loaded side by side, each with weights of its own.
// Then, in rounds in which both sides of a line run, the other one first each time:
//
//   * forward at each fill: ragged / packed. Rows have random lengths of the asked mean.
//   * step (prefill) at each fill: ragged / a full batch of as many tokens, which is run without
//     remove-padding. Its rows are equally long, so attention has less to do there.
//   * full batch and batch 1: ragged / padded, of forward and, for decoders, prefill and decode.
//
// A line is judged by the median of its rounds' ratios, which stands there with its 95 % confidence
// interval and the ratio of the least times. There are at least R rounds (9) a line, and as many as
// take T seconds (0). --only times the lines whose name contains TEXT. Memory should lie in huge
// pages for all or for none, so how much does is printed. Results are compared before anything is
// timed, and with --check nothing is timed.
//
//===----------------------------------------------------------------------===//
#include "compiler/Compiler.h"
#include "runtime/weights/JsonWriter.h"
#include "tools/bench/Measure.h"
#include "tools/bench/RaggedBatch.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <unistd.h>

using namespace ingot;
using namespace ingot::bench;

namespace {

constexpr double kTolerance = 1e-5; // of the largest magnitude

struct Options {
  std::string model, only;
  int64_t rows = 8, tokens = 128;
  std::vector<int64_t> fills{50, 30, 10};
  int64_t rounds = 9, seconds = 0, threads = 0;
  bool check = false, json = false;
};

/// A line of the table: two runs that take turns, and what their ratio may be.
struct Line {
  std::string what, against;
  int64_t tokens;
  double bound;
  std::function<void()> run, baseline;
  std::vector<double> times = {}, baselineTimes = {}; // of the rounds, in their order
};

/// The share of this process's own memory that lies in huge pages; -1 where the system doesn't say.
double inHugePages() {
  std::ifstream file("/proc/self/smaps_rollup");
  double all = -1, huge = -1;
  for (std::string line; std::getline(file, line);)
    if (!std::sscanf(line.c_str(), "Anonymous: %lf", &all))
      std::sscanf(line.c_str(), "AnonHugePages: %lf", &huge);
  return all > 0 && huge >= 0 ? huge / all : -1;
}

class Bench {
public:
  explicit Bench(const Options &options) : options(options) {}

  void load();
  /// Runs every variant on every batch and compares; ends the process if two differ.
  void check();
  void measure();
  void printJson() const;

private:
  std::unique_ptr<LoadedModel> compileAs(const char *name, void (*change)(CompileOptions &));
  Batch makeBatch(int64_t rows, int64_t width, int64_t fill);
  void addForward();
  void addStep();
  void add(std::string what, std::string against, double bound, Feed run, Feed baseline);
  void compareForward(int64_t fill);
  void compareStep(int64_t fill);
  void note(const std::string &what, double difference);
  void runRounds(Line &line);
  void printLine(const Line &line) const;
  int64_t vocabulary() const;

  Options options;
  std::unique_ptr<LoadedModel> ragged, padded, packed;
  std::mt19937 random{1};
  std::vector<Line> lines;
  double worst = 0;
};

//===----------------------------------------------------------------------===//
// Models
//===----------------------------------------------------------------------===//

std::unique_ptr<LoadedModel> Bench::compileAs(const char *name, void (*change)(CompileOptions &)) {
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("ragged-bench." + std::to_string(getpid()));
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  CompileOptions compileOptions;
  compileOptions.model = options.model;
  compileOptions.output = folder / (std::string(name) + ".ingot");
  compileOptions.maxBatch = options.rows;
  compileOptions.maxContext = options.tokens;
  compileOptions.maxTokens = options.rows * options.tokens;
  compileOptions.embedWeights = false;
  change(compileOptions);
  CompileReport report;
  Status status = compile(compileOptions, report);
  std::unique_ptr<LoadedModel> model;
  if (status.ok())
    model = std::make_unique<LoadedModel>(compileOptions.output, options.model,
                                          unsigned(options.threads));
  std::filesystem::remove_all(folder, error);
  if (!status.ok())
    fail(status.message());
  return model;
}

void Bench::load() {
  ragged = compileAs("ragged", [](CompileOptions &) {});
  padded = compileAs("padded", [](CompileOptions &compileOptions) {
    compileOptions.disabledPasses.push_back("remove-padding");
  });
  packed = compileAs("packed",
                     [](CompileOptions &compileOptions) { compileOptions.packedInput = true; });
}

int64_t Bench::vocabulary() const {
  ingot_port_info port = ragged->findPort("forward", 0, "input_ids");
  return port.has_range ? port.maximum + 1 : 2;
}

//===----------------------------------------------------------------------===//
// Batches
//===----------------------------------------------------------------------===//

Batch Bench::makeBatch(int64_t rows, int64_t width, int64_t fill) {
  return Batch::make(rows, width, double(fill) / 100, vocabulary(), random);
}

void Bench::note(const std::string &what, double difference) {
  worst = std::max(worst, difference);
  if (!(difference <= kTolerance))
    fail(what + ": results differ by " + std::to_string(difference) + " of the largest, at most " +
         std::to_string(kTolerance) + " expected");
}

void Bench::compareForward(int64_t fill) {
  Batch batch = makeBatch(options.rows, options.tokens, fill);
  Feed raggedFeed = ragged->feedPadded("forward", batch);
  Feed paddedFeed = padded->feedPadded("forward", batch);
  Feed packedFeed = packed->feedPacked("forward", batch);
  std::vector<Output> want = paddedFeed.outputs(), have = raggedFeed.outputs(),
                      alone = packedFeed.outputs();
  for (size_t i = 0; i < want.size(); ++i) {
    std::string what = "forward at " + std::to_string(fill) + " %, " + want[i].name + ": ";
    note(what + "ragged and padded", largestDifference(batch, want[i], have[i]));
    note(what + "packed and padded", largestDifference(batch, want[i], alone[i]));
  }
}

void Bench::compareStep(int64_t fill) {
  Batch batch = makeBatch(options.rows, options.tokens, fill);
  Output want = padded->feedStep(batch, 0).outputs().front();
  Output have = ragged->feedStep(batch, 0).outputs().front();
  note("step at " + std::to_string(fill) + " %: ragged and padded",
       largestDifference(batch, want, have));
}

void Bench::check() {
  std::vector<int64_t> fills = options.fills;
  fills.push_back(100);
  for (int64_t fill : fills) {
    compareForward(fill);
    if (ragged->hasGeneration())
      compareStep(fill);
  }
  if (!options.json)
    std::printf("results agree: largest difference %.1e of the largest value\n", worst);
}

//===----------------------------------------------------------------------===//
// Times
//===----------------------------------------------------------------------===//

void Bench::add(std::string what, std::string against, double bound, Feed run, Feed baseline) {
  if (what.find(options.only) == std::string::npos)
    return;
  auto first = std::make_shared<Feed>(std::move(run));
  auto second = std::make_shared<Feed>(std::move(baseline));
  lines.push_back({std::move(what), std::move(against), first->tokens, bound,
                   [first] { first->run(); }, [second] { second->run(); }});
}

void Bench::addForward() {
  std::string size = " " + std::to_string(options.rows) + "x" + std::to_string(options.tokens);
  for (int64_t fill : options.fills) {
    Batch batch = makeBatch(options.rows, options.tokens, fill);
    add("forward" + size + " at " + std::to_string(fill) + " %", "packed", 1.05,
        ragged->feedPadded("forward", batch), packed->feedPacked("forward", batch));
  }
  for (int64_t rows : {options.rows, int64_t(1)}) {
    Batch batch = makeBatch(rows, options.tokens, 100);
    add("forward " + std::to_string(rows) + "x" + std::to_string(options.tokens) + " full",
        "padded", 1.02, ragged->feedPadded("forward", batch), padded->feedPadded("forward", batch));
  }
}

void Bench::addStep() {
  std::string size = " " + std::to_string(options.rows) + "x" + std::to_string(options.tokens);
  for (int64_t fill : options.fills) {
    Batch batch = makeBatch(options.rows, options.tokens, fill);
    // As many tokens, to the next whole row.
    int64_t width = (batch.total() + options.rows - 1) / options.rows;
    Batch full = makeBatch(options.rows, width, 100);
    add("prefill" + size + " at " + std::to_string(fill) + " %",
        "full " + std::to_string(options.rows) + "x" + std::to_string(width), 1.05,
        ragged->feedStep(batch, 0), padded->feedStep(full, 0));
  }
  for (int64_t rows : {options.rows, int64_t(1)}) {
    Batch prompts = makeBatch(rows, options.tokens, 100), tokens = makeBatch(rows, 1, 100);
    std::string by = std::to_string(rows) + "x";
    add("prefill " + by + std::to_string(options.tokens) + " full", "padded", 1.02,
        ragged->feedStep(prompts, 0), padded->feedStep(prompts, 0));
    add("decode " + by + "1 after " + std::to_string(options.tokens - 1), "padded", 1.02,
        ragged->feedStep(tokens, options.tokens - 1), padded->feedStep(tokens, options.tokens - 1));
  }
}

void Bench::runRounds(Line &line) {
  double spent = 0;
  for (int64_t round = 0; round <= options.rounds || spent < double(options.seconds); ++round) {
    double time, baselineTime;
    if (round % 2)
      time = seconds(line.run), baselineTime = seconds(line.baseline);
    else
      baselineTime = seconds(line.baseline), time = seconds(line.run);
    if (round == 0) // warms up
      continue;
    line.times.push_back(time);
    line.baselineTimes.push_back(baselineTime);
    spent += time + baselineTime;
  }
}

void Bench::measure() {
  addForward();
  if (ragged->hasGeneration())
    addStep();
  if (!options.json)
    std::printf("memory in huge pages: %.0f %%\n"
                "%-26s %6s  %8s %8s  %-12s %8s %8s %6s  %-24s %6s %5s\n",
                inHugePages() * 100, "ms: median, least", "tokens", "padding", "removed", "beside",
                "", "", "rounds", "ratio (95 % confidence)", "minima", "goal");
  for (Line &line : lines) {
    runRounds(line);
    if (!options.json)
      printLine(line);
  }
}

void Bench::printLine(const Line &line) const {
  Times time = summarize(line.times), baseline = summarize(line.baselineTimes);
  Ratio ratio = compare(line.times, line.baselineTimes);
  std::printf("%-26s %6ld  %8.2f %8.2f  %-12s %8.2f %8.2f %6zu  %.3f (%.3f to %.3f)   %6.3f %5.2f"
              "%s\n",
              line.what.c_str(), long(line.tokens), time.median * 1e3, time.low * 1e3,
              line.against.c_str(), baseline.median * 1e3, baseline.low * 1e3, line.times.size(),
              ratio.median, ratio.low, ratio.high, ratio.minima, line.bound,
              ratio.median <= line.bound ? "" : "  missed");
  std::fflush(stdout);
}

void Bench::printJson() const {
  JsonWriter json;
  json.beginObject().member("largest_difference", worst);
  json.member("in_huge_pages", inHugePages()).key("lines").beginArray();
  for (const Line &line : lines) {
    json.beginObject().member("what", line.what).member("against", line.against);
    json.member("tokens", line.tokens).member("bound", line.bound);
    auto times = [&](const char *name, const std::vector<double> &seconds) {
      Times time = summarize(seconds);
      json.key(name).beginObject().member("median", time.median).member("min", time.low);
      json.member("max", time.high).endObject();
    };
    times("seconds", line.times);
    times("baseline_seconds", line.baselineTimes);
    Ratio ratio = compare(line.times, line.baselineTimes);
    json.member("rounds", line.times.size()).member("ratio", ratio.median);
    json.member("ratio_low", ratio.low).member("ratio_high", ratio.high);
    json.member("ratio_of_minima", ratio.minima).endObject();
  }
  json.endArray().endObject();
  std::printf("%s\n", json.text().c_str());
}

std::vector<int64_t> parseFills(const char *text) {
  std::vector<int64_t> fills;
  for (const char *at = text; *at;) {
    char *end;
    int64_t fill = std::strtol(at, &end, 10);
    if (end == at || fill < 1 || fill > 100 || (*end && *end != ','))
      fail(std::string("--fill: expected percents such as 50,30,10, got '") + text + "'");
    fills.push_back(fill);
    at = *end ? end + 1 : end;
  }
  return fills;
}

Options parseOptions(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    auto text = [&]() -> const char * {
      if (i + 1 >= argc)
        fail(std::string(argv[i]) + " needs a value");
      return argv[++i];
    };
    auto number = [&]() -> int64_t {
      const char *flag = argv[i];
      int64_t value = std::atoll(text());
      if (value < 1)
        fail(std::string(flag) + " needs a positive number");
      return value;
    };
    std::string flag = argv[i];
    if (flag == "--rows")
      options.rows = number();
    else if (flag == "--tokens")
      options.tokens = number();
    else if (flag == "--rounds")
      options.rounds = number();
    else if (flag == "--seconds")
      options.seconds = number();
    else if (flag == "--threads")
      options.threads = number();
    else if (flag == "--fill")
      options.fills = parseFills(text());
    else if (flag == "--only")
      options.only = text();
    else if (flag == "--check")
      options.check = true;
    else if (flag == "--json")
      options.json = true;
    else if (flag.front() != '-' && options.model.empty())
      options.model = flag;
    else
      fail("unknown argument '" + flag + "'");
  }
  if (options.model.empty())
    fail("which model? usage: ragged-bench MODEL_FOLDER [--rows B] [--tokens S] [--fill 50,30,10] "
         "[--rounds R] [--seconds T] [--threads N] [--only TEXT] [--check] [--json]");
  return options;
}

} // namespace

int main(int argc, char **argv) {
  Options options = parseOptions(argc, argv);
  Bench bench(options);
  bench.load();
  bench.check();
  if (!options.check)
    bench.measure();
  if (options.json)
    bench.printJson();
  return 0;
}
