// RUN: ingot-opt %s --select-kernels | FileCheck %s

// Blocks a row, and whether its scores stay in shared memory, go by the vocabulary and the architecture.

exec.target @cuda kind("cuda") arch("sm_90a")
exec.target @old kind("cuda") arch("sm_86")
exec.device @cuda0 : @cuda
exec.device @cuda1 : @old
// CHECK: exec.kernel @large for @cuda
// CHECK-SAME: config = {cached = true, cluster = 8 : i64, shared = 64128 : i64}
// CHECK-SAME: family = "cuda.sampling"
// CHECK-SAME: grid = [#exec.size<d0 * 8>
exec.kernel @large for @cuda sizes(d0 in [1, 16])
    (%x: !exec.buffer<[d0, 128256] x f32>, %seen: !exec.buffer<[16, 128256] x i1>, %slot: !exec.buffer<[d0] x i32>,
     %t: !exec.buffer<[d0] x f32>, %k: !exec.buffer<[d0] x i32>, %p: !exec.buffer<[d0] x f32>, %q: !exec.buffer<[d0] x f32>,
     %r: !exec.buffer<[d0] x f32>, %seed: !exec.buffer<[d0] x i64>, %draw: !exec.buffer<[d0] x i64>)
    -> (!exec.buffer<[d0] x i32>) {
  %0 = transformer.sample %x seen(%seen, %slot) temperature(%t) top_k(%k) top_p(%p) min_p(%q) repetition_penalty(%r) random(%seed, %draw)
    : (tensor<?x128256xf32>, tensor<16x128256xi1>, tensor<?xi32>, tensor<?xf32>, tensor<?xi32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xi64>, tensor<?xi64>) -> tensor<?xi32>
  exec.yield %0 : tensor<?xi32>
}
// CHECK: exec.kernel @small for @cuda
// CHECK-SAME: config = {cached = true, cluster = 1 : i64, shared = 388 : i64}
// CHECK-SAME: family = "cuda.sampling"
// CHECK-SAME: grid = [#exec.size<d0>
exec.kernel @small for @cuda sizes(d0 in [1, 16])
    (%x: !exec.buffer<[d0, 97] x f32>, %seen: !exec.buffer<[16, 97] x i1>, %slot: !exec.buffer<[d0] x i32>,
     %t: !exec.buffer<[d0] x f32>, %k: !exec.buffer<[d0] x i32>, %p: !exec.buffer<[d0] x f32>, %q: !exec.buffer<[d0] x f32>,
     %r: !exec.buffer<[d0] x f32>, %seed: !exec.buffer<[d0] x i64>, %draw: !exec.buffer<[d0] x i64>)
    -> (!exec.buffer<[d0] x i32>) {
  %0 = transformer.sample %x seen(%seen, %slot) temperature(%t) top_k(%k) top_p(%p) min_p(%q) repetition_penalty(%r) random(%seed, %draw)
    : (tensor<?x97xf32>, tensor<16x97xi1>, tensor<?xi32>, tensor<?xf32>, tensor<?xi32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xi64>, tensor<?xi64>) -> tensor<?xi32>
  exec.yield %0 : tensor<?xi32>
}
// CHECK: exec.kernel @without_clusters for @old
// CHECK-SAME: config = {cached = false, cluster = 1 : i64, shared = 0 : i64}
// CHECK-SAME: family = "cuda.sampling"
// CHECK-SAME: grid = [#exec.size<d0>
exec.kernel @without_clusters for @old sizes(d0 in [1, 16])
    (%x: !exec.buffer<[d0, 49152] x f32>, %seen: !exec.buffer<[16, 49152] x i1>, %slot: !exec.buffer<[d0] x i32>,
     %t: !exec.buffer<[d0] x f32>, %k: !exec.buffer<[d0] x i32>, %p: !exec.buffer<[d0] x f32>, %q: !exec.buffer<[d0] x f32>,
     %r: !exec.buffer<[d0] x f32>, %seed: !exec.buffer<[d0] x i64>, %draw: !exec.buffer<[d0] x i64>)
    -> (!exec.buffer<[d0] x i32>) {
  %0 = transformer.sample %x seen(%seen, %slot) temperature(%t) top_k(%k) top_p(%p) min_p(%q) repetition_penalty(%r) random(%seed, %draw)
    : (tensor<?x49152xf32>, tensor<16x49152xi1>, tensor<?xi32>, tensor<?xf32>, tensor<?xi32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xi64>, tensor<?xi64>) -> tensor<?xi32>
  exec.yield %0 : tensor<?xi32>
}

