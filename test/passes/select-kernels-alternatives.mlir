// RUN: ingot-opt %s --select-kernels=alternatives=x86-64-v4,x86-64-v2 --verify-roundtrip | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --select-kernels=alternatives=x86-64-v4 --remarks-filter-missed=select-kernels -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: not ingot-opt %s --select-kernels=alternatives=x86-64-v3 2>&1 | FileCheck %s --check-prefix=SAME

// A variant of each kernel for each alternative. What the launches name stays, and so does the weight, as the
// targets want it in panels of different widths.

// REMARK: @linear: input 1 is not laid out anew: the targets ask for different layouts of one weight
// SAME: is an alternative to itself

// CHECK: exec.target @host kind("host") arch("x86-64-v3")
// CHECK-NEXT: exec.target @host_x86_64_v4 kind("host") arch("x86-64-v4")
// CHECK-NEXT: exec.target @host_x86_64_v2 kind("host") arch("x86-64-v2")
// CHECK: exec.weight @w from [@a]
// CHECK-NOT: @w.packed
// CHECK: exec.kernel @linear for @host sizes
// CHECK-NOT: variant_of
// CHECK: exec.kernel @linear_x86_64_v4 for @host_x86_64_v4
// CHECK-SAME: variant_of = @linear
// CHECK: exec.kernel @linear_x86_64_v2 for @host_x86_64_v2
// CHECK-SAME: variant_of = @linear
// CHECK: exec.launch @linear sizes
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.source @a [512, 256] init(normal, 2.0e-2)
exec.weight @w from [@a] recipe [#exec.step<load [0]>] on @host0 : tensor<512x256xf32>
exec.kernel @linear for @host sizes(d0 in [1, 512])
    (%x: !exec.buffer<[d0, 256] x f32>, %w: !exec.buffer<[512, 256] x f32>)
    -> (!exec.buffer<[d0, 512] x f32>) {
  %0 = transformer.linear %x, %w : (tensor<?x256xf32>, tensor<512x256xf32>) -> tensor<?x512xf32>
  exec.yield %0 : tensor<?x512xf32>
}
exec.program @p symbols(B in [1, 512]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[B, 256] x f32>
  %w = exec.get @w : !exec.buffer<[512, 256] x f32>
  %y = exec.buffer on @host0 : !exec.buffer<[B, 512] x f32>
  exec.launch @linear sizes(B) ins(%x, %w : !exec.buffer<[B, 256] x f32>, !exec.buffer<[512, 256] x f32>) outs(%y : !exec.buffer<[B, 512] x f32>)
  exec.output "y" %y : !exec.buffer<[B, 512] x f32>
}
