//===- Tuning.cpp - Measured choices, as a file -----------------------------===//
#include "runtime/format/Tuning.h"

#include "runtime/support/Text.h"
#include "runtime/support/Try.h"
#include "runtime/weights/Json.h"
#include "runtime/weights/JsonWriter.h"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <unistd.h>

using namespace ingot;

/// put() looks at all entries that there are.
static constexpr size_t kMostEntries = 10000;

static Result<GpuDescription> readGpu(const JsonView &view) {
  auto name = view["name"].asString();
  auto arch = view["arch"].asString();
  auto multiprocessors = view["multiprocessors"].asPositiveInt();
  auto memory = view["memory_gb_per_second"].asNonNegativeInt();
  auto clock = view["clock_mhz"].asNonNegativeInt();
  for (const Status &status :
       {name.status(), arch.status(), multiprocessors.status(), memory.status(), clock.status()})
    INGOT_TRY(status);
  return GpuDescription{*name, *arch, *multiprocessors, *memory, *clock};
}

/// A time: positive.
static Result<double> readMicroseconds(const JsonView &view) {
  auto time = view.asDouble();
  if (time.ok() && !(*time > 0 && std::isfinite(*time)))
    return view.expected("a positive number of microseconds");
  return time;
}

static Result<TuningEntry> readEntry(const JsonView &view) {
  auto gpu = readGpu(view["gpu"]);
  auto kernel = view["kernel"].asString();
  auto config = view["config"].asString();
  auto time = readMicroseconds(view["microseconds"]);
  auto modelledConfig = view["modelled"]["config"].asString();
  auto modelledTime = readMicroseconds(view["modelled"]["microseconds"]);
  auto candidates = view["candidates"].asPositiveInt();
  for (const Status &status : {gpu.status(), kernel.status(), config.status(), time.status(),
                               modelledConfig.status(), modelledTime.status(), candidates.status()})
    INGOT_TRY(status);
  return TuningEntry{*gpu, *kernel, *config, *time, *modelledConfig, *modelledTime, *candidates};
}

Result<Tuning> Tuning::readDocument(const JsonDocument &document) {
  auto version = document.root()["version"].asPositiveInt();
  INGOT_TRY(version.status());
  if (*version != kVersion) {
    Tuning other;
    other.otherVersion_ = *version;
    return other;
  }
  auto entries = document.root()["entries"].asArray();
  INGOT_TRY(entries.status());
  Tuning tuning;
  if (entries->size() > kMostEntries)
    return document.root()["entries"].expected(ingot::text("at most ", kMostEntries, " entries"));
  for (const JsonView &view : *entries) {
    auto entry = readEntry(view);
    INGOT_TRY(entry.status());
    tuning.put(std::move(*entry));
  }
  return tuning;
}

Result<Tuning> Tuning::parse(std::string_view text, const std::string &name) {
  auto document = parseJson(text, {.name = name});
  INGOT_TRY(document.status());
  return readDocument(*document);
}

Result<Tuning> Tuning::read(const std::string &path) {
  auto document = readJsonFile(path);
  INGOT_TRY(document.status());
  return readDocument(*document);
}

std::string Tuning::text() const {
  JsonWriter json;
  json.beginObject().member("version", kVersion).key("entries").beginArray();
  for (const TuningEntry &entry : entries_) {
    json.beginObject().key("gpu").beginObject();
    json.member("name", entry.gpu.name).member("arch", entry.gpu.arch);
    json.member("multiprocessors", entry.gpu.multiprocessors);
    json.member("memory_gb_per_second", entry.gpu.memoryGbPerSecond);
    json.member("clock_mhz", entry.gpu.clockMhz).endObject();
    json.member("kernel", entry.kernel).member("config", entry.config);
    json.member("microseconds", entry.microseconds).key("modelled").beginObject();
    json.member("config", entry.modelledConfig);
    json.member("microseconds", entry.modelledMicroseconds).endObject();
    json.member("candidates", entry.candidates).endObject();
  }
  json.endArray().endObject();
  return json.text() + "\n";
}

Status Tuning::write(const std::string &path) const {
  std::string temporary = ingot::text(path, ".", int64_t(::getpid()), ".tmp"), bytes = text();
  auto fail = [&] {
    Status status(ExitCode::OutOfResources,
                  ingot::text("cannot write ", quoted(path), ": ", std::strerror(errno)));
    ::unlink(temporary.c_str());
    return status;
  };
  FILE *file = std::fopen(temporary.c_str(), "wb");
  if (!file)
    return fail();
  bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size() &&
                 std::fflush(file) == 0 && ::fsync(::fileno(file)) == 0;
  if (std::fclose(file) != 0 || !written || std::rename(temporary.c_str(), path.c_str()) != 0)
    return fail();
  return {};
}

const TuningEntry *Tuning::find(const GpuDescription &gpu, std::string_view kernel) const {
  for (const TuningEntry &entry : entries_)
    if (entry.gpu == gpu && entry.kernel == kernel)
      return &entry;
  return nullptr;
}

void Tuning::put(TuningEntry entry) {
  for (TuningEntry &other : entries_)
    if (other.gpu == entry.gpu && other.kernel == entry.kernel) {
      other = std::move(entry);
      return;
    }
  entries_.push_back(std::move(entry));
}
