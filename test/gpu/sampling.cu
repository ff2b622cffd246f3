// sampling.cu - The sampling kernels against the host's sampler, token for token, and their times.
#include "codegen/cuda/kernels/sampling.cuh"
#include "runtime/generate/Sampler.h"
#include "test/gpu/Harness.cuh"

#include <memory>
#include <random>

using namespace ingot;

template <int Cluster, bool Cached> struct Config {
  static constexpr int kThreads = 1024, kCluster = Cluster;
  static constexpr bool kCached = Cached;
};
struct MarkConfig {
  static constexpr int kThreads = 1024;
};

template <typename C> __global__ void __launch_bounds__(1024) kernel(SamplingArguments a) {
  sample_rows<C>(a);
}
__global__ void mark(i8 *seen, const i32 *ids, const i32 *count, const i32 *past, const i32 *slots,
                     i64 rows, i64 width, i64 vocabulary) {
  mark_tokens<MarkConfig>(seen, ids, count, past, slots, rows, width, rows, vocabulary);
}

template <typename C> static void launch(const SamplingArguments &a) {
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(unsigned(a.rows) * C::kCluster);
  config.blockDim = dim3(C::kThreads);
  config.dynamicSmemBytes =
      C::kCached ? (size_t(a.vocabulary) + C::kCluster - 1) / C::kCluster * 4 : 0;
  cudaLaunchAttribute cluster = {};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim.x = C::kCluster;
  cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
  config.attrs = &cluster;
  config.numAttrs = C::kCluster > 1;
  CHECK_CUDA(cudaFuncSetAttribute(kernel<C>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  int(config.dynamicSmemBytes)));
  CHECK_CUDA(cudaLaunchKernelEx(&config, kernel<C>, a));
}

enum Kind { Normal, Flat, Ties, Equal, Hidden, Large, NotANumber, Infinite, None };
static const char *const kindNames[] = {"normal", "flat",  "ties", "equal",   "hidden",
                                        "large",  "a NaN", "+inf", "all -inf"};

static std::vector<float> makeRow(Kind kind, size_t count, std::mt19937 &random) {
  std::normal_distribution<float> normal;
  std::vector<float> row(count);
  for (float &x : row) {
    float value = normal(random);
    x = kind == Flat    ? value * 0.01f
        : kind == Ties  ? std::round(value * 2) / 2
        : kind == Equal ? 1.5f
        : kind == Large ? value * 3e4f
                        : value * 4;
    if ((kind == Hidden && random() % 3) || kind == None)
      x = -INFINITY;
  }
  if (kind == Hidden) // so that one is finite
    row[random() % count] = 2;
  if (kind == NotANumber)
    row[random() % count] = random() % 2 ? NAN : -NAN;
  if (kind == Infinite)
    row[random() % count] = INFINITY;
  return row;
}

/// Rows with options, logits and seen tokens of their own; `options` empty: all kinds of them.
struct Batch {
  size_t rows, vocabulary;
  std::vector<float> logits, temperature, topP, minP, penalty;
  std::vector<i32> topK, slot, expected;
  std::vector<i64> seed, draw;
  std::vector<i8> seen;
  std::vector<std::string> what;
};

static Batch makeBatch(size_t rows, size_t vocabulary, const SamplingOptions *fixed,
                       std::mt19937 &random) {
  Batch b{rows, vocabulary};
  b.seen.resize(rows * vocabulary);
  Sampler sampler(vocabulary);
  auto pick = [&](auto... values) {
    float all[] = {float(values)...};
    return all[random() % (sizeof all / sizeof *all)];
  };
  for (size_t i = 0; i < rows; ++i) {
    Kind kind = fixed ? Normal : Kind(random() % 12 % 9);
    std::vector<float> row = makeRow(kind, vocabulary, random);
    SamplingOptions options;
    if (fixed)
      options = *fixed;
    else
      options = {true,
                 pick(0, 1e-45f, 0.05, 0.7, 1, 1, 1.3, 8),
                 uint32_t(pick(0, 0, 1, 2, 50, vocabulary / 2, vocabulary - 1, vocabulary, 1e6)),
                 pick(1, 1, 0.9, 0.5, 0.999, 1e-6, 0.1),
                 pick(0, 0, 0.05, 0.5, 1),
                 pick(1, 1, 1.1, 2, 0.5)};
    b.temperature.push_back(options.sample ? options.temperature : 0);
    b.topK.push_back(i32(options.topK));
    b.topP.push_back(options.topP);
    b.minP.push_back(options.minP);
    b.penalty.push_back(options.repetitionPenalty);
    b.seed.push_back(i64((u64(random()) << 32) + random()));
    b.draw.push_back(random() % 5000);
    b.slot.push_back(i32(rows - 1 - i));
    b.logits.insert(b.logits.end(), row.begin(), row.end());
    TokenSet seen(vocabulary, vocabulary);
    for (size_t j = 0; j < 1 + vocabulary / 20; ++j) {
      i32 token = i32(random() % vocabulary);
      seen.insert(token);
      b.seen[(rows - 1 - i) * vocabulary + token] = 1;
    }
    auto token = sampler.pick(row, options, seen, u64(b.seed[i]), u64(b.draw[i]));
    b.expected.push_back(token.ok() ? *token : -1);
    char text[200];
    snprintf(text, sizeof text, "%s, V=%zu T=%g k=%u p=%g min_p=%g penalty=%g", kindNames[kind],
             vocabulary, options.temperature, options.topK, options.topP, options.minP,
             options.repetitionPenalty);
    b.what.push_back(text);
  }
  return b;
}

