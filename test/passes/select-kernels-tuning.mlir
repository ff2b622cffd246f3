// RUN: ingot-opt %s --select-kernels='tuning=%S/Inputs/tuning.json' --remarks-filter=tuning 2>&1 | FileCheck %s
// RUN: ingot-opt %s --select-kernels='tuning=%S/Inputs/tuning.json,%S/Inputs/tuning-later.json' | FileCheck %s --check-prefix=LATER
// RUN: ingot-opt %s --select-kernels='tuning=%S/Inputs/tuning.json gpu=h200' --remarks-filter=tuning 2>&1 | FileCheck %s --check-prefix=GPU
// RUN: ingot-opt %s --select-kernels | FileCheck %s --check-prefix=MODEL

// A measured config counts if it fits; what does not is left aside, with the reason.

// CHECK: remark: [Passed] Tuning | Category:tuning | {{.*}}@measured: measured on NVIDIA H100 80GB HBM3: 20.50 us, 25.25 by the cost model's choice, 5 candidates
// CHECK: remark: [Missed] Tuning | Category:tuning | {{.*}}@elsewhere: goes by the cost model, no measurement fits cuda.linear: linear, M<=512 N=4096 K=4096, bf16; linear; what {{.*}}tuning.json has of NVIDIA H100 PCIe is left aside: it has 114 multiprocessors, the code is for 132; what {{.*}}tuning.json has of NVIDIA A100 is left aside: it ran code for sm_80
// CHECK: remark: [Missed] Tuning | Category:tuning | {{.*}}@unknown: goes by the cost model, {{.*}}is left aside: cuda.linear has no config {tile_n = 1000 : i64} (any more); measure again
// CHECK: remark: [Missed] Tuning | Category:tuning | {{.*}}@unmeasured: goes by the cost model, no measurement fits cuda.linear: linear, M<=512 N=768 K=768, bf16; linear"
// CHECK-NOT: remark

// CHECK: exec.kernel @measured
// CHECK-SAME: cluster = 2 : i64
// CHECK-SAME: tile_n = 256 : i64
// CHECK-SAME: measured on NVIDIA H100 80GB HBM3
// LATER: exec.kernel @measured
// LATER-SAME: tile_n = 192 : i64
// GPU: @measured: measured on NVIDIA H200: 19.00 us
// GPU: module {
// GPU: exec.kernel @measured
// GPU-SAME: tile_n = 192 : i64
// MODEL: exec.kernel @measured
// MODEL-SAME: cluster = 2 : i64
// MODEL-SAME: tile_n = 256 : i64

