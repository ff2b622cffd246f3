//===- Rope.cpp - Rotary frequencies from a config -------------------------===//
//
// Compiled without contraction of a * b + c: the reference rounds each operation to float32.
//
//===----------------------------------------------------------------------===//
#include "compiler/import/Rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ingot::import {
namespace {

/// base^(2i/d): the wavelengths over 2 pi.
std::vector<float> positionFrequencies(double theta, int64_t dim) {
  std::vector<float> values;
  for (int64_t i = 0; i < dim; i += 2)
    values.push_back(std::pow(float(theta), float(i) / float(dim)));
  return values;
}

std::vector<float> defaultFrequencies(double theta, int64_t dim) {
  std::vector<float> values = positionFrequencies(theta, dim);
  for (float &value : values)
    value = 1.0f / value;
  return values;
}

struct Llama3Parameters {
  double factor, lowFactor, highFactor, original;
};

/// Long wavelengths are divided by the factor, short ones kept, those between blended.
void applyLlama3(std::vector<float> &frequencies, const Llama3Parameters &p) {
  float longest = float(p.original / p.lowFactor), shortest = float(p.original / p.highFactor);
  for (float &frequency : frequencies) {
    // The reference divides a number by a tensor as reciprocal times number.
    float wavelength = (1.0f / frequency) * float(2 * std::numbers::pi);
    if (wavelength > longest) {
      frequency = frequency / float(p.factor);
    } else if (!(wavelength < shortest)) {
      float smooth = ((1.0f / wavelength) * float(p.original) - float(p.lowFactor)) /
                     float(p.highFactor - p.lowFactor);
      float scaled = (1.0f - smooth) * frequency / float(p.factor);
      frequency = scaled + smooth * frequency;
    }
  }
}

struct YarnParameters {
  double theta, factor, betaFast, betaSlow, original;
  bool truncate;
};

/// Blends interpolated and unchanged frequencies along a ramp over the dimensions.
std::vector<float> yarnFrequencies(int64_t dim, const YarnParameters &p) {
  auto correction = [&](double rotations) {
    return (double(dim) * std::log(p.original / (rotations * 2 * std::numbers::pi))) /
           (2 * std::log(p.theta));
  };
  double low = correction(p.betaFast), high = correction(p.betaSlow);
  if (p.truncate)
    low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, double(dim - 1));
  if (low == high)
    high += 0.001;
  std::vector<float> values = positionFrequencies(p.theta, dim);
  for (size_t i = 0; i < values.size(); ++i) {
    float ramp = std::clamp((float(i) - float(low)) / float(high - low), 0.0f, 1.0f);
    float keep = 1.0f - ramp;
    float interpolated = 1.0f / (float(p.factor) * values[i]);
    float unchanged = 1.0f / values[i];
    float first = interpolated * (1.0f - keep);
    values[i] = first + unchanged * keep;
  }
  return values;
}

double yarnMagnitude(double factor, double scale) {
  return factor <= 1 ? 1.0 : 0.1 * scale * std::log(factor) + 1.0;
}

/// The dictionary that says how to scale, and which generation of keys it belongs to.
JsonView findParameters(Config &config) {
  JsonView scaling = config.root()["rope_scaling"];
  if (!scaling.isAbsentOrNull() &&
      !(scaling.is(JsonKind::Object) && scaling.value()->members().empty()))
    return scaling;
  return config.root()["rope_parameters"];
}

double required(Config &config, const JsonView &parameters, std::string_view key, double min,
                double max) {
  JsonView view = parameters[key];
  if (view.isAbsentOrNull())
    config.malformed(view, "a number: this rope_type needs it");
  return config.number(view, min, min, max);
}

