// RUN: ingot-opt %s --make-tuning-programs --verify-roundtrip --remarks-filter-missed=tuning 2>&1 | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --make-tuning-programs --select-kernels --plan-memory --verify-exec | FileCheck %s --check-prefix=SELECTED --enable-var-scope

// A program for each candidate of each kernel that has several; over weights, in turn, at the largest sizes.
// What stays are targets and devices.

// CHECK: remark: [Missed] Tuning | Category:tuning | {{.*}}@masked: is not measured: it reads integers

// CHECK-NOT: exec.program @model
// CHECK-NOT: exec.kernel @negate
// CHECK: exec.target @cuda
// CHECK: exec.device @cuda0
exec.target @cuda kind("cuda") arch("sm_90a")
exec.device @cuda0 : @cuda

exec.kernel @negate for @cuda sizes(d0 in [0, 512])
    (%x: !exec.buffer<[d0, 2048] x bf16>) -> (!exec.buffer<[d0, 2048] x bf16>) {
  %0 = arith.negf %x : tensor<?x2048xbf16>
  exec.yield %0 : tensor<?x2048xbf16>
}
// CHECK: exec.kernel @linear.0 for @cuda sizes(d0 in [0, 512])
// CHECK-SAME: exec.takes_candidate = 0
// CHECK: exec.program @measure.linear.0
// CHECK-SAME: exec.candidate = {config = "{{.*}}tile_n = 128 : i64{{.*}}", kernel = "cuda.linear: linear, M<=512 N=2048 K=8192, bf16; linear", modelled = true}
// 2048 x 8192 bf16 and two of 512 x 8192: 44 MB, so five of each for 192 MB.
// CHECK-COUNT-5: exec.get @random.2048.8192.bf16.
// CHECK: exec.launch @linear.0 sizes(512)
// CHECK: exec.launch @linear.0 sizes(512)
// The same bytes for each candidate.
// CHECK: exec.program @measure.linear.1
// CHECK-SAME: modelled = false
// CHECK: exec.get @random.2048.8192.bf16.0
exec.kernel @linear for @cuda sizes(d0 in [0, 512])
    (%x: !exec.buffer<[d0, 8192] x bf16>, %w: !exec.buffer<[2048, 8192] x bf16>) -> (!exec.buffer<[d0, 2048] x bf16>) {
  %0 = transformer.linear %x, %w : (tensor<?x8192xbf16>, tensor<2048x8192xbf16>) -> tensor<?x2048xbf16>
  exec.yield %0 : tensor<?x2048xbf16>
}
// Another kernel of the same shape is measured once.
// CHECK-NOT: exec.kernel @again
exec.kernel @again for @cuda sizes(d9 in [0, 512])
    (%x: !exec.buffer<[d9, 8192] x bf16>, %w: !exec.buffer<[2048, 8192] x bf16>) -> (!exec.buffer<[d9, 2048] x bf16>) {
  %0 = transformer.linear %x, %w : (tensor<?x8192xbf16>, tensor<2048x8192xbf16>) -> tensor<?x2048xbf16>
  exec.yield %0 : tensor<?x2048xbf16>
}
// Each row has half of the tokens that are left, blocks of its own, nothing in the cache before.
// CHECK: exec.kernel @attend.0
// CHECK-DAG: exec.constant @sample.attend.3 on @cuda0 = dense<[0, 128, 192, 224, 256]> : tensor<5xi32>
// CHECK-DAG: exec.constant @sample.attend.4 on @cuda0 = dense<{{.}}[1, 2, 3, 4, 5, 6, 7, 8], [9, 10, 11, 12, 13, 14, 15, 16], [1, 2
// CHECK-DAG: exec.constant @sample.attend.5 on @cuda0 = dense<0> : tensor<4xi32>
// CHECK: exec.program @measure.attend.0
// CHECK-SAME: kernel = "cuda.attention: attention, packed, paged, causal, B<=4 T<=256 block=16, heads=4/2 D=64, bf16; attention"
// CHECK: exec.launch @attend.0 sizes(256, 4, 8)
exec.kernel @attend for @cuda sizes(d0 in [0, 256], d1 in [1, 4], d2 in [1, 8])
    (%q: !exec.buffer<[d0, 256] x bf16>, %k: !exec.buffer<[17, 2, 16, 64] x bf16>, %v: !exec.buffer<[17, 2, 16, 64] x bf16>,
     %cu: !exec.buffer<[5] x i32>, %table: !exec.buffer<[d1, d2] x i32>, %past: !exec.buffer<[d1] x i32>)
    -> (!exec.buffer<[d0, 256] x bf16>) {
  %0 = transformer.attention by flash %q, %k, %v cu_seqlens(%cu) block_table(%table) past(%past)
    {causal, heads = 4 : i64, kv_heads = 2 : i64, scale = 0.125 : f64}
    : (tensor<?x256xbf16>, tensor<17x2x16x64xbf16>, tensor<17x2x16x64xbf16>, tensor<5xi32>, tensor<?x?xi32>, tensor<?xi32>) -> tensor<?x256xbf16>
  exec.yield %0 : tensor<?x256xbf16>
}
// As far as the block table holds them: 5 blocks of 16.
// CHECK: exec.kernel @short.0
// CHECK-DAG: exec.constant @sample.short.3 on @cuda0 = dense<[0, 80, 160, 208, 256]> : tensor<5xi32>
exec.kernel @short for @cuda sizes(d0 in [0, 256], d1 in [1, 4], d2 in [1, 5])
    (%q: !exec.buffer<[d0, 256] x bf16>, %k: !exec.buffer<[17, 2, 16, 64] x bf16>, %v: !exec.buffer<[17, 2, 16, 64] x bf16>,
     %cu: !exec.buffer<[5] x i32>, %table: !exec.buffer<[d1, d2] x i32>, %past: !exec.buffer<[d1] x i32>)
    -> (!exec.buffer<[d0, 256] x bf16>) {
  %0 = transformer.attention by flash %q, %k, %v cu_seqlens(%cu) block_table(%table) past(%past)
    {causal, window = 64 : i64, heads = 4 : i64, kv_heads = 2 : i64, scale = 0.125 : f64}
    : (tensor<?x256xbf16>, tensor<17x2x16x64xbf16>, tensor<17x2x16x64xbf16>, tensor<5xi32>, tensor<?x?xi32>, tensor<?xi32>) -> tensor<?x256xbf16>
  exec.yield %0 : tensor<?x256xbf16>
}
// CHECK-NOT: exec.kernel @masked
exec.kernel @masked for @cuda sizes(d0 in [0, 512])
    (%x: !exec.buffer<[d0, 2048] x bf16>, %w: !exec.buffer<[2048, 2048] x bf16>, %keep: !exec.buffer<[d0, 2048] x i32>)
    -> (!exec.buffer<[d0, 2048] x bf16>) {
  %0 = transformer.linear %x, %w : (tensor<?x2048xbf16>, tensor<2048x2048xbf16>) -> tensor<?x2048xbf16>
  %1 = arith.sitofp %keep : tensor<?x2048xi32> to tensor<?x2048xbf16>
  %2 = arith.mulf %0, %1 : tensor<?x2048xbf16>
  exec.yield %2 : tensor<?x2048xbf16>
}
exec.program @model symbols(T in [1, 512]) {
  %x = exec.input "x" on @cuda0 : !exec.buffer<[T, 2048] x bf16>
  %n = exec.buffer on @cuda0 : !exec.buffer<[T, 2048] x bf16>
  exec.launch @negate sizes(T) ins(%x : !exec.buffer<[T, 2048] x bf16>) outs(%n : !exec.buffer<[T, 2048] x bf16>)
  exec.output "n" %n : !exec.buffer<[T, 2048] x bf16>
}

// SELECTED: exec.kernel @linear.0
// SELECTED-SAME: tile_n = 128 : i64
// SELECTED-NOT: takes_candidate
// SELECTED: exec.kernel @linear.1
// SELECTED-SAME: in_turn = false
// SELECTED-SAME: tile_n = 192 : i64
