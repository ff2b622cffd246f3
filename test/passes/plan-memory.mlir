// RUN: ingot-opt %s --plan-memory --split-input-file | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --plan-memory --split-input-file --remarks-filter-analyse=plan-memory -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: not ingot-opt %s --plan-memory=max-memory=1000 --split-input-file -o /dev/null 2>&1 | FileCheck %s --check-prefix=LIMIT

// A chain: each buffer dies when the next is made, so two places do. The limit B * S <= 2048 bounds the
// bytes: 2048 * 4 * 4.

// REMARK: @chain needs 65536 bytes of @host0's arena for 4 blocks; at least 65536 are live at once
// LIMIT: out of memory: device host0 needs 65728 bytes (weights 0, state 192, activations 65536, constants 0), 64728 more than the limit of 1000

// CHECK-LABEL: exec.device @host0
// CHECK-SAME: arena_bytes = 65536
// CHECK-SAME: constant_bytes = 0
// CHECK-SAME: state_bytes = 192
// CHECK: exec.state @a on @host0 {offset = 0 : i64}
// CHECK: exec.state @b on @host0 {offset = 128 : i64}
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.state @a on @host0 : tensor<17xf32>
exec.state @b on @host0 : tensor<1xi1>
exec.kernel @k for @host sizes(d0 in [1, 8], d1 in [1, 512]) (%x: !exec.buffer<[d0, d1, 4] x f32>)
    -> (!exec.buffer<[d0, d1, 4] x f32>) {
  %0 = arith.negf %x : tensor<?x?x4xf32>
  exec.yield %0 : tensor<?x?x4xf32>
}
// CHECK: exec.program @chain
exec.program @chain symbols(B in [1, 8], S in [1, 512]) limits(B * S <= 2048) {
  // CHECK: exec.input {{.*}} {bytes = 32768 : i64, offset = [[A:0|32768]] : i64}
  %0 = exec.input "x" on @host0 : !exec.buffer<[B, S, 4] x f32>
  // CHECK: exec.buffer {{.*}} {bytes = 32768 : i64, offset = [[B:0|32768]] : i64}
  %1 = exec.buffer on @host0 : !exec.buffer<[B, S, 4] x f32>
  exec.launch @k sizes(B, S) ins(%0 : !exec.buffer<[B, S, 4] x f32>) outs(%1 : !exec.buffer<[B, S, 4] x f32>)
  // CHECK: exec.buffer {{.*}}offset = [[A]] : i64
  %2 = exec.buffer on @host0 : !exec.buffer<[B, S, 4] x f32>
  exec.launch @k sizes(B, S) ins(%1 : !exec.buffer<[B, S, 4] x f32>) outs(%2 : !exec.buffer<[B, S, 4] x f32>)
  // CHECK: exec.buffer {{.*}}offset = [[B]] : i64
  %3 = exec.buffer on @host0 : !exec.buffer<[B, S, 4] x f32>
  exec.launch @k sizes(B, S) ins(%2 : !exec.buffer<[B, S, 4] x f32>) outs(%3 : !exec.buffer<[B, S, 4] x f32>)
  exec.output "y" %3 : !exec.buffer<[B, S, 4] x f32>
}

// -----

// In place: where the kernel allows it and the input dies, the output lies over it, also through a
// view. Where the input is needed later, or is passed twice, it doesn't.

// REMARK: @in_place needs 640 bytes of @host0's arena for 3 blocks
// CHECK-LABEL: exec.program @in_place
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.kernel @neg for @host sizes() (%x: !exec.buffer<[16] x f32>) -> (!exec.buffer<[16] x f32>)
    attributes {in_place = [array<i64: 0>]} {
  %0 = arith.negf %x : tensor<16xf32>
  exec.yield %0 : tensor<16xf32>
}
exec.kernel @add for @host sizes() (%x: !exec.buffer<[16] x f32>, %y: !exec.buffer<[16] x f32>)
    -> (!exec.buffer<[16] x f32>) attributes {in_place = [array<i64: 0, 1>]} {
  %0 = arith.addf %x, %y : tensor<16xf32>
  exec.yield %0 : tensor<16xf32>
}
exec.kernel @big for @host sizes() (%x: !exec.buffer<[16] x f32>) -> (!exec.buffer<[128] x f32>) {
  %0 = tensor.empty() : tensor<128xf32>
  exec.yield %0 : tensor<128xf32>
}
exec.program @in_place symbols() {
  // CHECK: exec.input {{.*}}offset = [[X:[0-9]+]] : i64
  %x = exec.input "x" on @host0 : !exec.buffer<[16] x f32>
  // CHECK: exec.buffer {{.*}}offset = [[Y:[0-9]+]] : i64
  %y = exec.buffer on @host0 : !exec.buffer<[16] x f32>
  exec.launch @add sizes() ins(%x, %x : !exec.buffer<[16] x f32>, !exec.buffer<[16] x f32>) outs(%y : !exec.buffer<[16] x f32>)
  %v = exec.view %y : !exec.buffer<[16] x f32> to !exec.buffer<[4, 4] x f32>
  %u = exec.view %v : !exec.buffer<[4, 4] x f32> to !exec.buffer<[16] x f32>
  // CHECK: exec.buffer {{.*}}offset = [[Y]] : i64
  %z = exec.buffer on @host0 : !exec.buffer<[16] x f32>
  exec.launch @neg sizes() ins(%u : !exec.buffer<[16] x f32>) outs(%z : !exec.buffer<[16] x f32>)
  // %x dies here, %z lives on.
  // CHECK: exec.buffer {{.*}}offset = [[X]] : i64
  %s = exec.buffer on @host0 : !exec.buffer<[16] x f32>
  exec.launch @add sizes() ins(%z, %x : !exec.buffer<[16] x f32>, !exec.buffer<[16] x f32>) outs(%s : !exec.buffer<[16] x f32>)
  %b = exec.buffer on @host0 : !exec.buffer<[128] x f32>
  exec.launch @big sizes() ins(%z : !exec.buffer<[16] x f32>) outs(%b : !exec.buffer<[128] x f32>)
  exec.output "s" %s : !exec.buffer<[16] x f32>
  exec.output "b" %b : !exec.buffer<[128] x f32>
}
