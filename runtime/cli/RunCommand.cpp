//===- RunCommand.cpp -------------------------------------------*- C++ -*-===//
#include "runtime/cli/Arguments.h"
#include "runtime/cli/Commands.h"
#include "runtime/exec/Convert.h"
#include "runtime/format/DType.h"
#include "runtime/support/Clock.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"
#include "runtime/weights/JsonWriter.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

namespace ingot::commands {

namespace {

/// An output of a finished run, its elements readable as numbers.
struct View {
  OutputTensor tensor;
  std::string file;     // written there
  bool printed = false; // asked for by name
  size_t elements() const {
    size_t count = 1;
    for (int64_t dim : tensor.shape)
      count *= size_t(dim);
    return count;
  }

  void append(std::string &out, size_t index) const {
    auto read = [&]<typename T>(T value) {
      std::memcpy(&value, static_cast<const char *>(tensor.data) + index * sizeof value,
                  sizeof value);
      return value;
    };
    switch (tensor.dtype) {
    case format::DType::F32:
      return appendText(out, read(float()));
    case format::DType::I64:
      return appendText(out, read(int64_t()));
    case format::DType::I32:
      return appendText(out, read(int32_t()));
    case format::DType::I8:
      return appendText(out, int(read(int8_t())));
    case format::DType::U8:
    case format::DType::I1:
      return appendText(out, int(read(uint8_t())));
    case format::DType::F16:
    case format::DType::BF16:
      return appendText(out, number(index));
    }
  }

