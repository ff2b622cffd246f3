//===- BenchCommand.cpp - Times of a model's programs --------------*- C++ -*-===//
//
// Cases are what users compare: a decode step of so many rows with so much context, the prefill of
// prompts, a batch through forward with so much of it filled. Inputs are random within the ports'
// ranges; results are not copied back. One load serves all cases.
//
//===----------------------------------------------------------------------===//
#include "runtime/cli/Arguments.h"
#include "runtime/cli/Commands.h"
#include "runtime/format/Artifact.h"
#include "runtime/format/DType.h"
#include "runtime/support/Clock.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"
#include "runtime/weights/JsonWriter.h"

#include <algorithm>

namespace ingot::commands {

namespace {

/// What one --decode, --prefill or --forward asks for.
struct Case {
  const char *kind; // "decode", "prefill", "forward"
  int64_t rows = 0, length = 0;
  double fill = 1; // of forward: the share of rows x length that is tokens
};

struct Timing {
  Case what;
  int64_t tokens = 0; // valid ones of a run
  std::vector<double> seconds;
};

/// A warmup lasts that long at least: the clocks of a GPU that was idle take so long to rise.
constexpr double kWarmupSeconds = 0.2;

Status malformed(const char *flag, const std::string &argument, const char *expected) {
  return Status(ExitCode::Usage,
                text("--", flag, ": expected ", expected, ", got ", quoted(argument)));
}

/// "8x128", and for forward "8x128@50".
Result<Case> parseCase(const char *kind, const std::string &argument) {
  bool forward = std::string_view(kind) == "forward";
  const char *expected = forward ? "ROWSxTOKENS or ROWSxTOKENS@PERCENT, such as 8x128@50"
                                 : "ROWSxTOKENS, such as 1x512";
  Case result{kind};
  std::string rest = argument;
  size_t at = rest.find('@');
  if (at != std::string::npos) {
    auto percent = parseIntegers(std::string_view(rest).substr(at + 1));
    if (!forward || !percent.ok() || percent->size() != 1 || percent->front() < 1 ||
        percent->front() > 100)
      return malformed(kind, argument, expected);
    result.fill = double(percent->front()) / 100;
    rest.resize(at);
  }
  size_t x = rest.find('x');
  if (x == std::string::npos)
    return malformed(kind, argument, expected);
  auto rows = parseIntegers(std::string_view(rest).substr(0, x));
  auto length = parseIntegers(std::string_view(rest).substr(x + 1));
  if (!rows.ok() || !length.ok() || rows->size() != 1 || length->size() != 1 || rows->front() < 1 ||
      length->front() < 1)
    return malformed(kind, argument, expected);
  result.rows = rows->front();
  result.length = length->front();
  return result;
}

/// xorshift64*: the same inputs on every machine.
class Random {
public:
  int64_t between(int64_t least, int64_t most) {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    uint64_t span = uint64_t(most) - uint64_t(least) + 1;
    uint64_t draw = state_ * 0x2545F4914F6CDD1Dull;
    return int64_t(uint64_t(least) + (span == 0 ? draw : draw % span));
  }

private:
  uint64_t state_ = 0x9E3779B97F4A7C15ull;
};

void store(const Port &port, size_t index, int64_t value) {
  if (port.dtype == format::DType::I64)
    static_cast<int64_t *>(port.host)[index] = value;
  else
    static_cast<int32_t *>(port.host)[index] = int32_t(value);
}

bool isIds(const Port &port) {
  return port.dtype == format::DType::I32 || port.dtype == format::DType::I64;
}

Status checkInputs(Program &program) {
  for (const Port &port : program.inputs())
    if (!port.optional && !isIds(port))
      return Status(ExitCode::Unsupported,
                    text("bench: input ", quoted(port.name), " of program ", quoted(program.name()),
                         " is no integer; use `run --repeat` with your own array"));
  return {};
}

/// Lengths of rows with the asked mean, the longest of them all of the row.
std::vector<int64_t> rowLengths(const Case &what, Random &random) {
  std::vector<int64_t> lengths(size_t(what.rows), what.length);
  if (what.fill >= 1)
    return lengths;
  int64_t wanted =
      std::max<int64_t>(what.rows, int64_t(what.fill * double(what.rows * what.length)));
  int64_t least = std::max<int64_t>(1, int64_t((2 * what.fill - 1) * double(what.length)));
  int64_t most = std::min<int64_t>(what.length, int64_t(2 * what.fill * double(what.length)));
  int64_t sum = 0;
  for (int64_t &length : lengths)
    sum += length = random.between(least, std::max(least, most));
  // The draw's mean is near the asked one; walk the rest of the way a token at a time.
  for (size_t row = 0; sum != wanted; row = (row + 1) % lengths.size()) {
    int64_t step = sum < wanted ? 1 : -1;
    int64_t changed = lengths[row] + step;
    if (changed < 1 || changed > what.length)
      continue;
    lengths[row] = changed;
    sum += step;
  }
  return lengths;
}

class Bench {
public:
  Bench(Model &model, const BenchOptions &options) : model_(model), options_(options) {}

