// RUN: ingot-opt %s --select-kernels | FileCheck %s

// Positions of tokens are maxima over the same few sums for all tokens. A thread takes them by itself where there are
// so many tokens that a warp for each would be too many, a warp shares them where there are few; or many sums.

// CHECK: exec.kernel @many
// CHECK-SAME: packed_positions; a thread an element
// CHECK: exec.kernel @few
// CHECK-SAME: packed_positions; a reduction an element, shared by a group of threads, a warp a row
// CHECK: exec.kernel @long
// CHECK-SAME: packed_positions; a reduction an element, shared by a group of threads, a block a row
exec.target @cuda kind("cuda") arch("sm_90a")
exec.device @cuda0 : @cuda
exec.kernel @many for @cuda sizes(d0 in [1, 65536]) (%cu: !exec.buffer<[129] x i32>, %x: !exec.buffer<[d0] x i32>) -> (!exec.buffer<[d0] x i32>) {
  %0 = transformer.packed_positions %cu, %x : (tensor<129xi32>, tensor<?xi32>) -> tensor<?xi32>
  exec.yield %0 : tensor<?xi32>
}
exec.kernel @few for @cuda sizes(d0 in [1, 4096]) (%cu: !exec.buffer<[129] x i32>, %x: !exec.buffer<[d0] x i32>) -> (!exec.buffer<[d0] x i32>) {
  %0 = transformer.packed_positions %cu, %x : (tensor<129xi32>, tensor<?xi32>) -> tensor<?xi32>
  exec.yield %0 : tensor<?xi32>
}
exec.kernel @long for @cuda sizes(d0 in [1, 65536]) (%cu: !exec.buffer<[1025] x i32>, %x: !exec.buffer<[d0] x i32>) -> (!exec.buffer<[d0] x i32>) {
  %0 = transformer.packed_positions %cu, %x : (tensor<1025xi32>, tensor<?xi32>) -> tensor<?xi32>
  exec.yield %0 : tensor<?xi32>
}
exec.program @p symbols(T in [1, 65536]) {
  %cu = exec.input "cu" on @cuda0 : !exec.buffer<[129] x i32>
  %x = exec.input "x" on @cuda0 : !exec.buffer<[T] x i32>
  %y = exec.buffer on @cuda0 : !exec.buffer<[T] x i32>
  exec.launch @many sizes(T) ins(%cu, %x : !exec.buffer<[129] x i32>, !exec.buffer<[T] x i32>) outs(%y : !exec.buffer<[T] x i32>)
  exec.output "y" %y : !exec.buffer<[T] x i32>
}
exec.program @q symbols(T in [1, 4096]) {
  %cu = exec.input "cu" on @cuda0 : !exec.buffer<[129] x i32>
  %x = exec.input "x" on @cuda0 : !exec.buffer<[T] x i32>
  %y = exec.buffer on @cuda0 : !exec.buffer<[T] x i32>
  exec.launch @few sizes(T) ins(%cu, %x : !exec.buffer<[129] x i32>, !exec.buffer<[T] x i32>) outs(%y : !exec.buffer<[T] x i32>)
  exec.output "y" %y : !exec.buffer<[T] x i32>
}
exec.program @r symbols(T in [1, 65536]) {
  %cu = exec.input "cu" on @cuda0 : !exec.buffer<[1025] x i32>
  %x = exec.input "x" on @cuda0 : !exec.buffer<[T] x i32>
  %y = exec.buffer on @cuda0 : !exec.buffer<[T] x i32>
  exec.launch @long sizes(T) ins(%cu, %x : !exec.buffer<[1025] x i32>, !exec.buffer<[T] x i32>) outs(%y : !exec.buffer<[T] x i32>)
  exec.output "y" %y : !exec.buffer<[T] x i32>
}