exec.target @cuda kind("cuda") arch("sm_90a")
exec.device @cuda0 : @cuda
exec.kernel @measured for @cuda sizes(d0 in [0, 4096])
    (%x: !exec.buffer<[d0, 4096] x bf16>, %w: !exec.buffer<[4096, 4096] x bf16>) -> (!exec.buffer<[d0, 4096] x bf16>) {
  %0 = transformer.linear %x, %w : (tensor<?x4096xbf16>, tensor<4096x4096xbf16>) -> tensor<?x4096xbf16>
  exec.yield %0 : tensor<?x4096xbf16>
}
// CHECK: exec.kernel @elsewhere
// CHECK-SAME: tile_n = 128 : i64
exec.kernel @elsewhere for @cuda sizes(d0 in [0, 512])
    (%x: !exec.buffer<[d0, 4096] x bf16>, %w: !exec.buffer<[4096, 4096] x bf16>) -> (!exec.buffer<[d0, 4096] x bf16>) {
  %0 = transformer.linear %x, %w : (tensor<?x4096xbf16>, tensor<4096x4096xbf16>) -> tensor<?x4096xbf16>
  exec.yield %0 : tensor<?x4096xbf16>
}
exec.kernel @unknown for @cuda sizes(d0 in [0, 512])
    (%x: !exec.buffer<[d0, 2048] x bf16>, %w: !exec.buffer<[6144, 2048] x bf16>) -> (!exec.buffer<[d0, 6144] x bf16>) {
  %0 = transformer.linear %x, %w : (tensor<?x2048xbf16>, tensor<6144x2048xbf16>) -> tensor<?x6144xbf16>
  exec.yield %0 : tensor<?x6144xbf16>
}
exec.kernel @unmeasured for @cuda sizes(d0 in [0, 512])
    (%x: !exec.buffer<[d0, 768] x bf16>, %w: !exec.buffer<[768, 768] x bf16>) -> (!exec.buffer<[d0, 768] x bf16>) {
  %0 = transformer.linear %x, %w : (tensor<?x768xbf16>, tensor<768x768xbf16>) -> tensor<?x768xbf16>
  exec.yield %0 : tensor<?x768xbf16>
}
// Nothing to choose, nothing to say.
exec.kernel @negate for @cuda sizes(d0 in [0, 512])
    (%x: !exec.buffer<[d0, 768] x bf16>) -> (!exec.buffer<[d0, 768] x bf16>) {
  %0 = arith.negf %x : tensor<?x768xbf16>
  exec.yield %0 : tensor<?x768xbf16>
}
exec.source @s4 [4096, 4096] init(normal, 2.0e-2)
exec.source @s6 [6144, 2048] init(normal, 2.0e-2)
exec.source @s7 [768, 768] init(normal, 2.0e-2)
exec.weight @w4 from [@s4] recipe [#exec.step<load [0]>] on @cuda0 : tensor<4096x4096xbf16>
exec.weight @w6 from [@s6] recipe [#exec.step<load [0]>] on @cuda0 : tensor<6144x2048xbf16>
exec.weight @w7 from [@s7] recipe [#exec.step<load [0]>] on @cuda0 : tensor<768x768xbf16>
exec.program @p symbols(T in [1, 4096], M in [1, 512]) {
  %w4 = exec.get @w4 : !exec.buffer<[4096, 4096] x bf16>
  %w6 = exec.get @w6 : !exec.buffer<[6144, 2048] x bf16>
  %w7 = exec.get @w7 : !exec.buffer<[768, 768] x bf16>
  %x = exec.input "x" on @cuda0 : !exec.buffer<[T, 4096] x bf16>
  %y = exec.buffer on @cuda0 : !exec.buffer<[T, 4096] x bf16>
  exec.launch @measured sizes(T) ins(%x, %w4 : !exec.buffer<[T, 4096] x bf16>, !exec.buffer<[4096, 4096] x bf16>) outs(%y : !exec.buffer<[T, 4096] x bf16>)
  exec.output "y" %y : !exec.buffer<[T, 4096] x bf16>
  %x2 = exec.input "x2" on @cuda0 : !exec.buffer<[M, 4096] x bf16>
  %y2 = exec.buffer on @cuda0 : !exec.buffer<[M, 4096] x bf16>
  exec.launch @elsewhere sizes(M) ins(%x2, %w4 : !exec.buffer<[M, 4096] x bf16>, !exec.buffer<[4096, 4096] x bf16>) outs(%y2 : !exec.buffer<[M, 4096] x bf16>)
  exec.output "y2" %y2 : !exec.buffer<[M, 4096] x bf16>
  %x3 = exec.input "x3" on @cuda0 : !exec.buffer<[M, 2048] x bf16>
  %y3 = exec.buffer on @cuda0 : !exec.buffer<[M, 6144] x bf16>
  exec.launch @unknown sizes(M) ins(%x3, %w6 : !exec.buffer<[M, 2048] x bf16>, !exec.buffer<[6144, 2048] x bf16>) outs(%y3 : !exec.buffer<[M, 6144] x bf16>)
  exec.output "y3" %y3 : !exec.buffer<[M, 6144] x bf16>
  %x4 = exec.input "x4" on @cuda0 : !exec.buffer<[M, 768] x bf16>
  %y4 = exec.buffer on @cuda0 : !exec.buffer<[M, 768] x bf16>
  %n4 = exec.buffer on @cuda0 : !exec.buffer<[M, 768] x bf16>
  exec.launch @unmeasured sizes(M) ins(%x4, %w7 : !exec.buffer<[M, 768] x bf16>, !exec.buffer<[768, 768] x bf16>) outs(%y4 : !exec.buffer<[M, 768] x bf16>)
  exec.launch @negate sizes(M) ins(%y4 : !exec.buffer<[M, 768] x bf16>) outs(%n4 : !exec.buffer<[M, 768] x bf16>)
  exec.output "n4" %n4 : !exec.buffer<[M, 768] x bf16>
}
