//===- RaggedBatch.cpp - Batches of rows of different lengths -------------===//
#include "tools/bench/RaggedBatch.h"

#include "runtime/format/Artifact.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <numeric>

namespace ingot::bench {

void fail(const std::string &message) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  std::exit(1);
}

static void check(ingot_status status) {
  if (status != INGOT_OK)
    fail(ingot_last_error());
}

//===----------------------------------------------------------------------===//
// Batches
//===----------------------------------------------------------------------===//

int64_t Batch::total() const { return std::accumulate(lengths.begin(), lengths.end(), int64_t(0)); }

Batch Batch::make(int64_t rows, int64_t width, double fill, int64_t vocabulary,
                  std::mt19937 &random) {
  Batch batch;
  batch.width = width;
  batch.lengths.assign(size_t(rows), width);
  batch.ids.resize(size_t(rows * width));
  for (int32_t &id : batch.ids)
    id = std::uniform_int_distribution<int32_t>(0, int32_t(vocabulary - 1))(random);
  if (fill >= 1)
    return batch;
  auto places = double(rows * width);
  int64_t wanted = std::max<int64_t>(rows, std::llround(fill * places));
  int64_t least = std::max<int64_t>(1, std::llround((2 * fill - 1) * double(width)));
  int64_t most = std::clamp<int64_t>(std::llround(2 * fill * double(width)), least, width);
  for (int64_t &length : batch.lengths)
    length = std::uniform_int_distribution<int64_t>(least, most)(random);
  // The draw's mean is near the asked one; the rest of the way is walked a token at a time.
  for (size_t row = 0; batch.total() != wanted; row = (row + 1) % batch.lengths.size()) {
    int64_t changed = batch.lengths[row] + (batch.total() < wanted ? 1 : -1);
    if (changed >= 1 && changed <= width)
      batch.lengths[row] = changed;
  }
  return batch;
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

double largestDifference(const Batch &batch, const Output &want, const Output &have) {
  bool isPerToken = want.shape.size() >= 2 && want.dims[0] == "B" && want.dims[1] == "S";
  bool isPacked = isPerToken && have.dims[0] == "T";
  size_t lead = isPerToken ? 2 : 1;
  size_t elements = 1;
  for (size_t dim = lead; dim < want.shape.size(); ++dim)
    elements *= size_t(want.shape[dim]);
  double largest = 0, worst = 0;
  auto compare = [&](size_t wanted, size_t got) {
    for (size_t i = 0; i < elements; ++i) {
      double value = want.values[wanted * elements + i], other = have.values[got * elements + i];
      largest = std::max(largest, std::fabs(value));
      // Not finite is as different as can be.
      worst = std::isfinite(other) ? std::max(worst, std::fabs(value - other))
                                   : std::numeric_limits<double>::infinity();
    }
  };
  size_t packed = 0;
  for (int64_t row = 0; row < batch.rows(); ++row) {
    if (!isPerToken) {
      compare(size_t(row), size_t(row));
      continue;
    }
    for (int64_t place = 0; place < batch.width; ++place) {
      auto at = size_t(row * batch.width + place);
      if (place < batch.lengths[size_t(row)])
        compare(at, isPacked ? packed++ : at);
      else if (!isPacked && std::any_of(have.values.begin() + ptrdiff_t(at * elements),
                                        have.values.begin() + ptrdiff_t((at + 1) * elements),
                                        [](float value) { return value != 0; }))
        return std::numeric_limits<double>::infinity();
    }
  }
  return largest > 0 ? worst / largest : worst;
}

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

void Feed::add(const char *name, std::vector<int64_t> shape, std::vector<int32_t> values) {
  shapes.push_back(std::move(shape));
  arrays.push_back(std::move(values));
  inputs.push_back({name, INGOT_I32, int(shapes.back().size()), shapes.back().data(),
                    arrays.back().data(), arrays.back().size() * sizeof(int32_t)});
}

void Feed::run() { check(ingot_run(program, inputs.data(), inputs.size(), nullptr, 0)); }

std::vector<Output> Feed::outputs() {
  std::vector<ingot_tensor> tensors;
  std::vector<Output> results;
  for (size_t i = 0; i < ingot_port_count(program, 1); ++i) {
    ingot_port_info port = {};
    check(ingot_port(program, 1, i, &port));
    if (port.dtype != INGOT_F32)
      fail(std::string("output ") + port.name + " is not f32");
    tensors.push_back({port.name, INGOT_F32, 0, nullptr, nullptr, 0});
    results.push_back({port.name, {port.dims, port.dims + port.rank}, {}, {}});
  }
  check(ingot_run(program, inputs.data(), inputs.size(), tensors.data(), tensors.size()));
  for (size_t i = 0; i < tensors.size(); ++i) {
    const ingot_tensor &tensor = tensors[i];
    results[i].shape.assign(tensor.shape, tensor.shape + tensor.rank);
    const auto *values = static_cast<const float *>(tensor.data);
    results[i].values.assign(values, values + tensor.bytes / sizeof(float));
  }
  return results;
}

LoadedModel::LoadedModel(const std::string &path, const std::string &weights, unsigned threads) {
  check(ingot_open(path.c_str(), &file));
  ingot_load_options options = {};
  options.struct_size = sizeof options;
  options.threads = threads;
  options.weights = weights.c_str();
  check(ingot_load(file, &options, &model));
  auto artifact = Artifact::open(path);
  if (!artifact.ok())
    fail(artifact.status().message());
  if (const format::Generation *generation = (*artifact)->plan().generation()) {
    step = generation->program()->str();
    blockSize = generation->block_size();
  }
}

LoadedModel::~LoadedModel() {
  ingot_unload(model);
  ingot_close(file);
}

ingot_program *LoadedModel::find(const char *program) {
  ingot_program *found = nullptr;
  check(ingot_find_program(model, program, &found));
  return found;
}

ingot_port_info LoadedModel::findPort(const char *program, int outputs, const char *name) {
  ingot_program *found = find(program);
  for (size_t i = 0; i < ingot_port_count(found, outputs); ++i) {
    ingot_port_info port = {};
    check(ingot_port(found, outputs, i, &port));
    if (!std::strcmp(port.name, name))
      return port;
  }
  fail(std::string("program ") + program + " has no port " + name);
}

Feed LoadedModel::feedPadded(const char *program, const Batch &batch) {
  Feed feed(find(program));
  feed.tokens = batch.total();
  std::vector<int32_t> mask(batch.ids.size());
  for (size_t i = 0; i < mask.size(); ++i)
    mask[i] = int64_t(i) % batch.width < batch.lengths[i / size_t(batch.width)];
  feed.add("input_ids", {batch.rows(), batch.width}, batch.ids);
  feed.add("attention_mask", {batch.rows(), batch.width}, std::move(mask));
  return feed;
}

Feed LoadedModel::feedPacked(const char *program, const Batch &batch) {
  Feed feed(find(program));
  feed.tokens = batch.total();
  int64_t entries = findPort(program, 0, "cu_seqlens").max_dims[0];
  std::vector<int32_t> ids, offsets(size_t(entries), int32_t(batch.total()));
  for (int64_t row = 0; row < batch.rows(); ++row) {
    offsets[size_t(row)] = int32_t(ids.size());
    auto begin = batch.ids.begin() + row * batch.width;
    ids.insert(ids.end(), begin, begin + batch.lengths[size_t(row)]);
  }
  feed.add("input_ids", {batch.total()}, std::move(ids));
  feed.add("cu_seqlens", {entries}, std::move(offsets));
  return feed;
}

Feed LoadedModel::feedStep(const Batch &batch, int64_t past) {
  Feed feed(find(step.c_str()));
  feed.tokens = batch.total();
  int64_t rows = batch.rows(), blocks = (past + batch.width + blockSize - 1) / blockSize;
  // Block 0 is the null block; each row has blocks of its own.
  std::vector<int32_t> table(size_t(rows * blocks));
  std::iota(table.begin(), table.end(), 1);
  feed.add("input_ids", {rows, batch.width}, batch.ids);
  feed.add("num_tokens", {rows}, {batch.lengths.begin(), batch.lengths.end()});
  feed.add("past_tokens", {rows}, std::vector<int32_t>(size_t(rows), int32_t(past)));
  feed.add("block_table", {rows, blocks}, std::move(table));
  return feed;
}

} // namespace ingot::bench
