//===- GenerateCommand.cpp --------------------------------------*- C++ -*-===//
#include "runtime/cli/Arguments.h"
#include "runtime/cli/Commands.h"
#include "runtime/exec/Convert.h"
#include "runtime/format/DType.h"
#include "runtime/generate/Generator.h"
#include "runtime/support/Clock.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"
#include "runtime/weights/JsonWriter.h"

namespace ingot::commands {

namespace {

using Prompts = std::vector<std::vector<int32_t>>;

Status addPrompt(const std::string &where, std::span<const int64_t> ids, Prompts &prompts) {
  std::vector<int32_t> &prompt = prompts.emplace_back();
  for (int64_t id : ids) {
    if (id < 0 || id > INT32_MAX)
      return Status(ExitCode::Usage,
                    text(where, "expected token ids from 0 to 2^31 - 1, got ", id));
    prompt.push_back(int32_t(id));
  }
  return {};
}

/// A one- or two-dimensional array: a prompt, or a prompt a row.
Status addArray(const std::string &where, const NpyArray &array, Prompts &prompts) {
  if (array.shape.size() != 1 && array.shape.size() != 2)
    return Status(ExitCode::Usage,
                  text(where, "expected an array of rank 1 or 2, got ", shapeStr(array.shape)));
  size_t columns = size_t(array.shape.back());
  size_t rows = array.shape.size() == 2 ? size_t(array.shape[0]) : 1;
  std::vector<int64_t> ids(columns);
  for (size_t row = 0; row < rows; ++row) {
    const std::byte *at = array.data.data() + row * columns * sizeOf(array.type);
    INGOT_TRY(convertElements(ids.data(), format::DType::I64, {}, at, array.type, columns)
                  .withContext(where));
    INGOT_TRY(addPrompt(where, ids, prompts));
  }
  return {};
}

/// One prompt a line; ids between commas or blanks.
Status addLines(const std::string &where, std::string_view lines, Prompts &prompts) {
  for (size_t number = 1; !lines.empty(); ++number) {
    size_t end = lines.find('\n');
    std::string line;
    for (char c : lines.substr(0, end)) {
      bool blank = c == ' ' || c == '\t' || c == '\r';
      if (!blank)
        line += c;
      else if (!line.empty() && line.back() != ',')
        line += ',';
    }
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
    if (!line.empty() && line.back() == ',')
      line.pop_back();
    if (line.empty())
      continue;
    std::string place = text(where, "line ", number, ": ");
    auto ids = parseIntegers(line);
    if (!ids.ok())
      return ids.status().withContext(place);
    INGOT_TRY(addPrompt(place, *ids, prompts));
  }
  return {};
}

Status addPrompts(const std::string &argument, Prompts &prompts) {
  if (argument.empty() || argument[0] != '@') {
    auto ids = parseIntegers(argument);
    if (!ids.ok())
      return ids.status().withContext("--ids: ");
    return addPrompt("--ids: ", *ids, prompts);
  }
  std::string path = argument.substr(1), where = text("--ids @", path, ": ");
  auto file = MappedFile::open(path);
  if (!file.ok())
    return file.status().withContext("--ids: ");
  size_t before = prompts.size();
  if (file->text().starts_with("\x93NUMPY")) {
    auto array = parseNpy(file->bytes());
    if (!array.ok())
      return array.status().withContext(where);
    INGOT_TRY(addArray(where, *array, prompts));
  } else {
    INGOT_TRY(addLines(where, file->text(), prompts));
  }
  return prompts.size() != before
             ? Status()
             : Status(ExitCode::Usage, text(where, "expected a prompt, got none"));
}

Status applyOptions(const GenerateOptions &options, GenerateSettings &settings) {
  SamplingOptions &sampling = settings.sampling;
  settings.maxNewTokens = options.maxNewTokens;
  settings.seed = options.seed;
  if (options.temperature || options.topK || options.topP || options.minP)
    sampling.sample = true;
  if (options.sample)
    sampling.sample = *options.sample;
  if (options.temperature)
    sampling.temperature = float(*options.temperature);
  if (options.topP)
    sampling.topP = float(*options.topP);
  if (options.minP)
    sampling.minP = float(*options.minP);
  if (options.repetitionPenalty)
    sampling.repetitionPenalty = float(*options.repetitionPenalty);
  if (options.topK)
    sampling.topK = uint32_t(std::min<uint64_t>(*options.topK, UINT32_MAX));
  if (!options.eosIds.empty())
    settings.eosIds = options.eosIds;
  if (options.ignoreEos)
    settings.eosIds.clear();
  return checkSamplingOptions(sampling);
}

std::string report(const GenerateOptions &options, const Prompts &prompts, const Model &model,
                   const std::vector<GeneratedRow> &rows, const GenerateStats &stats,
                   double firstToken) {
  double seconds = stats.prefillSeconds + stats.decodeSeconds;
  if (!options.json) {
    std::string out;
    for (size_t i = 0; i < rows.size(); ++i) {
      for (size_t j = 0; j < rows[i].tokens.size(); ++j)
        out += text(j ? "," : "", rows[i].tokens[j]);
      out += text("  [", stopReasonName(rows[i].stop), "]\n");
    }
    return out;
  }
  JsonWriter json(0);
  json.beginObject().key("sequences").beginArray();
  for (size_t i = 0; i < rows.size(); ++i) {
    json.beginObject().member("prompt_tokens", prompts[i].size()).key("tokens").beginArray();
    for (int32_t token : rows[i].tokens)
      json.value(token);
    json.endArray().member("stop", stopReasonName(rows[i].stop)).endObject();
  }
  json.endArray();
  reportLoad(model, json);
  json.key("stats").beginObject();
  json.member("prompt_tokens", stats.promptTokens).member("new_tokens", stats.newTokens);
  json.member("prefill_calls", stats.prefillCalls).member("decode_calls", stats.decodeCalls);
  json.member("prefill_seconds", stats.prefillSeconds);
  json.member("decode_seconds", stats.decodeSeconds);
  json.member("first_token_seconds", firstToken);
  json.member("new_tokens_per_second", seconds > 0 ? double(stats.newTokens) / seconds : 0.0);
  json.endObject().endObject();
  return json.text() + "\n";
}

} // namespace

Result<std::string> generate(const GenerateOptions &options) {
  double began = monotonicSeconds();
  Prompts prompts;
  for (const std::string &argument : options.prompts)
    INGOT_TRY(addPrompts(argument, prompts));
  if (prompts.empty())
    return Status(ExitCode::Usage, "--ids: expected the token ids of a prompt, got none");
  auto model = loadModel(options.model, [](const format::Plan &plan) {
    // A file without a generation loop is loaded whole: the error is the generator's to say.
    const format::Generation *table = plan.generation();
    std::vector<std::string> names;
    if (table)
      names.push_back(table->program()->str());
    if (table && table->decode_program())
      names.push_back(table->decode_program()->str());
    return names;
  });
  if (!model.ok())
    return model.status();
  auto generator = Generator::create(**model);
  if (!generator.ok())
    return generator.status();
  GenerateSettings settings = (*generator)->defaults();
  INGOT_TRY(applyOptions(options, settings));
  struct Tokens {
    const GenerateOptions &options;
    double first = 0; // when there was the first
  } tokens{options};
  settings.user = &tokens;
  settings.onToken = [](void *user, size_t prompt, int32_t token, size_t) {
    auto &tokens = *static_cast<Tokens *>(user);
    if (tokens.first == 0)
      tokens.first = monotonicSeconds();
    if (tokens.options.onToken)
      tokens.options.onToken(prompt, token);
    return false;
  };
  std::vector<std::span<const int32_t>> views(prompts.begin(), prompts.end());
  std::vector<GeneratedRow> rows;
  GenerateStats stats;
  INGOT_TRY((*generator)->generate(views, settings, rows, &stats));
  return report(options, prompts, **model, rows, stats, tokens.first - began);
}

} // namespace ingot::commands
