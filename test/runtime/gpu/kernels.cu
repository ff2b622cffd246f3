// kernels.cu - the test plan's kernels (test/runtime/testing/kernels.c) for a GPU, one thread or a
// few a block: what is tested is how they are called.
#include <cstdint>

// y = x * w[0] + ids + mask over n elements; one block does up to 4.
extern "C" __global__ void combine(const float *x, const int32_t *ids, const int32_t *mask,
                                   const float *w, float *y, int64_t n) {
  int64_t i = int64_t(blockIdx.x) * 4 + threadIdx.x;
  if (threadIdx.x < 4 && i < n)
    y[i] = x[i] * w[0] + float(ids[i]) + float(mask[i]);
}

#if __CUDA_ARCH__ >= 900
struct alignas(64) TensorMap {
  char bytes[128];
};

// y = 2 x over n elements, started early; what follows starts at once.
extern "C" __global__ void twice(const float *x, float *y, int64_t n) {
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  asm volatile("griddepcontrol.wait;" ::: "memory");
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
    y[i] = 2 * x[i];
}

// kernels.c's chain. As that of codegen/cuda/kernels/stream.cuh, it counts before it waits: where
// the memory was not filled by then, no block is the first.
extern "C" __global__ void chain(const unsigned char *table, unsigned char *exchange,
                                 int64_t tokens, int64_t launches, const int *) {
  struct Entry {
    unsigned char maps[256];
    uint64_t buffers[14], part;
    uint32_t task, exchanged;
  };
  __shared__ unsigned number;
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  if (threadIdx.x == 0)
    number = atomicAdd(reinterpret_cast<unsigned *>(exchange), 1u) + 1;
  __syncthreads();
  asm volatile("griddepcontrol.wait;" ::: "memory");
  if (number != 0)
    return;
  for (int64_t launch = 0; launch < launches; ++launch) {
    const Entry &entry = reinterpret_cast<const Entry *>(table)[launch];
    float *at[2];
    for (int i = 0; i < 2; ++i)
      at[i] = entry.exchanged >> i & 1
                  ? reinterpret_cast<float *>(exchange + 128 + entry.buffers[i] * tokens)
                  : reinterpret_cast<float *>(entry.buffers[i]);
    for (int64_t i = threadIdx.x; i < tokens * 4; i += blockDim.x) {
      bool filled = !(entry.exchanged & 2) ||
                    reinterpret_cast<const volatile unsigned *>(at[1])[i] == 0xffffffff;
      at[1][i] = filled ? 2 * at[0][i] : -1;
    }
    __syncthreads();
  }
}

// The same, reading x through the copy engine: rows of 4 elements. In clusters of 2 blocks, started
// early, with 64 KiB of shared memory. `device_n` is null or holds n.
extern "C" __global__ void combine_map(const float *x, const int32_t *ids, const int32_t *mask,
                                       const float *w, float *y, int64_t n, const int *device_n,
                                       const __grid_constant__ TensorMap map) {
  extern __shared__ __align__(128) float tile[];
  __shared__ __align__(8) uint64_t barrier;
  asm volatile("griddepcontrol.wait;" ::: "memory");
  unsigned clusterBlocks;
  asm("mov.u32 %0, %%cluster_nctaid.x;" : "=r"(clusterBlocks));
  unsigned at = unsigned(__cvta_generic_to_shared(&barrier));
  unsigned to = unsigned(__cvta_generic_to_shared(tile + 12 * 1024));
  if (threadIdx.x == 0) {
    asm volatile("mbarrier.init.shared.b64 [%0], 1;" ::"r"(at));
    asm volatile("fence.proxy.async;" ::: "memory");
    asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], 16;" ::"r"(at));
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%2, %3}], [%4];" ::"r"(to),
                 "l"(&map), "r"(0), "r"(int(blockIdx.x)), "r"(at)
                 : "memory");
  }
  __syncthreads();
  unsigned done = 0;
  while (!done)
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared.b64 p, [%1], 0; "
                 "selp.u32 %0, 1, 0, p; }"
                 : "=r"(done)
                 : "r"(at)
                 : "memory");
  int64_t count = device_n ? *device_n : n;
  int64_t i = int64_t(blockIdx.x) * 4 + threadIdx.x;
  if (threadIdx.x < 4 && i < count)
    y[i] = tile[12 * 1024 + threadIdx.x] * w[0] + float(ids[i]) + float(mask[i]) +
           (clusterBlocks == 2 ? 0.0f : 1000.0f);
}
#endif

extern "C" __global__ void grid3(int32_t *out, int64_t width, int64_t height) {
  out[(blockIdx.z * height + blockIdx.y) * width + blockIdx.x] =
      int32_t(100 * blockIdx.z + 10 * blockIdx.y + blockIdx.x);
}

extern "C" __global__ void count(int32_t *counter, int32_t *calls) {
  if (threadIdx.x == 0)
    calls[0] = ++counter[0];
}

extern "C" __global__ void step(const int32_t *ids, const int32_t *num, const int32_t *past,
                                const int32_t *table, int32_t *cache, float *logits, int64_t s,
                                int64_t nb, int64_t block, int64_t v) {
  if (threadIdx.x != 0)
    return;
  int64_t row = blockIdx.x;
  for (int64_t i = 0; i < num[row]; ++i) {
    int64_t at = past[row] + i;
    cache[table[row * nb + at / block] * block + at % block] = ids[row * s + i];
  }
  uint32_t hash = 17;
  for (int64_t at = 0; at < past[row] + num[row]; ++at)
    hash = hash * 31 + uint32_t(cache[table[row * nb + at / block] * block + at % block]);
  for (int64_t i = 0; i < v; ++i)
    logits[row * v + i] = float((hash >> 7) * uint32_t(i + 1) % 64) / 64.0f;
  logits[row * v + hash % uint32_t(v)] = 8;
  logits[row * v + (hash + 1) % uint32_t(v)] = 7;
}

extern "C" __global__ void sample(const float *logits, const float *temperature, const int32_t *,
                                  const float *, const float *, const float *, const int64_t *seed,
                                  const int64_t *draw, const int32_t *, int32_t *tokens, int64_t v) {
  if (threadIdx.x != 0)
    return;
  int64_t row = blockIdx.x;
  int32_t best = 0;
  for (int32_t i = 1; i < v; ++i)
    if (logits[row * v + i] > logits[row * v + best])
      best = i;
  tokens[row] = temperature[row] == 0 ? best : int32_t((seed[row] * 7 + draw[row] * 3) % v);
}

// Writes past everything: an error that only shows when the host waits.
extern "C" __global__ void wild(int32_t *counter, int32_t *calls) {
  *reinterpret_cast<volatile int32_t *>(uintptr_t(64)) = 1;
}
