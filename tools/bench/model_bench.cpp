//===- model_bench.cpp - A compiled model beside its matmuls and the memory ===//
//
//   model-bench FILE.ingot [--rows B] [--tokens S] [--threads N] [--runs R]
//
// One run prints, for an encoder, the time of forward on B x S random tokens beside the time that
// OpenBLAS needs for the matmuls of its weights alone; for a decoder, the time of a decode step of one
// row beside the time in which the same threads read as many bytes as its weights have. Figures are
// medians; the spread is minimum and maximum.
//
//===----------------------------------------------------------------------===//
#include "runtime/format/Artifact.h"
#include "runtime/include/ingot/runtime.h"
#include "tools/bench/Measure.h"
#include "tools/bench/OpenBlas.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <random>
#include <set>

using namespace ingot;
using namespace ingot::bench;

namespace {

struct Options {
  const char *file = nullptr;
  int64_t rows = 8, tokens = 128;
  unsigned threads = 2, runs = 9;
};

[[noreturn]] void fail(const std::string &message) {
  std::fprintf(stderr, "model-bench: %s\n", message.c_str());
  std::exit(1);
}

void check(ingot_status status) {
  if (status != INGOT_OK)
    fail(ingot_last_error());
}

/// Two warm-ups, then `runs` counted repetitions.
Times measure(unsigned runs, const std::function<void()> &work) {
  std::vector<double> times;
  for (unsigned i = 0; i < runs + 2; ++i) {
    double time = seconds(work);
    if (i >= 2)
      times.push_back(time);
  }
  return summarize(std::move(times));
}

void print(const char *what, const Times &times) {
  std::printf("%-34s %9.2f ms   (%.2f to %.2f)\n", what, times.median * 1e3, times.low * 1e3,
              times.high * 1e3);
}

std::vector<float> randomFloats(size_t count) {
  std::mt19937 engine(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float &value : values)
    value = normal(engine);
  return values;
}

/// Checkpoint matrices [N, K] that are used in a matmul layout, and how often: those whose weight has
/// another shape than the checkpoint's tensor (an embedding table keeps its own).
std::map<std::pair<int64_t, int64_t>, int> matmulShapes(const format::Plan &plan) {
  std::map<std::pair<int64_t, int64_t>, int> shapes;
  for (const format::Weight *weight : *plan.weights()) {
    if (!weight->sources() || weight->sources()->size() != 1 || weight->shape()->size() == 2)
      continue;
    const format::Source *source = plan.sources()->Get(weight->sources()->Get(0));
    if (source->shape() && source->shape()->size() == 2)
      ++shapes[{int64_t(source->shape()->Get(0)), int64_t(source->shape()->Get(1))}];
  }
  return shapes;
}

double checkpointBytes(const format::Plan &plan) {
  double bytes = 0;
  for (const format::Source *source : *plan.sources()) {
    double elements = 4;
    for (uint64_t dim : *source->shape())
      elements *= double(dim);
    bytes += elements;
  }
  return bytes;
}

/// Runs `program` on random ids in their range; every other integer input as `values` says.
Times benchProgram(ingot_model *model, const char *name, const Options &options,
                   const std::map<std::string, std::vector<int32_t>> &values,
                   const std::map<std::string, std::vector<int64_t>> &shapes) {
  ingot_program *program = nullptr;
  check(ingot_find_program(model, name, &program));
  std::mt19937 engine(2);
  std::vector<std::vector<int32_t>> data;
  std::vector<ingot_tensor> inputs;
  data.reserve(ingot_port_count(program, 0));
  for (size_t i = 0; i < ingot_port_count(program, 0); ++i) {
    ingot_port_info port = {};
    check(ingot_port(program, 0, i, &port));
    auto shape = shapes.find(port.name);
    if (shape == shapes.end())
      continue;
    size_t count = 1;
    for (int64_t dim : shape->second)
      count *= size_t(dim);
    std::vector<int32_t> elements(count);
    auto given = values.find(port.name);
    for (size_t e = 0; e < count; ++e)
      elements[e] = given != values.end()
                        ? given->second[e % given->second.size()]
                        : std::uniform_int_distribution<int32_t>(port.minimum, port.maximum)(engine);
    data.push_back(std::move(elements));
    inputs.push_back({port.name, INGOT_I32, int(shape->second.size()), shape->second.data(),
                      data.back().data(), count * 4});
  }
  ingot_port_info output = {};
  check(ingot_port(program, 1, 0, &output));
  ingot_tensor result = {output.name, INGOT_F32, 0, nullptr, nullptr, 0};
  return measure(options.runs, [&] {
    result.data = nullptr;
    check(ingot_run(program, inputs.data(), inputs.size(), &result, 1));
  });
}

void benchForward(ingot_model *model, const format::Plan &plan, const Options &options) {
  int64_t m = options.rows * options.tokens;
  Times forward = benchProgram(model, "forward", options, {{"attention_mask", {1}}},
                               {{"input_ids", {options.rows, options.tokens}},
                                {"attention_mask", {options.rows, options.tokens}}});
  double sum = 0;
  for (auto [shape, count] : matmulShapes(plan)) {
    auto [n, k] = shape;
    std::vector<float> x = randomFloats(size_t(m * k)), w = randomFloats(size_t(n * k));
    std::vector<float> y(size_t(m * n));
    Times times = measure(options.runs, [&] {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1, x.data(), k, w.data(), k, 0,
                  y.data(), n);
    });
    std::printf("  OpenBLAS %ld x %ld x %ld, %d of them: %.2f ms each\n", long(m), long(k), long(n),
                count, times.median * 1e3);
    sum += count * times.median;
  }
  std::string what = "forward, " + std::to_string(options.rows) + " x " +
                     std::to_string(options.tokens) + " tokens";
  print(what.c_str(), forward);
  std::printf("%-34s %9.2f ms\n", "OpenBLAS matmuls of the weights", sum * 1e3);
  std::printf("%-34s %9.2f\n", "forward / matmuls", forward.median / sum);
}

