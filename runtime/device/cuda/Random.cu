// Random.cu - RandomFill of runtime/weights on a GPU: a box of a weight, bit for bit what the host gives.
//
// The driver compiles it at load from RandomPtx.inc, so that the runtime needs no toolkit. That is made by
//   nvcc -ptx -arch=sm_80 -O3 Random.cu
// with .version 7.1, which all drivers since CUDA 11.1 read, and without the comments.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

using u64 = unsigned long long;

/// RandomArguments of CudaRandom.cpp.
struct Arguments {
  void *target;
  u64 key;
  double scale, mean;
  u64 first, count;
  u64 sizes[4];
  long long from[4], to[4];
  u64 type;
};

static __device__ __forceinline__ u64 mix(u64 z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

extern "C" __global__ void ingot_random(const Arguments a) {
  const u64 golden = 0x9e3779b97f4a7c15ull, even = 0x0000ffff0000ffffull;
  for (u64 i = blockIdx.x * u64(blockDim.x) + threadIdx.x; i < a.count;
       i += u64(gridDim.x) * blockDim.x) {
    u64 rest = i, index = a.first;
    long long place = 0;
#pragma unroll
    for (int axis = 3; axis >= 0; --axis) {
      u64 at = rest;
      rest = 0;
      if (at >= a.sizes[axis]) {
        rest = at / a.sizes[axis];
        at -= rest * a.sizes[axis];
      }
      index += at * a.from[axis];
      place += (long long)at * a.to[axis];
    }
    u64 x = mix(a.key + (2 * index + 1) * golden), y = mix(a.key + (2 * index + 2) * golden);
    u64 lanes = (x & even) + (x >> 16 & even) + (y & even) + (y >> 16 & even);
    long long sum = 2 * (long long)((lanes & 0xffffffff) + (lanes >> 32)) - 8 * 65535;
    float value = __double2float_rn(__dadd_rn(a.mean, __dmul_rn(double(sum), a.scale)));
    if (a.type == 0)
      static_cast<float *>(a.target)[place] = value;
    else if (a.type == 1)
      static_cast<__half *>(a.target)[place] = __float2half_rn(value);
    else
      static_cast<__nv_bfloat16 *>(a.target)[place] = __float2bfloat16_rn(value);
  }
}
