//===- Arguments.cpp --------------------------------------------*- C++ -*-===//
#include "runtime/cli/Arguments.h"

#include "runtime/cli/Commands.h"
#include "runtime/format/DType.h"
#include "runtime/support/Clock.h"
#include "runtime/support/Text.h"
#include "runtime/weights/JsonWriter.h"

#include <charconv>
#include <cmath>

namespace ingot::commands {

static Status usage(std::string message) { return Status(ExitCode::Usage, std::move(message)); }

Result<Assignment> parseAssignment(const char *flag, const std::string &argument) {
  Assignment out;
  size_t equals = argument.find('=');
  out.name = argument.substr(0, equals);
  if (out.name.empty())
    return usage(text(flag, ": expected NAME=..., got ", quoted(argument)));
  if (equals == std::string::npos)
    return out;
  out.hasValue = true;
  out.value = argument.substr(equals + 1);
  if (!out.value.empty() && out.value[0] == '@') {
    out.isFile = true;
    out.value.erase(0, 1);
  }
  if (out.value.empty())
    return usage(text(flag, " ", out.name, ": expected ",
                      out.isFile ? "a file behind '@'" : "a value", " behind '='"));
  return out;
}

template <typename T> static bool parseNumber(std::string_view text, T &value) {
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ')
    text.remove_suffix(1);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

/// "1,2,3", each a T.
template <typename T>
static Status parseList(std::string_view list, const char *what, std::vector<T> &out) {
  for (;;) {
    size_t comma = list.find(',');
    T value{};
    if (!parseNumber(list.substr(0, comma), value))
      return usage(text("expected ", what, " between commas, got ", quoted(list.substr(0, comma))));
    out.push_back(value);
    if (comma == std::string_view::npos)
      return {};
    list.remove_prefix(comma + 1);
  }
}

Result<std::vector<int64_t>> parseIntegers(std::string_view list) {
  std::vector<int64_t> out;
  if (Status status = parseList(list, "64-bit integers", out); !status.ok())
    return status;
  return out;
}

InputTensor ArrayArgument::tensor() const {
  InputTensor out;
  out.name = name;
  if (!file.array.data.empty() || (integers.empty() && floats.empty())) {
    out.type = file.array.type;
    out.shape = file.array.shape;
    out.data = file.array.data.data();
    out.bytes = file.array.data.size();
    return out;
  }
  out.type = floats.empty() ? ElementType::I64 : ElementType::F32;
  out.shape = shape;
  out.data = floats.empty() ? static_cast<const void *>(integers.data()) : floats.data();
  out.bytes = floats.empty() ? integers.size() * 8 : floats.size() * 4;
  return out;
}

static Status parseValues(std::string_view values, const Port &port, ArrayArgument &out) {
  if (port.dims.size() != 1 && port.dims.size() != 2)
    return usage(
        text("values on the command line are for inputs of rank 1 and 2, this one has rank ",
             port.dims.size(), "; pass an .npy file"));
  size_t rows = 0, columns = 0, before = 0;
  for (;;) {
    size_t semicolon = values.find(';');
    std::string_view row = values.substr(0, semicolon);
    Status status = isInteger(port.dtype) ? parseList(row, "64-bit integers", out.integers)
                                          : parseList(row, "numbers", out.floats);
    if (!status.ok())
      return status;
    size_t size = out.integers.size() + out.floats.size() - before;
    before += size;
    if (rows++ != 0 && size != columns)
      return usage(text("expected rows of equal length, got ", columns, " and ", size,
                        "; pad the shorter ones and mask them out"));
    columns = size;
    if (semicolon == std::string_view::npos)
      break;
    values.remove_prefix(semicolon + 1);
  }
  if (port.dims.size() == 1 && rows != 1)
    return usage(text("expected one row for an input of rank 1, got ", rows));
  if (port.dims.size() == 2)
    out.shape.push_back(int64_t(rows));
  out.shape.push_back(int64_t(columns));
  return {};
}

Result<ArrayArgument> parseArray(const std::string &argument, Program &program) {
  auto assignment = parseAssignment("--input", argument);
  if (!assignment.ok())
    return assignment.status();
  ArrayArgument out;
  out.name = assignment->name;
  std::string where = text("--input ", assignment->name, ": ");
  if (!assignment->hasValue)
    return usage(text(where, "expected NAME=@FILE.npy or NAME=1,2,3"));
  if (assignment->isFile) {
    auto file = readNpy(assignment->value);
    if (!file.ok())
      return file.status().withContext(where);
    out.file = std::move(*file);
    return out;
  }
  Port *port = program.findPort(out.name, /*output=*/false);
  Status status;
  if (port)
    status = parseValues(assignment->value, *port, out);
  else
    out.integers.push_back(0); // run() says which inputs there are
  if (!status.ok())
    return status.withContext(where);
  return out;
}

Result<std::unique_ptr<Model>> loadModel(const ModelOptions &options,
                                         const ChoosePrograms &choose) {
  LoadOptions load;
  load.began = monotonicSeconds();
  load.weights = options.weights;
  load.streams = options.streams;
  load.threads = options.threads;
  if (load.threads == 0) {
    auto threads = ThreadPool::defaultThreads();
    if (!threads.ok())
      return threads.status();
    load.threads = *threads;
  }
  auto pool = ThreadPool::create(load.threads);
  if (!pool.ok())
    return pool.status();
  auto artifact = Artifact::open(
      options.file,
      {.verifyChecksums = options.verifyChecksums, .pool = pool->get(), .weightsLater = true});
  if (!artifact.ok())
    return artifact.status();
  pool->reset();
  load.programs = choose((*artifact)->plan());
  auto model = Model::load(*artifact, load);
  if (!model.ok())
    return model.status().withContext(options.file + ": ");
  return model;
}

double loadSeconds(const Model &model) {
  double sum = 0;
  for (const LoadStage &stage : model.loadStages())
    sum += stage.seconds;
  return sum;
}

void reportLoad(const Model &model, JsonWriter &json) {
  json.key("load").beginObject().member("seconds", loadSeconds(model));
  json.key("stages").beginObject();
  for (const LoadStage &stage : model.loadStages())
    json.member(stage.name, stage.seconds);
  json.endObject().endObject();
}

} // namespace ingot::commands