  Result<Timing> run(const Case &what) {
    return std::string_view(what.kind) == "forward" ? runForward(what) : runStep(what);
  }

private:
  Result<Timing> measure(Program &program, Timing result) {
    // A run may use the memory of an input that it has read for something else.
    std::vector<std::vector<char>> inputs;
    for (const Port &port : program.inputs()) {
      const auto *bytes = static_cast<const char *>(port.host);
      inputs.emplace_back(bytes, bytes + port.elements * dtypeBytes(port.dtype));
    }
    auto runOnce = [&]() -> Result<double> {
      for (size_t port = 0; port < inputs.size(); ++port)
        std::copy(inputs[port].begin(), inputs[port].end(),
                  static_cast<char *>(program.inputs()[port].host));
      double begin = monotonicSeconds();
      INGOT_TRY(program.execute());
      return monotonicSeconds() - begin;
    };
    double begin = monotonicSeconds();
    for (uint64_t i = 0; i < options_.warmup ||
                         (options_.warmup > 0 && monotonicSeconds() - begin < kWarmupSeconds);
         ++i)
      INGOT_TRY(runOnce().status());
    for (uint64_t i = 0; i < options_.runs; ++i) {
      auto seconds = runOnce();
      if (!seconds.ok())
        return seconds.status();
      result.seconds.push_back(*seconds);
    }
    std::sort(result.seconds.begin(), result.seconds.end());
    return result;
  }

  /// Symbols by the shapes of ports: [B, S] of `ids`.
  Status bind(Program &program, const std::map<std::string, int64_t> &values) {
    std::vector<int64_t> symbols;
    for (const std::string &name : program.symbolNames()) {
      auto value = values.find(name);
      if (value == values.end())
        return Status(ExitCode::Unsupported,
                      text("bench: program ", quoted(program.name()), " has a size ", quoted(name),
                           " that no case gives"));
      symbols.push_back(value->second);
    }
    return program.bind(symbols);
  }

  void fillRandom(Program &program) {
    for (Port &port : program.inputs()) {
      if (port.optional) {
        program.fillDefault(port);
        continue;
      }
      for (size_t i = 0; i < port.elements; ++i)
        store(port, i, port.hasRange ? random_.between(port.range.minimum, port.range.maximum) : 1);
    }
  }

  Result<Timing> runForward(const Case &what) {
    auto program = model_.findProgram("forward");
    if (!program.ok())
      return program.status();
    INGOT_TRY(checkInputs(**program));
    std::vector<int64_t> lengths = rowLengths(what, random_);
    Timing result{what, 0, {}};
    for (int64_t length : lengths)
      result.tokens += length;
    Port *offsets = (*program)->findPort("cu_seqlens", /*output=*/false);
    if (offsets) {
      INGOT_TRY(bindPacked(**program, *offsets, lengths, result.tokens));
      return measure(**program, std::move(result));
    }
    INGOT_TRY(bind(**program, {{"B", what.rows}, {"S", what.length}}));
    fillRandom(**program);
    if (what.fill < 1) {
      Port *mask = (*program)->findPort("attention_mask", /*output=*/false);
      if (!mask)
        return Status(ExitCode::Usage, "--forward: this program has no attention_mask, so a batch "
                                       "is always full; leave out @PERCENT");
      for (size_t i = 0; i < mask->elements; ++i)
        store(*mask, i, int64_t(i % size_t(what.length)) < lengths[i / size_t(what.length)]);
    }
    return measure(**program, std::move(result));
  }

