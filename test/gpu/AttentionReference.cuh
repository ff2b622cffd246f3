// AttentionReference.cuh - Attention as plain loops in f64.
#pragma once

#include "codegen/cuda/kernels/attention.cuh"
#include "test/gpu/Harness.cuh"

/// A block a query and head; `scores` holds `most` a block. Strides are of keys without a cache.
template <typename C, typename T>
__global__ void attentionReference(ingot::AttentionArguments<T> a, double *scores, ingot::i64 most,
                                   int keyStride, int valueStride, float *out) {
  using ingot::i64;
  __shared__ double total, largest;
  const int head = blockIdx.y, kv = head / C::kGroup;
  const i64 t = blockIdx.x;
  i64 b = 0, first, count;
  for (;; ++b) {
    ingot::attention_row(a, b, first, count);
    if (t < first + count)
      break;
  }
  scores += (t * gridDim.y + head) * most;
  const i64 past = C::kPaged ? a.past[b] : 0, query = past + t - first, keys = past + count;
  const T *q = a.q + t * C::kQueryStride + head * C::kWidth;
  const ingot::AttentionItem item{b, first, count, past, kv, 0};
  for (i64 k = threadIdx.x; k < keys; k += blockDim.x) {
    const T *row = ingot::attention_key_row<C>(a.k, a, item, k, keyStride);
    double dot = 0;
    for (int d = 0; d < C::kWidth; ++d)
      dot += double(float(q[d])) * float(row[d]);
    double score = dot * C::kScale;
    if constexpr (C::kSoftcap > 0)
      score = C::kSoftcap * tanh(score / C::kSoftcap);
    if (C::kAlibi)
      score += double(a.slopes[head]) * (k - query);
    const bool seen = !(C::kCausal && k > query) && !(C::kWindow > 0 && query - k >= C::kWindow);
    scores[k] = seen ? score : -INFINITY;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    double m = C::kSinks ? a.sinks[head] : -INFINITY, s = 0;
    for (i64 k = 0; k < keys; ++k)
      m = fmax(m, scores[k]);
    for (i64 k = 0; k < keys; ++k)
      s += exp(scores[k] - m);
    total = C::kSinks ? s + exp(a.sinks[head] - m) : s;
    largest = m;
  }
  __syncthreads();
  for (int d = threadIdx.x; d < C::kWidth; d += blockDim.x) {
    double sum = 0;
    for (i64 k = 0; k < keys; ++k)
      if (scores[k] != -INFINITY)
        sum += exp(scores[k] - largest) *
               float(ingot::attention_key_row<C>(a.v, a, item, k, valueStride)[d]);
    out[t * C::kOutputStride + head * C::kWidth + d] = sum / total;
  }
}

/// What `tokens` queries of rows of at most `longest` keys attend to, into `expected`.
template <typename C, typename T>
void attentionExpected(const ingot::AttentionArguments<T> &a, int tokens, int longest, int keyStride,
                       int valueStride, Buffer<float> &expected) {
  constexpr int kHeads = C::kGroup * C::kKvHeads;
  Buffer<double> scores(size_t(tokens) * kHeads * longest);
  attentionReference<C, T><<<dim3(tokens, kHeads), 128>>>(a, scores.data, longest, keyStride,
                                                          valueStride, expected.data);
  CHECK_CUDA(cudaGetLastError());
  CHECK_CUDA(cudaDeviceSynchronize());
}
