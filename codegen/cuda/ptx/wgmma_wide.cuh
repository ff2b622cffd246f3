// wgmma_wide.cuh - Matrix instructions of a warpgroup (sm_90a) of 32 to 256 columns: A and B in
// shared memory, rows of K; or A in registers and B as rows of N. One instruction a function.
#pragma once

#include "codegen/cuda/ptx/wgmma.cuh"

namespace ingot::ptx {

/// Describes a matrix in shared memory whose rows are 128 bytes of N (64 columns), swizzled by 128
/// bytes: groups of eight rows follow each other, the next 64 columns are `panel` bytes away.
/// `address` is a multiple of 1024.
INGOT_DEVICE u64 describe_rows_of_n(u32 address, u32 panel) {
  return static_cast<u64>((address & 0x3ffff) >> 4) | static_cast<u64>(panel >> 4) << 16 |
         (64ull << 32) | (1ull << 62);
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/// Keeps the wait that follows behind the computing of a value that is never -1: ptxas moves waits
/// for matrix instructions in front of arithmetic, but not over a branch.
INGOT_DEVICE void hold_back(float value) {
  if (value == -1.0f)
    asm volatile("nanosleep.u32 20;" ::: "memory");
}

/// d += A[64, 16] B[N, 16]^T, or = without `add`; both in shared memory, rows of K. Of 8-bit
/// elements an instruction takes 32.
template <typename T, int N> struct WgmmaShared;
/// d += A[64, 16] B[16, N]: A in registers (as mma's A, a warp 16 rows), B as rows of N.
template <typename T, int N> struct WgmmaRegisters;

// Operands in runs of 16.
#define INGOT_NAMES_0 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define INGOT_NAMES_1                                                                              \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define INGOT_NAMES_2                                                                              \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define INGOT_NAMES_3                                                                              \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define INGOT_NAMES_4                                                                              \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
#define INGOT_NAMES_5                                                                              \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define INGOT_NAMES_6                                                                              \
  "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111"
#define INGOT_NAMES_7                                                                              \
  "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define INGOT_VALUES(i)                                                                            \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]),      \
      "+f"(d[i + 6]), "+f"(d[i + 7]), "+f"(d[i + 8]), "+f"(d[i + 9]), "+f"(d[i + 10]),             \
      "+f"(d[i + 11]), "+f"(d[i + 12]), "+f"(d[i + 13]), "+f"(d[i + 14]), "+f"(d[i + 15])
#define INGOT_LIST(...) __VA_ARGS__
// The operands behind d's are numbered from N / 2.
#define INGOT_WGMMA(T, NAME, N, NAMES, VALUES, A, B, P, R0, R1, R2, R3, RB, RP)                    \
  template <> struct WgmmaShared<T, N> {                                                           \
    static INGOT_DEVICE void run(float (&d)[N / 2], u64 a, u64 b, bool add) {                      \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" P ", 0;\n"                                 \
                   "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." NAME "." NAME " {" NAMES      \
                   "}, %" A ", %" B ", p, 1, 1, 0, 0;\n}"                                          \
                   : VALUES                                                                        \
                   : "l"(a), "l"(b), "r"(static_cast<u32>(add)));                                  \
    }                                                                                              \
  };                                                                                               \
  template <> struct WgmmaRegisters<T, N> {                                                        \
    static INGOT_DEVICE void run(float (&d)[N / 2], const u32 (&a)[4], u64 b, bool add) {          \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" RP ", 0;\n"                                \
                   "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." NAME "." NAME " {" NAMES      \
                   "}, {%" R0 ", %" R1 ", %" R2 ", %" R3 "}, %" RB ", p, 1, 1, 1;\n}"              \
                   : VALUES                                                                        \
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b),                           \
                     "r"(static_cast<u32>(add)));                                                  \
    }                                                                                              \
  };
#define INGOT_WGMMA_32(T, NAME)                                                                    \
  INGOT_WGMMA(T, NAME, 32, INGOT_NAMES_0, INGOT_LIST(INGOT_VALUES(0)), "16", "17", "18", "16",     \
              "17", "18", "19", "20", "21")
