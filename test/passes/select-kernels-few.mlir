// RUN: ingot-opt %s --select-kernels | FileCheck %s

// Linear layers and attention of few tokens have kernels of their own: the bound of a size decides.

exec.target @cuda kind("cuda") arch("sm_90a")
exec.device @cuda0 : @cuda
// CHECK: exec.kernel @few
// CHECK-SAME: family = "cuda.linear_few"
exec.kernel @few for @cuda sizes(d0 in [0, 16])
    (%x: !exec.buffer<[d0, 2048] x bf16>, %w: !exec.buffer<[4096, 2048] x bf16>) -> (!exec.buffer<[d0, 4096] x bf16>) {
  %0 = transformer.linear %x, %w : (tensor<?x2048xbf16>, tensor<4096x2048xbf16>) -> tensor<?x4096xbf16>
  exec.yield %0 : tensor<?x4096xbf16>
}
// CHECK: exec.kernel @many
// CHECK-SAME: family = "cuda.linear",
exec.kernel @many for @cuda sizes(d0 in [0, 65])
    (%x: !exec.buffer<[d0, 2048] x bf16>, %w: !exec.buffer<[4096, 2048] x bf16>) -> (!exec.buffer<[d0, 4096] x bf16>) {
  %0 = transformer.linear %x, %w : (tensor<?x2048xbf16>, tensor<4096x2048xbf16>) -> tensor<?x4096xbf16>
  exec.yield %0 : tensor<?x4096xbf16>
}
// CHECK: exec.kernel @attend_few
// CHECK-SAME: family = "cuda.attention_decode"
exec.kernel @attend_few for @cuda sizes(d0 in [0, 16], d1 in [1, 16], d2 in [1, 4])
    (%q: !exec.buffer<[d0, 256] x bf16>, %k: !exec.buffer<[9, 2, 16, 64] x bf16>, %v: !exec.buffer<[9, 2, 16, 64] x bf16>,
     %cu: !exec.buffer<[17] x i32>, %table: !exec.buffer<[d1, d2] x i32>, %past: !exec.buffer<[d1] x i32>)
    -> (!exec.buffer<[d0, 256] x bf16>) {
  %0 = transformer.attention by flash %q, %k, %v cu_seqlens(%cu) block_table(%table) past(%past)
    {causal, heads = 4 : i64, kv_heads = 2 : i64, scale = 0.125 : f64}
    : (tensor<?x256xbf16>, tensor<9x2x16x64xbf16>, tensor<9x2x16x64xbf16>, tensor<17xi32>, tensor<?x?xi32>, tensor<?xi32>) -> tensor<?x256xbf16>
  exec.yield %0 : tensor<?x256xbf16>
}
// Any head of a multiple of 8 elements, with groups of any size.
// CHECK: exec.kernel @attend_few_80
// CHECK-SAME: attention, packed, paged, heads=12/1 D=80, bf16
// CHECK-SAME: 2 tiles of the 12 query heads
// CHECK-SAME: family = "cuda.attention_decode"
exec.kernel @attend_few_80 for @cuda sizes(d0 in [0, 16], d1 in [1, 16], d2 in [1, 4])
    (%q: !exec.buffer<[d0, 960] x bf16>, %k: !exec.buffer<[9, 1, 16, 80] x bf16>, %v: !exec.buffer<[9, 1, 16, 80] x bf16>,
     %cu: !exec.buffer<[17] x i32>, %table: !exec.buffer<[d1, d2] x i32>, %past: !exec.buffer<[d1] x i32>)
    -> (!exec.buffer<[d0, 960] x bf16>) {
  %0 = transformer.attention by flash %q, %k, %v cu_seqlens(%cu) block_table(%table) past(%past)
    {causal, heads = 12 : i64, kv_heads = 1 : i64, scale = 0.125 : f64}
    : (tensor<?x960xbf16>, tensor<9x1x16x80xbf16>, tensor<9x1x16x80xbf16>, tensor<17xi32>, tensor<?x?xi32>, tensor<?xi32>) -> tensor<?x960xbf16>
  exec.yield %0 : tensor<?x960xbf16>
}
// CHECK: exec.kernel @attend_few_12
// CHECK-SAME: family = "cuda.attention"
exec.kernel @attend_few_12 for @cuda sizes(d0 in [0, 16], d1 in [1, 16], d2 in [1, 4])
    (%q: !exec.buffer<[d0, 24] x bf16>, %k: !exec.buffer<[9, 1, 16, 12] x bf16>, %v: !exec.buffer<[9, 1, 16, 12] x bf16>,
     %cu: !exec.buffer<[17] x i32>, %table: !exec.buffer<[d1, d2] x i32>, %past: !exec.buffer<[d1] x i32>)
    -> (!exec.buffer<[d0, 24] x bf16>) {
  %0 = transformer.attention by flash %q, %k, %v cu_seqlens(%cu) block_table(%table) past(%past)
    {causal, heads = 2 : i64, kv_heads = 1 : i64, scale = 0.125 : f64}
    : (tensor<?x24xbf16>, tensor<9x1x16x12xbf16>, tensor<9x1x16x12xbf16>, tensor<17xi32>, tensor<?x?xi32>, tensor<?xi32>) -> tensor<?x24xbf16>
  exec.yield %0 : tensor<?x24xbf16>
}