template <typename T> static Buffer<T> *uploaded(const std::vector<T> &host) {
  auto *buffer = new Buffer<T>(host.size());
  buffer->upload(host);
  return buffer;
}

struct OnDevice {
  explicit OnDevice(const Batch &b)
      : logits(uploaded(b.logits)), temperature(uploaded(b.temperature)), topP(uploaded(b.topP)),
        minP(uploaded(b.minP)), penalty(uploaded(b.penalty)), topK(uploaded(b.topK)),
        slot(uploaded(b.slot)), seed(uploaded(b.seed)), draw(uploaded(b.draw)),
        seen(uploaded(b.seen)), tokens(new Buffer<i32>(b.rows)) {
    arguments = {logits->data,  seen->data,    slot->data,     temperature->data, topK->data,
                 topP->data,    minP->data,    penalty->data,  seed->data,        draw->data,
                 tokens->data,  i64(b.rows),   i64(b.vocabulary), i64(b.rows)};
  }
  std::unique_ptr<Buffer<float>> logits, temperature, topP, minP, penalty;
  std::unique_ptr<Buffer<i32>> topK, slot;
  std::unique_ptr<Buffer<i64>> seed, draw;
  std::unique_ptr<Buffer<i8>> seen;
  std::unique_ptr<Buffer<i32>> tokens;
  SamplingArguments arguments;
};

template <typename C> static void check(const Batch &b, OnDevice &device) {
  device.tokens->poison();
  launch<C>(device.arguments);
  CHECK_CUDA(cudaDeviceSynchronize());
  std::vector<i32> got = device.tokens->download();
  for (size_t i = 0; i < b.rows; ++i) {
    ++checks;
    if (got[i] == b.expected[i])
      continue;
    if (++failures <= 20)
      printf("FAIL %s, %d blocks%s: token %d, expected %d\n", b.what[i].c_str(), C::kCluster,
             C::kCached ? ", cached" : "", got[i], b.expected[i]);
  }
}

static void checkMarks(size_t vocabulary) {
  const i64 rows = 3, width = 40;
  std::mt19937 random(7);
  std::vector<i8> seen(rows * vocabulary, 1), expected = seen;
  std::vector<i32> ids, count{40, 0, 1}, past{0, 5, 9}, slots{2, 0, 1};
  for (i64 i = 0; i < rows * width; ++i)
    ids.push_back(i32(random() % vocabulary));
  std::fill_n(expected.begin() + 2 * vocabulary, vocabulary, 0);
  for (i64 i = 0; i < rows; ++i)
    for (i64 j = 0; j < count[i]; ++j)
      expected[slots[i] * vocabulary + ids[i * width + j]] = 1;
  std::unique_ptr<Buffer<i8>> state(uploaded(seen));
  std::unique_ptr<Buffer<i32>> a(uploaded(ids)), b(uploaded(count)), c(uploaded(past)),
      d(uploaded(slots));
  mark<<<3, 1024>>>(state->data, a->data, b->data, c->data, d->data, rows, width, i64(vocabulary));
  CHECK_CUDA(cudaDeviceSynchronize());
  ++checks;
  if (state->download() != expected && ++failures)
    printf("FAIL marks of %zu tokens\n", vocabulary);
}

static void timeOf(size_t rows, size_t vocabulary, const char *name, const SamplingOptions &options) {
  std::mt19937 random(3);
  Batch b = makeBatch(rows, vocabulary, &options, random);
  OnDevice device(b);
  check<Config<8, true>>(b, device);
  double seconds = measure([&](int) { launch<Config<8, true>>(device.arguments); });
  printf("sampling V=%zu, %zu rows, %s: %.2f us\n", vocabulary, rows, name, seconds * 1e6);
}

/// With an argument, only compares, and less (for compute-sanitizer).
int main(int argc, char **) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    printf("skipped: no CUDA device\n");
    return 77;
  }
  cudaDeviceProp device;
  CHECK_CUDA(cudaGetDeviceProperties(&device, 0));
  bool full = argc == 1, clusters = device.major >= 9;
  std::mt19937 random(1);
  // Under racecheck a launch takes ten seconds: digits are counted in shared memory.
  const std::vector<size_t> all{1, 2, 7, 33, 1000, 2049, 4096, 49152, 128256, 151936},
      few{33, 2049};
  for (size_t vocabulary : full ? all : few) {
    for (int round = 0; round < (full ? vocabulary > 10000 ? 8 : 40 : 1); ++round) {
      Batch b = makeBatch(vocabulary > 10000 ? 12 : full ? 24 : 2, vocabulary, nullptr, random);
      OnDevice onDevice(b);
      check<Config<1, false>>(b, onDevice);
      if (vocabulary <= 16384)
        check<Config<1, true>>(b, onDevice);
      if (clusters) {
        check<Config<8, true>>(b, onDevice);
        check<Config<8, false>>(b, onDevice);
      }
    }
    checkMarks(vocabulary);
  }
  if (full && clusters)
    for (size_t rows : {1, 16}) {
      timeOf(rows, 128256, "greedy", {});
      timeOf(rows, 128256, "temperature 0.8", {true, 0.8f});
      timeOf(rows, 128256, "top-k 50", {true, 1, 50});
      timeOf(rows, 128256, "top-p 0.9", {true, 1, 0, 0.9f});
      timeOf(rows, 128256, "top-k 50, top-p 0.9, penalty 1.1", {true, 0.8f, 50, 0.9f, 0, 1.1f});
    }
  printf("%d checks, %d failures\n", checks, failures);
  return failures != 0;
}
