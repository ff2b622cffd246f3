// RUN: ingot-opt %s --select-kernels --read-early | FileCheck %s
// RUN: ingot-opt %s --select-kernels --read-early --remarks-filter-passed=read-early --remarks-filter-missed=read-early -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// What is written in front of a launch that waits first may be read by all behind it before their own wait: the number
// of tokens by linear layers of few rows, rows, lengths and the cache by attention of few tokens. Of the launches
// between the writer and the readers the first waits, once a program. Not: without a launch in between; where the one
// in between may have an empty grid, or would gain by being there early itself; where the cache is written directly in
// front.

// REMARK: [Passed] Early | Category:read-early | {{.*}}@linear reads what was written before @first while the launch in front of it still runs
// REMARK: [Passed] Early | Category:read-early | {{.*}}@attend reads what was written before @first while the launch in front of it still runs
// REMARK: [Missed] Late | Category:read-early | {{.*}}@attend_written reads nothing before
// REMARK: [Missed] Late | Category:read-early | {{.*}}@linear_late reads nothing before the launch in front of it has ended
// REMARK: [Missed] Late | Category:read-early | {{.*}}@linear_behind reads nothing before
// REMARK-NOT: read-early

exec.target @cuda kind("cuda") arch("sm_90a")
exec.device @cuda0 : @cuda
exec.state @kc on @cuda0 : tensor<9x2x16x64xbf16>
exec.state @vc on @cuda0 : tensor<9x2x16x64xbf16>
// CHECK: exec.kernel @count
// CHECK-NOT: waits_first
// CHECK: exec.kernel @first
// CHECK-SAME: waits_first
// CHECK: exec.kernel @second
// CHECK-NOT: waits_first
// CHECK: exec.kernel @empty
// CHECK-NOT: waits_first
exec.kernel @count for @cuda sizes(d0 in [1, 16])(%x: !exec.buffer<[d0, 1] x i1>) -> (!exec.buffer<[17] x i32>) {
  %0 = transformer.cu_seqlens %x {rows = 16 : i64} : (tensor<?x1xi1>) -> tensor<17xi32>
  exec.yield %0 : tensor<17xi32>
}
exec.kernel @first for @cuda sizes(d0 in [1, 16])(%x: !exec.buffer<[d0, 64] x f32>) -> (!exec.buffer<[d0, 64] x f32>) {
  %0 = math.exp %x : tensor<?x64xf32>
  exec.yield %0 : tensor<?x64xf32>
}
exec.kernel @second for @cuda sizes(d0 in [1, 16])(%x: !exec.buffer<[d0, 64] x f32>) -> (!exec.buffer<[d0, 64] x f32>) {
  %0 = math.tanh %x : tensor<?x64xf32>
  exec.yield %0 : tensor<?x64xf32>
}
exec.kernel @empty for @cuda sizes(d0 in [0, 16])(%x: !exec.buffer<[d0, 64] x bf16>) -> (!exec.buffer<[d0, 64] x bf16>) {
  %0 = math.tanh %x : tensor<?x64xbf16>
  exec.yield %0 : tensor<?x64xbf16>
}
exec.kernel @write for @cuda sizes()(%k: !exec.buffer<[9, 2, 16, 64] x bf16>) -> (!exec.buffer<[9, 2, 16, 64] x bf16> updates %k) {
  %0 = math.tanh %k : tensor<9x2x16x64xbf16>
  exec.yield %0 : tensor<9x2x16x64xbf16>
}
// CHECK: exec.kernel @linear for
// CHECK-SAME: reads_early
// CHECK: exec.kernel @linear_late
// CHECK-NOT: reads_early
// CHECK: exec.kernel @linear_behind
// CHECK-NOT: reads_early
// CHECK: exec.kernel @attend for
// CHECK-SAME: reads_early
// CHECK: exec.kernel @attend_written
// CHECK-NOT: reads_early
// CHECK: exec.program
exec.kernel @linear for @cuda sizes(d0 in [0, 16])
    (%x: !exec.buffer<[d0, 64] x bf16>, %w: !exec.buffer<[64, 64] x bf16>) -> (!exec.buffer<[d0, 64] x bf16>) {
  %0 = transformer.linear %x, %w : (tensor<?x64xbf16>, tensor<64x64xbf16>) -> tensor<?x64xbf16>
  exec.yield %0 : tensor<?x64xbf16>
}
exec.kernel @linear_late for @cuda sizes(d0 in [0, 16])
    (%x: !exec.buffer<[d0, 64] x bf16>, %w: !exec.buffer<[64, 64] x bf16>) -> (!exec.buffer<[d0, 64] x bf16>) {
  %0 = transformer.linear %x, %w : (tensor<?x64xbf16>, tensor<64x64xbf16>) -> tensor<?x64xbf16>
  exec.yield %0 : tensor<?x64xbf16>
}
exec.kernel @linear_behind for @cuda sizes(d0 in [0, 16])
    (%x: !exec.buffer<[d0, 64] x bf16>, %w: !exec.buffer<[64, 64] x bf16>) -> (!exec.buffer<[d0, 64] x bf16>) {
  %0 = transformer.linear %x, %w : (tensor<?x64xbf16>, tensor<64x64xbf16>) -> tensor<?x64xbf16>
  exec.yield %0 : tensor<?x64xbf16>
}
exec.kernel @attend for @cuda sizes(d0 in [0, 16], d1 in [1, 16], d2 in [1, 4])
    (%q: !exec.buffer<[d0, 256] x bf16>, %k: !exec.buffer<[9, 2, 16, 64] x bf16>, %v: !exec.buffer<[9, 2, 16, 64] x bf16>,
     %cu: !exec.buffer<[17] x i32>, %table: !exec.buffer<[d1, d2] x i32>, %past: !exec.buffer<[d1] x i32>)
    -> (!exec.buffer<[d0, 256] x bf16>) {
  %0 = transformer.attention by flash %q, %k, %v cu_seqlens(%cu) block_table(%table) past(%past)
    {causal, heads = 4 : i64, kv_heads = 2 : i64, scale = 0.125 : f64}
    : (tensor<?x256xbf16>, tensor<9x2x16x64xbf16>, tensor<9x2x16x64xbf16>, tensor<17xi32>, tensor<?x?xi32>, tensor<?xi32>) -> tensor<?x256xbf16>
  exec.yield %0 : tensor<?x256xbf16>
}
exec.kernel @attend_written for @cuda sizes(d0 in [0, 16], d1 in [1, 16], d2 in [1, 4])
    (%q: !exec.buffer<[d0, 256] x bf16>, %k: !exec.buffer<[9, 2, 16, 64] x bf16>, %v: !exec.buffer<[9, 2, 16, 64] x bf16>,
     %cu: !exec.buffer<[17] x i32>, %table: !exec.buffer<[d1, d2] x i32>, %past: !exec.buffer<[d1] x i32>)
    -> (!exec.buffer<[d0, 256] x bf16>) {
  %0 = transformer.attention by flash %q, %k, %v cu_seqlens(%cu) block_table(%table) past(%past)
    {causal, heads = 4 : i64, kv_heads = 2 : i64, scale = 0.125 : f64}
    : (tensor<?x256xbf16>, tensor<9x2x16x64xbf16>, tensor<9x2x16x64xbf16>, tensor<17xi32>, tensor<?x?xi32>, tensor<?xi32>) -> tensor<?x256xbf16>
  exec.yield %0 : tensor<?x256xbf16>
}
exec.program @early symbols(B in [1, 16], NB in [1, 4], T in [0, 16] within B) {
  %mask = exec.input "mask" on @cuda0 : !exec.buffer<[B, 1] x i1>
  %f = exec.input "f" on @cuda0 : !exec.buffer<[B, 64] x f32>
  %q = exec.buffer on @cuda0 : !exec.buffer<[T, 256] x bf16>
  %x = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x bf16>
  %w = exec.input "w" on @cuda0 : !exec.buffer<[64, 64] x bf16>
  %table = exec.input "table" on @cuda0 : !exec.buffer<[B, NB] x i32>
  %past = exec.input "past" on @cuda0 : !exec.buffer<[B] x i32>
  %k = exec.get @kc : !exec.buffer<[9, 2, 16, 64] x bf16>
  %v = exec.get @vc : !exec.buffer<[9, 2, 16, 64] x bf16>
  %cu = exec.buffer on @cuda0 : !exec.buffer<[17] x i32>
  exec.launch @count sizes(B) ins(%mask : !exec.buffer<[B, 1] x i1>) outs(%cu : !exec.buffer<[17] x i32>)
  exec.read_size "T" from %cu[16] : !exec.buffer<[17] x i32>
  %f1 = exec.buffer on @cuda0 : !exec.buffer<[B, 64] x f32>
  exec.launch @first sizes(B) ins(%f : !exec.buffer<[B, 64] x f32>) outs(%f1 : !exec.buffer<[B, 64] x f32>)
  %f2 = exec.buffer on @cuda0 : !exec.buffer<[B, 64] x f32>
  exec.launch @second sizes(B) ins(%f1 : !exec.buffer<[B, 64] x f32>) outs(%f2 : !exec.buffer<[B, 64] x f32>)
  %y = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x bf16>
  exec.launch @linear sizes(T) ins(%x, %w : !exec.buffer<[T, 64] x bf16>, !exec.buffer<[64, 64] x bf16>) outs(%y : !exec.buffer<[T, 64] x bf16>)
  %a = exec.buffer on @cuda0 : !exec.buffer<[T, 256] x bf16>
  exec.launch @attend sizes(T, B, NB) ins(%q, %k, %v, %cu, %table, %past : !exec.buffer<[T, 256] x bf16>, !exec.buffer<[9, 2, 16, 64] x bf16>, !exec.buffer<[9, 2, 16, 64] x bf16>, !exec.buffer<[17] x i32>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>) outs(%a : !exec.buffer<[T, 256] x bf16>)
  exec.launch @write sizes() ins(%k : !exec.buffer<[9, 2, 16, 64] x bf16>)
  %k1 = exec.get @kc : !exec.buffer<[9, 2, 16, 64] x bf16>
  %a1 = exec.buffer on @cuda0 : !exec.buffer<[T, 256] x bf16>
  exec.launch @attend_written sizes(T, B, NB) ins(%q, %k1, %v, %cu, %table, %past : !exec.buffer<[T, 256] x bf16>, !exec.buffer<[9, 2, 16, 64] x bf16>, !exec.buffer<[9, 2, 16, 64] x bf16>, !exec.buffer<[17] x i32>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>) outs(%a1 : !exec.buffer<[T, 256] x bf16>)
  exec.output "f" %f2 : !exec.buffer<[B, 64] x f32>
}
exec.program @late symbols(B in [1, 16], T in [0, 16] within B) {
  %mask = exec.input "mask" on @cuda0 : !exec.buffer<[B, 1] x i1>
  %x = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x bf16>
  %w = exec.input "w" on @cuda0 : !exec.buffer<[64, 64] x bf16>
  %cu = exec.buffer on @cuda0 : !exec.buffer<[17] x i32>
  exec.launch @count sizes(B) ins(%mask : !exec.buffer<[B, 1] x i1>) outs(%cu : !exec.buffer<[17] x i32>)
  exec.read_size "T" from %cu[16] : !exec.buffer<[17] x i32>
  %y = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x bf16>
  exec.launch @linear_late sizes(T) ins(%x, %w : !exec.buffer<[T, 64] x bf16>, !exec.buffer<[64, 64] x bf16>) outs(%y : !exec.buffer<[T, 64] x bf16>)
  %e = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x bf16>
  exec.launch @empty sizes(T) ins(%y : !exec.buffer<[T, 64] x bf16>) outs(%e : !exec.buffer<[T, 64] x bf16>)
  %z = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x bf16>
  exec.launch @linear_behind sizes(T) ins(%e, %w : !exec.buffer<[T, 64] x bf16>, !exec.buffer<[64, 64] x bf16>) outs(%z : !exec.buffer<[T, 64] x bf16>)
  exec.output "cu" %cu : !exec.buffer<[17] x i32>
}
