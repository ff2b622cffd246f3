//===- TuneCommand.cpp - ingot-run tune ----------------------------*- C++ -*-===//
#include "runtime/cli/Arguments.h"
#include "runtime/cli/Commands.h"
#include "runtime/format/Artifact.h"
#include "runtime/support/Clock.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"
#include "runtime/tune/Tuner.h"
#include "runtime/weights/JsonWriter.h"

#include <cmath>
#include <sys/stat.h>

namespace ingot::commands {

/// What there is in the file so far; a file that this version can't write on is left as it is.
static Result<Tuning> readEarlier(const std::string &path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0)
    return Tuning();
  auto earlier = Tuning::read(path);
  if (!earlier.ok())
    return earlier.status().withContext("-o: ");
  if (earlier->otherVersion())
    return Status(ExitCode::MalformedInput,
                  text("-o ", quoted(path), ": expected a tuning file of version ",
                       Tuning::kVersion, ", got version ", *earlier->otherVersion(),
                       "; name another file"));
  return earlier;
}

static double round3(double value) { return std::round(value * 1000) / 1000; }

static std::string report(const GpuDescription &gpu, const std::vector<TuningEntry> &entries,
                          const std::vector<std::string> &wrong, size_t measured, double seconds,
                          bool asJson) {
  JsonWriter json;
  json.beginObject().member("gpu", gpu.name).member("measured", measured);
  json.member("seconds", seconds).key("kernels").beginArray();
  std::string out;
  double slowest = 1, product = 0;
  for (const TuningEntry &entry : entries) {
    double ratio = entry.modelledMicroseconds / entry.microseconds;
    slowest = std::max(slowest, ratio);
    product += std::log(ratio);
    out += text(entry.kernel, "\n  tuned ", round3(entry.microseconds), " us, the model's choice ",
                round3(entry.modelledMicroseconds), " us (", round3(ratio), " times), of ",
                entry.candidates, " candidates\n");
    json.beginObject().member("kernel", entry.kernel).member("config", entry.config);
    json.member("microseconds", entry.microseconds);
    json.member("modelled_microseconds", entry.modelledMicroseconds).endObject();
  }
  json.endArray().key("wrong").beginArray();
  for (const std::string &line : wrong)
    json.value(line);
  json.endArray().endObject();
  double mean = std::exp(product / double(std::max<size_t>(entries.size(), 1)));
  out += text(gpu.name, ": ", measured, " of ", entries.size(), " kernels measured in ",
              round3(seconds), " s; the model's choices take ", round3(mean),
              " times as long on average, ", round3(slowest), " at most\n");
  return asJson ? json.text() + "\n" : out;
}

Result<std::string> tune(const TuneOptions &options) {
  auto earlier = readEarlier(options.output);
  INGOT_TRY(earlier.status());
  Tuning tuning = std::move(*earlier);
  ModelOptions modelOptions = options.model;
  modelOptions.weights = "random:1";
  double began = monotonicSeconds();
  auto model = loadModel(modelOptions, [](const format::Plan &) {
    return std::vector<std::string>(); // all
  });
  INGOT_TRY(model.status());
  std::optional<GpuDescription> gpu = (*model)->gpu();
  auto tuner = Tuner::create(**model, gpu.value_or(GpuDescription()), {.rounds = options.rounds});
  if (!tuner.ok())
    return tuner.status().withContext(options.model.file + ": ");
  if (!gpu)
    return Status(ExitCode::DeviceMismatch,
                  text(options.model.file, ": its code is for a processor, and measurements are "
                                           "kept for GPUs"));
  // Nothing is measured that could not be kept.
  INGOT_TRY(tuning.write(options.output));
  std::vector<TuningEntry> entries;
  std::vector<std::string> wrong;
  size_t measured = 0;
  for (size_t i = 0; i < tuner->size(); ++i) {
    const TuningEntry *known = tuning.find(*gpu, tuner->key(i));
    if (!known || options.again) {
      if (options.onKernel)
        options.onKernel(i, tuner->size(), tuner->key(i));
      size_t before = wrong.size();
      auto entry = tuner->measure(i, wrong);
      INGOT_TRY(entry.status());
      for (size_t w = before; w < wrong.size() && options.onWrong; ++w)
        options.onWrong(tuner->key(i), wrong[w]);
      tuning.put(*entry);
      INGOT_TRY(tuning.write(options.output));
      ++measured;
    }
    entries.push_back(*tuning.find(*gpu, tuner->key(i)));
  }
  return report(*gpu, entries, wrong, measured, monotonicSeconds() - began, options.json);
}

} // namespace ingot::commands