exec.program @p symbols(T in [1, 16], M in [1, 65], B in [1, 16], NB in [1, 4]) {
  %x = exec.input "x" on @cuda0 : !exec.buffer<[T, 2048] x bf16>
  %z = exec.input "z" on @cuda0 : !exec.buffer<[M, 2048] x bf16>
  %w = exec.input "w" on @cuda0 : !exec.buffer<[4096, 2048] x bf16>
  %q = exec.input "q" on @cuda0 : !exec.buffer<[T, 256] x bf16>
  %k = exec.input "k" on @cuda0 : !exec.buffer<[9, 2, 16, 64] x bf16>
  %cu = exec.input "cu" on @cuda0 : !exec.buffer<[17] x i32>
  %q80 = exec.input "q80" on @cuda0 : !exec.buffer<[T, 960] x bf16>
  %k80 = exec.input "k80" on @cuda0 : !exec.buffer<[9, 1, 16, 80] x bf16>
  %q12 = exec.input "q12" on @cuda0 : !exec.buffer<[T, 24] x bf16>
  %k12 = exec.input "k12" on @cuda0 : !exec.buffer<[9, 1, 16, 12] x bf16>
  %table = exec.input "table" on @cuda0 : !exec.buffer<[B, NB] x i32>
  %past = exec.input "past" on @cuda0 : !exec.buffer<[B] x i32>
  %0 = exec.buffer on @cuda0 : !exec.buffer<[T, 4096] x bf16>
  %1 = exec.buffer on @cuda0 : !exec.buffer<[M, 4096] x bf16>
  %2 = exec.buffer on @cuda0 : !exec.buffer<[T, 256] x bf16>
  %3 = exec.buffer on @cuda0 : !exec.buffer<[T, 960] x bf16>
  %4 = exec.buffer on @cuda0 : !exec.buffer<[T, 24] x bf16>
  exec.launch @few sizes(T) ins(%x, %w : !exec.buffer<[T, 2048] x bf16>, !exec.buffer<[4096, 2048] x bf16>) outs(%0 : !exec.buffer<[T, 4096] x bf16>)
  exec.launch @many sizes(M) ins(%z, %w : !exec.buffer<[M, 2048] x bf16>, !exec.buffer<[4096, 2048] x bf16>) outs(%1 : !exec.buffer<[M, 4096] x bf16>)
  exec.launch @attend_few sizes(T, B, NB)
      ins(%q, %k, %k, %cu, %table, %past : !exec.buffer<[T, 256] x bf16>, !exec.buffer<[9, 2, 16, 64] x bf16>, !exec.buffer<[9, 2, 16, 64] x bf16>, !exec.buffer<[17] x i32>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>)
      outs(%2 : !exec.buffer<[T, 256] x bf16>)
  exec.launch @attend_few_80 sizes(T, B, NB)
      ins(%q80, %k80, %k80, %cu, %table, %past : !exec.buffer<[T, 960] x bf16>, !exec.buffer<[9, 1, 16, 80] x bf16>, !exec.buffer<[9, 1, 16, 80] x bf16>, !exec.buffer<[17] x i32>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>)
      outs(%3 : !exec.buffer<[T, 960] x bf16>)
  exec.launch @attend_few_12 sizes(T, B, NB)
      ins(%q12, %k12, %k12, %cu, %table, %past : !exec.buffer<[T, 24] x bf16>, !exec.buffer<[9, 1, 16, 12] x bf16>, !exec.buffer<[9, 1, 16, 12] x bf16>, !exec.buffer<[17] x i32>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>)
      outs(%4 : !exec.buffer<[T, 24] x bf16>)
  exec.output "y" %0 : !exec.buffer<[T, 4096] x bf16>
  exec.output "u" %1 : !exec.buffer<[M, 4096] x bf16>
  exec.output "o" %2 : !exec.buffer<[T, 256] x bf16>
  exec.output "o80" %3 : !exec.buffer<[T, 960] x bf16>
  exec.output "o12" %4 : !exec.buffer<[T, 24] x bf16>
}
