// RUN: ingot-opt %s --select-kernels --verify-roundtrip | FileCheck %s --enable-var-scope

// A weight in the layout its kernel asks for: the recipe has more steps, the kernel's parameter another
// type, and the body begins by undoing it. A weight that another kernel uses too keeps its original
// for that one.

// CHECK: exec.weight @w.packed from [@a] recipe [#exec.step<load [0]>, #exec.step<{{.*}}>] on @host0 : tensor<[[T:[0-9x]+]]xf32>
// CHECK: exec.kernel @linear
// CHECK-SAME: (%{{.*}}: !exec.buffer<[d0, 256] x f32>, %[[W:.*]]: !exec.buffer<[{{[0-9, ]+}}] x f32>)
// CHECK: linalg.unpack %[[W]]
// CHECK: transformer.linear
// CHECK: exec.program
// CHECK: exec.get @w.packed
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