  /// Inputs of a program compiled with --packed-input: tokens [T], and where each row begins.
  Status bindPacked(Program &program, Port &offsets, const std::vector<int64_t> &lengths,
                    int64_t tokens) {
    INGOT_TRY(bind(program, {{"T", tokens}}));
    fillRandom(program);
    if (lengths.size() >= offsets.elements)
      return Status(ExitCode::Usage,
                    text("--forward: expected at most ", offsets.elements - 1,
                         " rows (compiled with --max-batch), got ", lengths.size()));
    int64_t sum = 0;
    for (size_t row = 0; row < offsets.elements; ++row) {
      store(offsets, row, sum);
      sum += row < lengths.size() ? lengths[row] : 0;
    }
    return {};
  }

  Result<Timing> runStep(const Case &what) {
    const format::Generation *table = model_.artifact().plan().generation();
    if (!table)
      return Status(ExitCode::Usage, text("--", what.kind,
                                          ": this file has no generation loop; "
                                          "time it with --forward"));
    bool decode = std::string_view(what.kind) == "decode";
    auto program = model_.findProgram(
        (decode && table->decode_program() ? table->decode_program() : table->program())->str());
    if (!program.ok())
      return program.status();
    int64_t context = what.length + (decode ? 1 : 0), fed = decode ? 1 : what.length;
    int64_t width = (context + table->block_size() - 1) / table->block_size();
    if (context > table->max_context())
      return Status(ExitCode::Usage,
                    text("--", what.kind, ": expected a context of at most ", table->max_context(),
                         " tokens (compiled with --max-context), got ", context));
    if (what.rows * width >= table->num_blocks())
      return Status(ExitCode::Usage, text("--", what.kind, ": ", what.rows, " rows of ", context,
                                          " tokens need ", what.rows * width,
                                          " cache blocks, the file has ", table->num_blocks() - 1));
    Port *ids = (*program)->findPort(table->input_ids()->str(), false);
    Port *blocks = (*program)->findPort(table->block_table()->str(), false);
    // The names of the sizes are the ports' own: ids [B, S], block table [B, NB].
    INGOT_TRY(bind(
        **program,
        {{ids->dimTexts[0], what.rows}, {ids->dimTexts[1], fed}, {blocks->dimTexts[1], width}}));
    fillRandom(**program);
    Port *fedPort = (*program)->findPort(table->num_tokens()->str(), false);
    Port *past = (*program)->findPort(table->past_tokens()->str(), false);
    for (size_t row = 0; row < size_t(what.rows); ++row) {
      store(*fedPort, row, fed);
      store(*past, row, context - fed);
    }
    // Every row has blocks of its own; block 0 is the null block.
    for (size_t i = 0; i < blocks->elements; ++i)
      store(*blocks, i, int64_t(i) + 1);
    Timing result{what, what.rows * fed, {}};
    return measure(**program, std::move(result));
  }

