/* kernels.c - a host code image for the runtime's tests, compiled by the C compiler alone. */
#include "runtime/device/HostKernelAbi.h"

#define KERNEL __attribute__((visibility("default")))

/* y = x * w[0] + ids + mask over n elements; one block does up to 4. */
KERNEL void combine(void *const *buffers, const int64_t *sizes, void *scratch, int64_t x, int64_t y,
                    int64_t z) {
  const float *in = buffers[0], *w = buffers[3];
  const int32_t *ids = buffers[1], *mask = buffers[2];
  float *out = buffers[4];
  for (int64_t i = x * 4; i < x * 4 + 4 && i < sizes[0]; ++i)
    out[i] = in[i] * w[0] + (float)ids[i] + (float)mask[i];
}

/* out[z][y][x] = 100 z + 10 y + x, through scratch. */
KERNEL void grid3(void *const *buffers, const int64_t *sizes, void *scratch, int64_t x, int64_t y,
                  int64_t z) {
  int32_t *cell = scratch;
  cell[0] = (int32_t)(100 * z + 10 * y + x);
  ((int32_t *)buffers[0])[(z * sizes[1] + y) * sizes[0] + x] = cell[0];
}

/* counter[0] += 1: state that outlives a call. */
KERNEL void count(void *const *buffers, const int64_t *sizes, void *scratch, int64_t x, int64_t y,
                  int64_t z) {
  int32_t *counter = buffers[0];
  ((int32_t *)buffers[1])[0] = ++counter[0];
}

/* A language model whose next token is a function of all tokens of its row, kept in a paged cache.
 * One block a row. sizes: S, NB, block size, V. The logits are 8 at the next token, 7 at the one
 * after it, and small elsewhere. */
KERNEL void step(void *const *buffers, const int64_t *sizes, void *scratch, int64_t row, int64_t y,
                 int64_t z) {
  const int32_t *ids = buffers[0], *num = buffers[1], *past = buffers[2], *table = buffers[3];
  int32_t *cache = buffers[4];
  float *logits = buffers[5];
  int64_t s = sizes[0], nb = sizes[1], block = sizes[2], v = sizes[3];
  for (int64_t i = 0; i < num[row]; ++i) {
    int64_t at = past[row] + i;
    cache[table[row * nb + at / block] * block + at % block] = ids[row * s + i];
  }
  uint32_t hash = 17;
  for (int64_t at = 0; at < past[row] + num[row]; ++at)
    hash = hash * 31 + (uint32_t)cache[table[row * nb + at / block] * block + at % block];
  for (int64_t i = 0; i < v; ++i)
    logits[row * v + i] = (float)((hash >> 7) * (uint32_t)(i + 1) % 64) / 64.0f;
  logits[row * v + hash % (uint32_t)v] = 8;
  logits[row * v + (hash + 1) % (uint32_t)v] = 7;
}

/* A sampler that shows what it was given: greedy where the temperature is 0, else a function of seed
 * and draw. One block a row. sizes: V. */
KERNEL void sample(void *const *buffers, const int64_t *sizes, void *scratch, int64_t row, int64_t y,
                   int64_t z) {
  const float *logits = (const float *)buffers[0] + row * sizes[0];
  const float *temperature = buffers[1];
  const int64_t *seed = buffers[6], *draw = buffers[7];
  int32_t *tokens = buffers[9];
  int32_t best = 0;
  for (int32_t i = 1; i < sizes[0]; ++i)
    if (logits[i] > logits[best])
      best = i;
  tokens[row] = temperature[row] == 0.0f ? best : (int32_t)((seed[row] * 7 + draw[row] * 3) % sizes[0]);
}

/* Candidates of one kernel, y = 2 x over n elements: two that are right, one that computes something
 * else, one all of whose results are a little off, one that computes nothing, one that leaves the
 * numbers. */
KERNEL void twice(void *const *buffers, const int64_t *sizes, void *scratch, int64_t x, int64_t y,
                  int64_t z) {
  for (int64_t i = 0; i < sizes[0]; ++i)
    ((float *)buffers[1])[i] = 2 * ((const float *)buffers[0])[i];
}
KERNEL void sum(void *const *buffers, const int64_t *sizes, void *scratch, int64_t x, int64_t y,
                int64_t z) {
  for (int64_t i = 0; i < sizes[0]; ++i)
    ((float *)buffers[1])[i] =
        ((const float *)buffers[0])[i] + 1.000001f * ((const float *)buffers[0])[i];
}
KERNEL void thrice(void *const *buffers, const int64_t *sizes, void *scratch, int64_t x, int64_t y,
                   int64_t z) {
  for (int64_t i = 0; i < sizes[0]; ++i)
    ((float *)buffers[1])[i] = (i == 2 ? 3 : 2) * ((const float *)buffers[0])[i];
}
KERNEL void almost(void *const *buffers, const int64_t *sizes, void *scratch, int64_t x, int64_t y,
                   int64_t z) {
  for (int64_t i = 0; i < sizes[0]; ++i)
    ((float *)buffers[1])[i] = 2.00004f * ((const float *)buffers[0])[i];
}
/* A stream's kernel, over its table (runtime/exec/Stream.h) and 32 exchanged bytes a token: twice, for
 * each of sizes[1] launches over [tokens, 4]; -1 where it finds bytes that are not all ones. */
KERNEL void chain(void *const *buffers, const int64_t *sizes, void *scratch, int64_t x, int64_t y,
                  int64_t z) {
  struct Entry {
    unsigned char maps[256];
    uint64_t buffers[14], part;
    uint32_t task, exchanged;
  };
  const struct Entry *table = buffers[0];
  unsigned char *exchange = buffers[1];
  int ones = 1;
  if (x != 0)
    return;
  for (int64_t i = 0; i < 128 + 32 * sizes[0]; ++i)
    ones &= exchange[i] == 0xff;
  for (int64_t launch = 0; launch < sizes[1]; ++launch) {
    float *at[2];
    for (int i = 0; i < 2; ++i)
      at[i] = table[launch].exchanged >> i & 1
                  ? (float *)(exchange + 128 + table[launch].buffers[i] * (uint64_t)sizes[0])
                  : (float *)table[launch].buffers[i];
    for (int64_t i = 0; i < sizes[0] * 4; ++i)
      at[1][i] = ones ? 2 * at[0][i] : -1;
  }
  exchange[0] = 0;
}
KERNEL void idle(void *const *buffers, const int64_t *sizes, void *scratch, int64_t x, int64_t y,
                    int64_t z) {}
KERNEL void infinite(void *const *buffers, const int64_t *sizes, void *scratch, int64_t x, int64_t y,
                     int64_t z) {
  for (int64_t i = 0; i < sizes[0]; ++i)
    ((float *)buffers[1])[i] = ((const float *)buffers[0])[i] / 0.0f;
}
