// RUN: ingot-opt %s --select-kernels --remarks-filter-missed=select-kernels -o /dev/null 2>&1 | FileCheck %s

// A family that a body is meant for says why it declines; the others say nothing.

// CHECK-NOT: @negate
// CHECK: remark: [Missed] Declined | Category:select-kernels | {{.*}}@linear: cuda.linear declined: K=7 and the row stride 7 are no multiples of 4 elements (16 bytes)
// CHECK-NOT: Declined

exec.target @gpu kind("cuda") arch("sm_90a")
exec.device @gpu0 : @gpu
exec.source @a [8, 7] init(normal, 2.0e-2)
exec.weight @w from [@a] recipe [#exec.step<load [0]>] on @gpu0 : tensor<8x7xf32>
exec.kernel @negate for @gpu sizes(d0 in [1, 8])
    (%x: !exec.buffer<[d0, 7] x f32>) -> (!exec.buffer<[d0, 7] x f32>) {
  %0 = arith.negf %x : tensor<?x7xf32>
  exec.yield %0 : tensor<?x7xf32>
}
exec.kernel @linear for @gpu sizes(d0 in [1, 8])
    (%x: !exec.buffer<[d0, 7] x f32>, %w: !exec.buffer<[8, 7] x f32>) -> (!exec.buffer<[d0, 8] x f32>) {
  %0 = transformer.linear %x, %w : (tensor<?x7xf32>, tensor<8x7xf32>) -> tensor<?x8xf32>
  exec.yield %0 : tensor<?x8xf32>
}
exec.program @p symbols(B in [1, 8]) {
  %x = exec.input "x" on @gpu0 : !exec.buffer<[B, 7] x f32>
  %n = exec.buffer on @gpu0 : !exec.buffer<[B, 7] x f32>
  exec.launch @negate sizes(B)
      ins(%x : !exec.buffer<[B, 7] x f32>) outs(%n : !exec.buffer<[B, 7] x f32>)
  %w = exec.get @w : !exec.buffer<[8, 7] x f32>
  %y = exec.buffer on @gpu0 : !exec.buffer<[B, 8] x f32>
  exec.launch @linear sizes(B)
      ins(%n, %w : !exec.buffer<[B, 7] x f32>, !exec.buffer<[8, 7] x f32>)
      outs(%y : !exec.buffer<[B, 8] x f32>)
  exec.output "y" %y : !exec.buffer<[B, 8] x f32>
}