void readYarn(Config &config, const JsonView &parameters, RopeSpec &rope, int64_t dim,
              double original, double maxPositions) {
  YarnParameters p;
  p.theta = rope.theta, p.original = original;
  if (!(p.theta > 1))
    config.malformed(parameters, "a rope_theta above 1, as yarn takes its logarithm");
  // An explicit null asks for the ratio of the lengths, as DeepSeek's files do.
  p.factor = parameters["factor"].is(JsonKind::Null)
                 ? maxPositions / original
                 : required(config, parameters, "factor", 1e-6, 1e6);
  rope.factor = p.factor;
  auto orDefault = [&](std::string_view key, double fallback) { // zero means "not set" too
    double value = config.number(parameters[key], fallback, 0, 1e6);
    return value == 0 ? fallback : value;
  };
  p.betaFast = orDefault("beta_fast", 32);
  p.betaSlow = orDefault("beta_slow", 1);
  p.truncate = config.flag(parameters["truncate"], true);
  double scale = config.number(parameters["mscale"], 0, 0, 1e6);
  double scaleAll = config.number(parameters["mscale_all_dim"], 0, 0, 1e6);
  if (!parameters["attention_factor"].isAbsentOrNull())
    rope.attentionFactor = config.number(parameters["attention_factor"], 1, 0, 1e6);
  else if (scale != 0 && scaleAll != 0)
    rope.attentionFactor = yarnMagnitude(p.factor, scale) / yarnMagnitude(p.factor, scaleAll);
  else
    rope.attentionFactor = yarnMagnitude(p.factor, 1);
  if (config.ok())
    rope.invFreq = yarnFrequencies(dim, p);
}

void readLlama3(Config &config, const JsonView &parameters, RopeSpec &rope, double original) {
  Llama3Parameters p;
  p.original = original;
  p.factor = required(config, parameters, "factor", 1e-6, 1e6);
  p.lowFactor = required(config, parameters, "low_freq_factor", 1e-6, 1e6);
  p.highFactor = required(config, parameters, "high_freq_factor", 1e-6, 1e6);
  if (p.highFactor <= p.lowFactor)
    config.malformed(parameters["high_freq_factor"], "more than low_freq_factor");
  rope.factor = p.factor;
  if (config.ok())
    applyLlama3(rope.invFreq, p);
}

} // namespace

RopeSpec readRope(Config &config, int64_t headDim, int64_t maxPositions, double defaultTheta) {
  RopeSpec rope;
  JsonView parameters = findParameters(config);
  if (!parameters.isAbsentOrNull() && !parameters.is(JsonKind::Object))
    config.malformed(parameters, "a dictionary or null");
  for (std::string_view nested : {"full_attention", "sliding_attention"})
    if (parameters[nested].exists())
      config.unsupported(parameters[nested], "rope parameters per layer type are not supported for "
                                             "this model_type");
  config.expectNeutral("partial_rotary_factor", 1);
  if (config.number(parameters["partial_rotary_factor"], 1, 0, 1) != 1)
    config.unsupported(parameters["partial_rotary_factor"], "rotating only a part of each head is "
                                                            "not supported for this model_type");

  double theta = config.number({"rope_theta"}, defaultTheta, 1e-3, 1e15);
  rope.theta = config.number(parameters["rope_theta"], theta, 1e-3, 1e15);
  rope.maxPosition = maxPositions;
  if (headDim % 2)
    config.fail(
        Status(ExitCode::MalformedInput, config.root().path() +
                                             ": head_dim: expected an even number, as rotary "
                                             "positions turn pairs, got " +
                                             std::to_string(headDim)));
  rope.invFreq = defaultFrequencies(rope.theta, headDim);

  JsonView typeView = parameters["rope_type"];
  if (typeView.isAbsentOrNull())
    typeView = parameters["type"];
  std::string type = config.text(typeView, "default");
  double original = double(config.integer(parameters["original_max_position_embeddings"],
                                          maxPositions, 1, kMaxPositions));
  if (!config.ok())
    return rope;
  if (type == "default") {
    return rope;
  } else if (type == "linear") {
    rope.factor = required(config, parameters, "factor", 1e-6, 1e6);
    for (float &frequency : rope.invFreq)
      frequency /= float(rope.factor);
  } else if (type == "dynamic") {
    rope.dynamic = true;
    rope.factor = required(config, parameters, "factor", 1, 1e6);
    if (headDim <= 2)
      config.malformed(typeView, "another type, as dynamic scaling needs a head dimension above 2");
    if (!(rope.theta > 1))
      config.malformed(typeView, "another type, as dynamic scaling needs a rope_theta above 1");
  } else if (type == "llama3") {
    readLlama3(config, parameters, rope, original);
  } else if (type == "yarn") {
    readYarn(config, parameters, rope, headDim, original, double(maxPositions));
  } else {
    config.unsupported(typeView, "rope type " + typeView.value()->describe() +
                                     " is not supported; supported: default, linear, dynamic, "
                                     "llama3, yarn");
  }
  return rope;
}

} // namespace ingot::import
