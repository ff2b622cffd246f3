//===- VerifyLaunches.cpp - `ingot verify FILE` ----------------------------===//

#include "tools/cli/VerifyLaunches.h"

#include "runtime/weights/JsonWriter.h"
#include "tools/cli/Cli.h"
#include "tools/cli/Terminal.h"

#include <algorithm>
#include <cstdio>

namespace ingot::cli {

static void addFailure(JsonWriter &json, const verify::LaunchFailure &failure) {
  json.key("failure").beginObject();
  json.member("program", failure.program).member("inputs", failure.inputs);
  json.member("kernel", failure.kernel).member("family", failure.family);
  json.member("op", failure.summary).member("location", failure.location);
  json.member("step", failure.step).member("steps", failure.steps).member("buffer", failure.buffer);
  json.member("error", failure.error).member("budget", failure.budget);
  json.member("element", failure.element).member("elements", failure.elements);
  json.member("expected", failure.expected).member("got", failure.got).member("note", failure.note);
  json.member("reproducer", failure.reproducer).member("command", failure.command).endObject();
}

static std::string asJson(const verify::IngotReport &report, const Status &status) {
  JsonWriter json;
  json.beginObject().member("ok", status.ok());
  json.member("model_type", report.modelType).member("device", report.device);
  json.member("host", report.hostArch).member("seconds", report.seconds);
  json.key("programs").beginArray();
  for (const verify::LaunchesReport &program : report.programs) {
    json.beginObject().member("name", program.program).member("cases", program.cases);
    json.member("calls", program.calls).member("launches", program.launches);
    json.key("kernels").beginArray();
    for (const verify::KernelReport &kernel : program.kernels) {
      json.beginObject().member("name", kernel.kernel).member("family", kernel.family);
      json.member("op", kernel.summary).member("launches", kernel.launches);
      if (kernel.problem.empty())
        json.member("error", kernel.error)
            .member("budget", kernel.budget)
            .member("worst", kernel.worst);
      else
        json.member("not_compared", kernel.problem);
      json.endObject();
    }
    json.endArray();
    json.key("streams").beginArray();
    for (const verify::StreamReport &stream : program.streams) {
      json.beginObject().member("name", stream.kernel).member("first", stream.first);
      json.member("launches", stream.launches).member("calls", stream.calls);
      json.member("error", stream.error).member("budget", stream.budget);
      json.member("worst", stream.worst).endObject();
    }
    json.endArray().endObject();
  }
  json.endArray();
  if (report.failure)
    addFailure(json, *report.failure);
  return json.endObject().text() + "\n";
}

static std::string asText(const verify::IngotReport &report) {
  char line[512];
  std::string text;
  for (const verify::LaunchesReport &program : report.programs) {
    snprintf(line, sizeof line, "%s: %llu cases, %llu calls, %llu launches\n",
             program.program.c_str(), (unsigned long long)program.cases,
             (unsigned long long)program.calls, (unsigned long long)program.launches);
    text += line;
    for (const verify::KernelReport &kernel : program.kernels) {
      std::string result = "not compared: " + kernel.problem;
      if (kernel.problem.empty()) {
        snprintf(line, sizeof line, "%s  error %.1e of at most %.1e  (%s)",
                 kernel.error <= kernel.budget ? "ok" : "DIFFERS", kernel.error, kernel.budget,
                 kernel.worst.c_str());
        result = line;
      }
      snprintf(line, sizeof line, "  %-16s %-24s %5llu  ", kernel.family.c_str(),
               kernel.kernel.c_str(), (unsigned long long)kernel.launches);
      text += line + result + "\n";
    }
    for (const verify::StreamReport &stream : program.streams) {
      std::string result = "not compared: no call has so few tokens, or no output is of floats";
      if (stream.calls > 0) {
        snprintf(line, sizeof line, "%s  error %.1e of at most %.1e  (%s)",
                 stream.error <= stream.budget ? "ok" : "DIFFERS", stream.error, stream.budget,
                 stream.worst.c_str());
        result = line;
      }
      snprintf(line, sizeof line, "  %-16s %-24s %5llu  ", "stream", stream.kernel.c_str(),
               (unsigned long long)stream.calls);
      text += line + result + "\n";
    }
  }
  snprintf(line, sizeof line, "%.1f s; %s against %s\n", report.seconds, report.device.c_str(),
           report.hostArch.c_str());
  return text + line;
}

/// A launch that differs is a result as well: the report goes out, then the error.
static Status finish(const verify::IngotReport &report, const Status &status, bool &json) {
  if (!status.ok() && !report.failure)
    return status;
  Status written = writeResult(json ? asJson(report, status) : asText(report));
  json = false; // one document on stdout
  return written.ok() ? status : written;
}

Status verifyLaunches(const verify::IngotOptions &options, bool &json) {
  verify::IngotReport report;
  Terminal &terminal = Terminal::standardError();
  Status status =
      verify::verifyIngot(options, report, [&](size_t done, size_t total, const std::string &what) {
        terminal.progress(unsigned(done) + 1, unsigned(std::max(done + 1, total)), what);
      });
  terminal.clearProgress();
  return finish(report, status, json);
}

Status rerunLaunches(const std::string &folder, bool &json) {
  verify::IngotReport report;
  Status status = verify::rerunLaunch(folder, report);
  return finish(report, status, json);
}

} // namespace ingot::cli