void benchDecode(ingot_model *model, const format::Plan &plan, const Options &options) {
  const format::Generation &generation = *plan.generation();
  int32_t past = std::min<int32_t>(100, int32_t(generation.max_context()) - 1);
  int64_t blocks = past / int32_t(generation.block_size()) + 1;
  std::vector<int32_t> table;
  for (int32_t i = 0; i < blocks; ++i)
    table.push_back(i + 1);
  Times step = benchProgram(model, generation.program()->c_str(), options,
                            {{generation.num_tokens()->str(), {1}},
                             {generation.past_tokens()->str(), {past}},
                             {generation.block_table()->str(), table}},
                            {{generation.input_ids()->str(), {1, 1}},
                             {generation.num_tokens()->str(), {1}},
                             {generation.past_tokens()->str(), {1}},
                             {generation.block_table()->str(), {1, blocks}}});
  double bytes = checkpointBytes(plan);
  std::vector<float> memory = randomFloats(size_t(bytes / 4));
  Times read = measure(options.runs,
                       [&] { stream(memory.data(), memory.size(), options.threads); });
  print("decode step, one row", step);
  print("reading the weights' bytes", read);
  std::printf("%-34s %9.1f GB/s, %.0f MB\n", "  at", bytes / read.median * 1e-9, bytes * 1e-6);
  std::printf("%-34s %9.2f\n", "decode rate / stream rate", read.median / step.median);
}

} // namespace

int main(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    auto value = [&]() -> int64_t {
      if (i + 1 >= argc || std::atoll(argv[i + 1]) < 1)
        fail(std::string(argv[i]) + " needs a positive number");
      return std::atoll(argv[++i]);
    };
    if (!std::strcmp(argv[i], "--rows"))
      options.rows = value();
    else if (!std::strcmp(argv[i], "--tokens"))
      options.tokens = value();
    else if (!std::strcmp(argv[i], "--threads"))
      options.threads = unsigned(value());
    else if (!std::strcmp(argv[i], "--runs"))
      options.runs = unsigned(value());
    else if (argv[i][0] != '-' && !options.file)
      options.file = argv[i];
    else
      fail(std::string("unknown argument '") + argv[i] +
           "'; usage: model-bench FILE.ingot [--rows B] [--tokens S] [--threads N] [--runs R]");
  }
  if (!options.file)
    fail("which file? usage: model-bench FILE.ingot [--rows B] [--tokens S] [--threads N]");
  Result<std::shared_ptr<const Artifact>> artifact = Artifact::open(options.file);
  if (!artifact.ok())
    fail(artifact.status().message());
  const format::Plan &plan = (*artifact)->plan();
  preferCurrentOpenBlasKernels(argv, plan.targets()->Get(0)->arch()->str() == "x86-64-v4");
  openblas_set_num_threads(int(options.threads));
  std::printf("%s, %u threads, f32; OpenBLAS kernels: %s\n", plan.model_type()->c_str(),
              options.threads, openblas_get_corename());

  ingot_file *file = nullptr;
  ingot_model *model = nullptr;
  check(ingot_open(options.file, &file));
  ingot_load_options load = {};
  load.struct_size = sizeof load;
  load.threads = options.threads;
  load.weights = plan.weights_embedded() ? nullptr : "random:1";
  check(ingot_load(file, &load, &model));
  if (plan.generation())
    benchDecode(model, plan, options);
  else
    benchForward(model, plan, options);
  ingot_unload(model);
  ingot_close(file);
  return 0;
}