exec.program @p symbols(B in [1, 16]) {
  %slot0 = exec.input "slot0" on @cuda0 : !exec.buffer<[B] x i32>
  %t0 = exec.input "t0" on @cuda0 : !exec.buffer<[B] x f32>
  %k0 = exec.input "k0" on @cuda0 : !exec.buffer<[B] x i32>
  %p0 = exec.input "p0" on @cuda0 : !exec.buffer<[B] x f32>
  %q0 = exec.input "q0" on @cuda0 : !exec.buffer<[B] x f32>
  %r0 = exec.input "r0" on @cuda0 : !exec.buffer<[B] x f32>
  %seed0 = exec.input "seed0" on @cuda0 : !exec.buffer<[B] x i64>
  %draw0 = exec.input "draw0" on @cuda0 : !exec.buffer<[B] x i64>
  %slot1 = exec.input "slot1" on @cuda1 : !exec.buffer<[B] x i32>
  %t1 = exec.input "t1" on @cuda1 : !exec.buffer<[B] x f32>
  %k1 = exec.input "k1" on @cuda1 : !exec.buffer<[B] x i32>
  %p1 = exec.input "p1" on @cuda1 : !exec.buffer<[B] x f32>
  %q1 = exec.input "q1" on @cuda1 : !exec.buffer<[B] x f32>
  %r1 = exec.input "r1" on @cuda1 : !exec.buffer<[B] x f32>
  %seed1 = exec.input "seed1" on @cuda1 : !exec.buffer<[B] x i64>
  %draw1 = exec.input "draw1" on @cuda1 : !exec.buffer<[B] x i64>
  %x_large = exec.input "x_large" on @cuda0 : !exec.buffer<[B, 128256] x f32>
  %m_large = exec.input "m_large" on @cuda0 : !exec.buffer<[16, 128256] x i1>
  %o_large = exec.buffer on @cuda0 : !exec.buffer<[B] x i32>
  exec.launch @large sizes(B)
      ins(%x_large, %m_large, %slot0, %t0, %k0, %p0, %q0, %r0, %seed0, %draw0 : !exec.buffer<[B, 128256] x f32>, !exec.buffer<[16, 128256] x i1>, !exec.buffer<[B] x i32>, !exec.buffer<[B] x f32>, !exec.buffer<[B] x i32>, !exec.buffer<[B] x f32>, !exec.buffer<[B] x f32>, !exec.buffer<[B] x f32>, !exec.buffer<[B] x i64>, !exec.buffer<[B] x i64>)
      outs(%o_large : !exec.buffer<[B] x i32>)
  exec.output "large" %o_large : !exec.buffer<[B] x i32>
  %x_small = exec.input "x_small" on @cuda0 : !exec.buffer<[B, 97] x f32>
  %m_small = exec.input "m_small" on @cuda0 : !exec.buffer<[16, 97] x i1>
  %o_small = exec.buffer on @cuda0 : !exec.buffer<[B] x i32>
  exec.launch @small sizes(B)
      ins(%x_small, %m_small, %slot0, %t0, %k0, %p0, %q0, %r0, %seed0, %draw0 : !exec.buffer<[B, 97] x f32>, !exec.buffer<[16, 97] x i1>, !exec.buffer<[B] x i32>, !exec.buffer<[B] x f32>, !exec.buffer<[B] x i32>, !exec.buffer<[B] x f32>, !exec.buffer<[B] x f32>, !exec.buffer<[B] x f32>, !exec.buffer<[B] x i64>, !exec.buffer<[B] x i64>)
      outs(%o_small : !exec.buffer<[B] x i32>)
  exec.output "small" %o_small : !exec.buffer<[B] x i32>
  %x_without_clusters = exec.input "x_without_clusters" on @cuda1 : !exec.buffer<[B, 49152] x f32>
  %m_without_clusters = exec.input "m_without_clusters" on @cuda1 : !exec.buffer<[16, 49152] x i1>
  %o_without_clusters = exec.buffer on @cuda1 : !exec.buffer<[B] x i32>
  exec.launch @without_clusters sizes(B)
      ins(%x_without_clusters, %m_without_clusters, %slot1, %t1, %k1, %p1, %q1, %r1, %seed1, %draw1 : !exec.buffer<[B, 49152] x f32>, !exec.buffer<[16, 49152] x i1>, !exec.buffer<[B] x i32>, !exec.buffer<[B] x f32>, !exec.buffer<[B] x i32>, !exec.buffer<[B] x f32>, !exec.buffer<[B] x f32>, !exec.buffer<[B] x f32>, !exec.buffer<[B] x i64>, !exec.buffer<[B] x i64>)
      outs(%o_without_clusters : !exec.buffer<[B] x i32>)
  exec.output "without_clusters" %o_without_clusters : !exec.buffer<[B] x i32>
}
