// RUN: ingot-opt %s --select-kernels=alternatives=sm_80 --verify-roundtrip | FileCheck %s --enable-var-scope

// Targets that agree on a layout get it, and the one weight: the body of each variant undoes it.

// CHECK: exec.weight @w.packed
// CHECK: exec.kernel @gate for @cuda sizes
// CHECK-SAME: family = "cuda.linear"
// CHECK: linalg.transpose
// CHECK: exec.kernel @gate_sm_80 for @cuda_sm_80
// CHECK-SAME: family = "cuda.linear"
// CHECK-SAME: variant_of = @gate
// CHECK: linalg.transpose
// CHECK: exec.get @w.packed
exec.target @cuda kind("cuda") arch("sm_90a")
exec.device @cuda0 : @cuda
exec.source @a [128, 64] init(normal, 2.0e-2)
exec.weight @w from [@a] recipe [#exec.step<load [0]>] on @cuda0 : tensor<128x64xbf16>
exec.kernel @gate for @cuda sizes(d0 in [1, 512])
    (%x: !exec.buffer<[d0, 64] x bf16>, %w: !exec.buffer<[128, 64] x bf16>)
    -> (!exec.buffer<[d0, 64] x bf16>) {
  %0 = transformer.gated_linear silu %x, %w : (tensor<?x64xbf16>, tensor<128x64xbf16>) -> tensor<?x64xbf16>
  exec.yield %0 : tensor<?x64xbf16>
}
exec.program @p symbols(B in [1, 512]) {
  %x = exec.input "x" on @cuda0 : !exec.buffer<[B, 64] x bf16>
  %w = exec.get @w : !exec.buffer<[128, 64] x bf16>
  %y = exec.buffer on @cuda0 : !exec.buffer<[B, 64] x bf16>
  exec.launch @gate sizes(B) ins(%x, %w : !exec.buffer<[B, 64] x bf16>, !exec.buffer<[128, 64] x bf16>) outs(%y : !exec.buffer<[B, 64] x bf16>)
  exec.output "y" %y : !exec.buffer<[B, 64] x bf16>
}