INGOT_WGMMA_32(bf16, "bf16")
INGOT_WGMMA_32(f16, "f16")
#define INGOT_WGMMA_64(T, NAME)                                                                    \
  INGOT_WGMMA(T, NAME, 64, INGOT_NAMES_0 ", " INGOT_NAMES_1,                                       \
              INGOT_LIST(INGOT_VALUES(0), INGOT_VALUES(16)), "32", "33", "34", "32", "33", "34",   \
              "35", "36", "37")
INGOT_WGMMA_64(bf16, "bf16")
INGOT_WGMMA_64(f16, "f16")
#define INGOT_WGMMA_96(T, NAME)                                                                    \
  INGOT_WGMMA(T, NAME, 96, INGOT_NAMES_0 ", " INGOT_NAMES_1 ", " INGOT_NAMES_2,                    \
              INGOT_LIST(INGOT_VALUES(0), INGOT_VALUES(16), INGOT_VALUES(32)), "48", "49", "50",   \
              "48", "49", "50", "51", "52", "53")
INGOT_WGMMA_96(bf16, "bf16")
INGOT_WGMMA_96(f16, "f16")
#define INGOT_WGMMA_128(T, NAME)                                                                   \
  INGOT_WGMMA(T, NAME, 128,                                                                        \
              INGOT_NAMES_0 ", " INGOT_NAMES_1 ", " INGOT_NAMES_2 ", " INGOT_NAMES_3,              \
              INGOT_LIST(INGOT_VALUES(0), INGOT_VALUES(16), INGOT_VALUES(32), INGOT_VALUES(48)),   \
              "64", "65", "66", "64", "65", "66", "67", "68", "69")
INGOT_WGMMA_128(bf16, "bf16")
INGOT_WGMMA_128(f16, "f16")
#define INGOT_WGMMA_160(T, NAME)                                                                   \
  INGOT_WGMMA(T, NAME, 160,                                                                        \
              INGOT_NAMES_0 ", " INGOT_NAMES_1 ", " INGOT_NAMES_2 ", " INGOT_NAMES_3               \
                            ", " INGOT_NAMES_4,                                                    \
              INGOT_LIST(INGOT_VALUES(0), INGOT_VALUES(16), INGOT_VALUES(32), INGOT_VALUES(48),    \
                         INGOT_VALUES(64)),                                                        \
              "80", "81", "82", "80", "81", "82", "83", "84", "85")
INGOT_WGMMA_160(bf16, "bf16")
INGOT_WGMMA_160(f16, "f16")
#define INGOT_WGMMA_192(T, NAME)                                                                   \
  INGOT_WGMMA(T, NAME, 192,                                                                        \
              INGOT_NAMES_0 ", " INGOT_NAMES_1 ", " INGOT_NAMES_2 ", " INGOT_NAMES_3               \
                            ", " INGOT_NAMES_4 ", " INGOT_NAMES_5,                                 \
              INGOT_LIST(INGOT_VALUES(0), INGOT_VALUES(16), INGOT_VALUES(32), INGOT_VALUES(48),    \
                         INGOT_VALUES(64), INGOT_VALUES(80)),                                      \
              "96", "97", "98", "96", "97", "98", "99", "100", "101")
INGOT_WGMMA_192(bf16, "bf16")
INGOT_WGMMA_192(f16, "f16")
#define INGOT_WGMMA_224(T, NAME)                                                                   \
  INGOT_WGMMA(T, NAME, 224,                                                                        \
              INGOT_NAMES_0 ", " INGOT_NAMES_1 ", " INGOT_NAMES_2 ", " INGOT_NAMES_3               \
                            ", " INGOT_NAMES_4 ", " INGOT_NAMES_5 ", " INGOT_NAMES_6,              \
              INGOT_LIST(INGOT_VALUES(0), INGOT_VALUES(16), INGOT_VALUES(32), INGOT_VALUES(48),    \
                         INGOT_VALUES(64), INGOT_VALUES(80), INGOT_VALUES(96)),                    \
              "112", "113", "114", "112", "113", "114", "115", "116", "117")