  double number(size_t index) const {
    auto bytes = dtypeBytes(tensor.dtype);
    const char *at = static_cast<const char *>(tensor.data) + index * bytes;
    if (isInteger(tensor.dtype)) {
      std::string digits;
      append(digits, index);
      return std::strtod(digits.c_str(), nullptr);
    }
    float value = 0;
    (void)convertElements(&value, format::DType::F32, {}, at, ElementType(tensor.dtype), 1);
    return double(value);
  }
};

/// One bracket a dimension; numbers that JSON lacks are null.
void nestedValues(const View &view, size_t dim, size_t &index, std::string &out) {
  if (dim == view.tensor.shape.size()) {
    if (!isInteger(view.tensor.dtype) && !std::isfinite(view.number(index)))
      out += "null";
    else
      view.append(out, index);
    ++index;
    return;
  }
  out += '[';
  for (int64_t i = 0; i < view.tensor.shape[dim]; ++i) {
    if (i != 0)
      out += ", ";
    nestedValues(view, dim + 1, index, out);
  }
  out += ']';
}

struct Summary {
  double least = 0, most = 0, mean = 0;
  size_t notFinite = 0;
};

Summary summarize(const View &view) {
  Summary out;
  size_t count = view.elements(), finite = 0;
  for (size_t i = 0; i < count; ++i) {
    double value = view.number(i);
    if (!std::isfinite(value)) {
      ++out.notFinite;
      continue;
    }
    out.least = finite == 0 ? value : std::min(out.least, value);
    out.most = finite == 0 ? value : std::max(out.most, value);
    out.mean += value;
    ++finite;
  }
  if (finite != 0)
    out.mean /= double(finite);
  return out;
}

std::string viewText(const View &view) {
  std::string out =
      text(view.tensor.name, "  ", dtypeName(view.tensor.dtype), shapeStr(view.tensor.shape));
  if (!view.file.empty())
    return text(out, "  written to ", view.file, "\n");
  size_t count = view.elements();
  size_t columns = view.tensor.shape.empty() ? 1 : size_t(view.tensor.shape.back());
  if (!view.printed) {
    Summary summary = summarize(view);
    out += text("  min ", float(summary.least), "  max ", float(summary.most), "  mean ",
                float(summary.mean));
    if (summary.notFinite)
      out += text("  not finite: ", summary.notFinite);
    return out + "\n";
  }
  out += '\n';
  for (size_t i = 0; i < count; ++i) {
    view.append(out, i);
    out += (i + 1) % columns == 0 ? "\n" : " ";
  }
  return out;
}

std::string viewJson(const View &view) {
  std::string out =
      text("{\"name\": ", quoteJson(view.tensor.name), ", \"dtype\": \"",
           dtypeName(view.tensor.dtype), "\", \"shape\": ", shapeStr(view.tensor.shape));
  if (!view.file.empty())
    out += text(", \"file\": ", quoteJson(view.file));
  else if (view.printed) {
    size_t index = 0;
    out += ", \"values\": ";
    nestedValues(view, 0, index, out);
  } else {
    Summary summary = summarize(view);
    out += text(", \"min\": ", summary.least, ", \"max\": ", summary.most,
                ", \"mean\": ", summary.mean, ", \"not_finite\": ", summary.notFinite);
  }
  return out + "}";
}

/// Seconds of every step, added up by kernel.
struct ProfileLine {
  std::string kernel;
  size_t launches = 0;
  double seconds = 0;
};

std::vector<ProfileLine> profileLines(const Program &program, const std::vector<double> &seconds,
                                      uint64_t runs) {
  std::map<std::string, ProfileLine> byKernel;
  for (size_t i = 0; i < seconds.size(); ++i) {
    ProfileLine &line = byKernel[program.stepKernel(i)];
    ++line.launches;
    line.seconds += seconds[i] / double(runs);
  }
  std::vector<ProfileLine> out;
  for (auto &[kernel, line] : byKernel) {
    line.kernel = kernel;
    out.push_back(line);
  }
  std::sort(out.begin(), out.end(), [](const ProfileLine &a, const ProfileLine &b) {
    return std::pair(b.seconds, a.kernel) < std::pair(a.seconds, b.kernel);
  });
  return out;
}

std::string report(const RunOptions &options, const Program &program,
                   const std::vector<View> &views, std::vector<double> times,
                   const std::vector<ProfileLine> &profile) {
  std::string out;
  double first = times[0];
  std::sort(times.begin(), times.end());
  double median = times[times.size() / 2];
  if (options.json) {
    out = text("{\"program\": ", quoteJson(program.name()), ", \"outputs\": [");
    for (size_t i = 0; i < views.size(); ++i)
      out += (i ? ", " : "") + viewJson(views[i]);
    out += ']';
    if (options.repeat > 1)
      out += text(", \"seconds\": {\"runs\": ", times.size(), ", \"first\": ", first,
                  ", \"min\": ", times[0], ", \"median\": ", median, "}");
    if (options.profile) {
      out += ", \"profile\": [";
      for (size_t i = 0; i < profile.size(); ++i)
        out += text(i ? ", " : "", "{\"kernel\": ", quoteJson(profile[i].kernel),
                    ", \"launches\": ", profile[i].launches, ", \"seconds\": ", profile[i].seconds,
                    "}");
      out += ']';
    }
    return out + "}\n";
  }
  for (const View &view : views)
    out += viewText(view);
  if (options.repeat > 1)
    out += text("seconds  runs ", times.size(), "  first ", float(first), "  min ", float(times[0]),
                "  median ", float(median), "\n");
  for (const ProfileLine &line : profile)
    out += text(float(line.seconds * 1e3), " ms  ", line.launches, "x  ", line.kernel, "\n");
  return out;
}

Status chooseOutputs(const RunOptions &options, Program &program, std::vector<View> &views) {
  for (const std::string &argument : options.outputs) {
    auto assignment = parseAssignment("--output", argument);
    if (!assignment.ok())
      return assignment.status();
    if (assignment->hasValue && !assignment->isFile)
      return Status(ExitCode::Usage,
                    text("--output ", assignment->name, ": expected NAME or NAME=@FILE.npy, got ",
                         quoted(argument)));
    View &view = views.emplace_back();
    view.file = assignment->value;
    view.printed = view.file.empty();
    Port *port = program.findPort(assignment->name, /*output=*/true);
    if (!port) {
      std::string names;
      for (const Port &known : program.outputs())
        names += (names.empty() ? "" : ", ") + known.name;
      return Status(ExitCode::Usage,
                    text("--output: expected one of ", names, ", got ", quoted(assignment->name)));
    }
    view.tensor.name = port->name;
  }
  if (options.outputs.empty())
    for (const Port &port : program.outputs())
      views.emplace_back().tensor.name = port.name;
  return {};
}

} // namespace

Result<std::string> run(const RunOptions &options) {
  if (options.repeat < 1)
    return Status(ExitCode::Usage, "--repeat: expected at least 1, got 0");
  auto model = loadModel(options.model, [&](const format::Plan &plan) {
    std::string name = options.program;
    if (name.empty())
      name = plan.programs()->size() == 1 ? plan.programs()->Get(0)->name()->str() : "forward";
    return std::vector{name};
  });
  if (!model.ok())
    return model.status();
  Program *program = (*model)->programs().front().get();
  std::vector<View> views;
  INGOT_TRY(chooseOutputs(options, *program, views));
  std::vector<ArrayArgument> arrays;
  std::vector<InputTensor> inputs;
  for (const std::string &argument : options.inputs) {
    auto array = parseArray(argument, *program);
    if (!array.ok())
      return array.status();
    arrays.push_back(std::move(*array));
  }
  for (const ArrayArgument &array : arrays)
    inputs.push_back(array.tensor());
  std::vector<double> times, stepSeconds(program->numSteps());
  if (options.profile)
    program->setProfile(&stepSeconds);
  std::vector<OutputTensor> outputs(views.size());
  for (uint64_t i = 0; i < options.repeat; ++i) {
    for (size_t j = 0; j < views.size(); ++j)
      outputs[j] = OutputTensor{views[j].tensor.name};
    double begin = monotonicSeconds();
    INGOT_TRY(program->run(inputs, outputs));
    times.push_back(monotonicSeconds() - begin);
  }
  for (size_t i = 0; i < views.size(); ++i) {
    views[i].tensor = outputs[i];
    if (!views[i].file.empty())
      INGOT_TRY(writeNpy(views[i].file, outputs[i].dtype, outputs[i].shape, outputs[i].data));
  }
  std::vector<ProfileLine> profile;
  if (options.profile)
    profile = profileLines(*program, stepSeconds, options.repeat);
  return report(options, *program, views, times, profile);
}

} // namespace ingot::commands
