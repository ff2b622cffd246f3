// RUN: ingot-opt %s --select-kernels | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --select-kernels --remarks-filter-passed=select-kernels -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Each launched kernel gets a family, a configuration and a grid; each launch the grid at its sizes.
// What nobody launches or gets is gone. Each choice is a remark.

// REMARK: remark: [Passed] Selected | Category:select-kernels | {{.*}}@negate: host.linalg:
// REMARK: @double: host.linalg:
// REMARK-NOT: @unused

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.constant @used on @host0 = dense<[1.0, 2.0]> : tensor<2xf32>
// CHECK-NOT: @unused
exec.constant @unused on @host0 = dense<[1.0, 3.0]> : tensor<2xf32>

// CHECK: exec.kernel @negate
// CHECK-SAME: config = {
// CHECK-SAME: description = "{{.+}}", family = "host.linalg", grid = [#exec.size<{{.*}}>, #exec.size<{{.*}}>, #exec.size<{{.*}}>], in_place = [array<i64{{.*}}>]
exec.kernel @negate for @host sizes(d0 in [1, 8], d1 in [1, 512])
    (%x: !exec.buffer<[d0, d1, 64] x f32>) -> (!exec.buffer<[d0, d1, 64] x f32>) {
  %0 = arith.negf %x : tensor<?x?x64xf32>
  exec.yield %0 : tensor<?x?x64xf32>
}
// CHECK: exec.kernel @double
// CHECK-SAME: family = "host.linalg"
exec.kernel @double for @host sizes() (%x: !exec.buffer<[2] x f32>) -> (!exec.buffer<[2] x f32>) {
  %0 = arith.addf %x, %x : tensor<2xf32>
  exec.yield %0 : tensor<2xf32>
}
exec.kernel @unused_kernel for @host sizes() (%x: !exec.buffer<[2] x f32>) -> (!exec.buffer<[2] x f32>) {
  exec.yield %x : tensor<2xf32>
}
// CHECK: exec.program @p
exec.program @p symbols(B in [1, 8], NB in [1, 32]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[B, NB * 16, 64] x f32>
  %y = exec.buffer on @host0 : !exec.buffer<[B, NB * 16, 64] x f32>
  // CHECK: exec.launch @negate sizes(B, NB * 16) grid({{[^)]*}})
  exec.launch @negate sizes(B, NB * 16)
      ins(%x : !exec.buffer<[B, NB * 16, 64] x f32>) outs(%y : !exec.buffer<[B, NB * 16, 64] x f32>)
  %c = exec.get @used : !exec.buffer<[2] x f32>
  %unused = exec.get @unused : !exec.buffer<[2] x f32>
  %z = exec.buffer on @host0 : !exec.buffer<[2] x f32>
  // CHECK: exec.launch @double sizes() grid({{[^)]*}})
  exec.launch @double sizes() ins(%c : !exec.buffer<[2] x f32>) outs(%z : !exec.buffer<[2] x f32>)
  exec.output "y" %y : !exec.buffer<[B, NB * 16, 64] x f32>
  exec.output "z" %z : !exec.buffer<[2] x f32>
}