INGOT_WGMMA_224(bf16, "bf16")
INGOT_WGMMA_224(f16, "f16")
#define INGOT_WGMMA_256(T, NAME)                                                                   \
  INGOT_WGMMA(T, NAME, 256,                                                                        \
              INGOT_NAMES_0 ", " INGOT_NAMES_1 ", " INGOT_NAMES_2 ", " INGOT_NAMES_3               \
                            ", " INGOT_NAMES_4 ", " INGOT_NAMES_5 ", " INGOT_NAMES_6               \
                            ", " INGOT_NAMES_7,                                                    \
              INGOT_LIST(INGOT_VALUES(0), INGOT_VALUES(16), INGOT_VALUES(32), INGOT_VALUES(48),    \
                         INGOT_VALUES(64), INGOT_VALUES(80), INGOT_VALUES(96), INGOT_VALUES(112)), \
              "128", "129", "130", "128", "129", "130", "131", "132", "133")
INGOT_WGMMA_256(bf16, "bf16")
INGOT_WGMMA_256(f16, "f16")
#define INGOT_WGMMA_E4M3(N, NAMES, VALUES, A, B, P)                                                \
  template <> struct WgmmaShared<e4m3, N> {                                                        \
    static INGOT_DEVICE void run(float (&d)[N / 2], u64 a, u64 b, bool add) {                      \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" P ", 0;\n"                                 \
                   "wgmma.mma_async.sync.aligned.m64n" #N "k32.f32.e4m3.e4m3 {" NAMES "}, %" A     \
                   ", %" B ", p, 1, 1;\n}"                                                         \
                   : VALUES                                                                        \
                   : "l"(a), "l"(b), "r"(static_cast<u32>(add)));                                  \
    }                                                                                              \
  };
INGOT_WGMMA_E4M3(64, INGOT_NAMES_0 ", " INGOT_NAMES_1,
                 INGOT_LIST(INGOT_VALUES(0), INGOT_VALUES(16)), "32", "33", "34")
INGOT_WGMMA_E4M3(128, INGOT_NAMES_0 ", " INGOT_NAMES_1 ", " INGOT_NAMES_2 ", " INGOT_NAMES_3,
                 INGOT_LIST(INGOT_VALUES(0), INGOT_VALUES(16), INGOT_VALUES(32), INGOT_VALUES(48)),
                 "64", "65", "66")
INGOT_WGMMA_E4M3(192,
                 INGOT_NAMES_0 ", " INGOT_NAMES_1 ", " INGOT_NAMES_2 ", " INGOT_NAMES_3
                               ", " INGOT_NAMES_4 ", " INGOT_NAMES_5,
                 INGOT_LIST(INGOT_VALUES(0), INGOT_VALUES(16), INGOT_VALUES(32), INGOT_VALUES(48),
                            INGOT_VALUES(64), INGOT_VALUES(80)),
                 "96", "97", "98")
INGOT_WGMMA_E4M3(256,
                 INGOT_NAMES_0 ", " INGOT_NAMES_1 ", " INGOT_NAMES_2 ", " INGOT_NAMES_3
                               ", " INGOT_NAMES_4 ", " INGOT_NAMES_5 ", " INGOT_NAMES_6
                               ", " INGOT_NAMES_7,
                 INGOT_LIST(INGOT_VALUES(0), INGOT_VALUES(16), INGOT_VALUES(32), INGOT_VALUES(48),
                            INGOT_VALUES(64), INGOT_VALUES(80), INGOT_VALUES(96),
                            INGOT_VALUES(112)),
                 "128", "129", "130")
#undef INGOT_WGMMA_E4M3
#undef INGOT_WGMMA_32
#undef INGOT_WGMMA_64
#undef INGOT_WGMMA_96
#undef INGOT_WGMMA_128
#undef INGOT_WGMMA_160
#undef INGOT_WGMMA_192
#undef INGOT_WGMMA_224
#undef INGOT_WGMMA_256
#undef INGOT_WGMMA
#undef INGOT_LIST
#undef INGOT_VALUES
#undef INGOT_NAMES_0
#undef INGOT_NAMES_1
#undef INGOT_NAMES_2
#undef INGOT_NAMES_3
#undef INGOT_NAMES_4
#undef INGOT_NAMES_5
#undef INGOT_NAMES_6
#undef INGOT_NAMES_7

#endif

} // namespace ingot::ptx