  Model &model_;
  const BenchOptions &options_;
  Random random_;
};

std::string caseText(const Case &what) {
  std::string out = text(what.kind, " ", what.rows, "x", what.length);
  if (what.fill < 1)
    out += text("@", int64_t(what.fill * 100 + 0.5));
  return out;
}

uint64_t weightBytes(const Model &model) {
  uint64_t bytes = 0;
  if (auto *weights = model.artifact().plan().weights())
    for (const format::Weight *weight : *weights)
      bytes += weight->bytes();
  return bytes;
}

/// Of each device: what the plan says the programs of this run need, and what the driver says went.
std::string reportMemory(const Model &model, JsonWriter &json) {
  std::string out;
  json.key("memory").beginArray();
  for (const DeviceMemory &memory : model.memory()) {
    out += text(memory.device, ": weights ", bytesText(memory.weights), ", activations ",
                bytesText(memory.arena), ", state ", bytesText(memory.state));
    if (memory.streams)
      out += text(", streams ", bytesText(memory.streams));
    json.beginObject().member("device", memory.device).member("weight_bytes", memory.weights);
    json.member("activation_bytes", memory.arena).member("state_bytes", memory.state);
    json.member("stream_bytes", memory.streams).member("allocated_bytes", memory.allocated);
    if (memory.gone) {
      out += text("; by the driver ", bytesText(uint64_t(std::max<int64_t>(*memory.gone, 0))));
      json.member("driver_bytes", *memory.gone);
    }
    out += "\n";
    json.endObject();
  }
  json.endArray();
  return out;
}

std::string report(const Model &model, const std::vector<Timing> &results, bool asJson) {
  uint64_t bytes = weightBytes(model);
  JsonWriter json;
  json.beginObject().member("weight_bytes", bytes);
  std::string out = reportMemory(model, json);
  reportLoad(model, json);
  out += text("loaded in ", float(loadSeconds(model)), " s:");
  for (const LoadStage &stage : model.loadStages())
    out += text(" ", stage.name, " ", float(stage.seconds));
  out += "\n";
  json.key("cases").beginArray();
  for (const Timing &result : results) {
    double least = result.seconds.front(), most = result.seconds.back();
    double median = result.seconds[result.seconds.size() / 2];
    double rate = double(result.tokens) / median;
    out +=
        text(caseText(result.what), "  median ", float(median * 1e3), " ms  (", float(least * 1e3),
             " to ", float(most * 1e3), ", ", result.seconds.size(), " runs)  ", float(rate),
             " tokens/s  ", float(double(bytes) / median * 1e-9), " GB/s of weights\n");
    json.beginObject().member("case", caseText(result.what)).member("rows", result.what.rows);
    json.member("length", result.what.length).member("tokens", result.tokens);
    json.member("runs", result.seconds.size()).member("median_seconds", median);
    json.member("min_seconds", least).member("max_seconds", most);
    json.member("tokens_per_second", rate).endObject();
  }
  json.endArray().endObject();
  return asJson ? json.text() + "\n" : out;
}

} // namespace

Result<std::string> bench(const BenchOptions &options) {
  std::vector<Case> cases;
  auto add = [&](const char *kind, const std::vector<std::string> &arguments) -> Status {
    for (const std::string &argument : arguments) {
      auto parsed = parseCase(kind, argument);
      if (!parsed.ok())
        return parsed.status();
      cases.push_back(*parsed);
    }
    return {};
  };
  INGOT_TRY(add("forward", options.forward));
  INGOT_TRY(add("prefill", options.prefill));
  INGOT_TRY(add("decode", options.decode));
  if (cases.empty())
    return Status(ExitCode::Usage,
                  "bench: expected a case: --forward, --prefill or --decode ROWSxTOKENS, got none");
  auto model = loadModel(options.model, [&](const format::Plan &plan) {
    std::vector<std::string> names;
    const format::Generation *table = plan.generation();
    if (!options.forward.empty())
      names.push_back("forward");
    bool hasDecode = table && table->decode_program();
    if (table && !(options.prefill.empty() && (options.decode.empty() || hasDecode)))
      names.push_back(table->program()->str());
    if (hasDecode && !options.decode.empty())
      names.push_back(table->decode_program()->str());
    return names;
  });
  if (!model.ok())
    return model.status();
  Bench bench(**model, options);
  std::vector<Timing> results;
  for (const Case &what : cases) {
    auto result = bench.run(what);
    if (!result.ok())
      return result.status();
    results.push_back(std::move(*result));
  }
  return report(**model, results, options.json);
}

} // namespace ingot::commands
