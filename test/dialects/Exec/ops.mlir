// RUN: ingot-opt %s --verify-roundtrip | FileCheck %s --enable-var-scope

// Every op is parsed, printed, and parsed again.

// CHECK-LABEL: module @all
// CHECK-SAME: exec.generation = {block_size = 16 : i64}
// CHECK-SAME: exec.model = {type = "bert"}
module @all attributes {exec.model = {type = "bert"}, exec.generation = {block_size = 16 : i64}} {
  // CHECK: exec.target @host kind("host") arch("x86-64-v3")
  exec.target @host kind("host") arch("x86-64-v3")
  // CHECK: exec.device @host0 : @host {arena_bytes = 64 : i64}
  exec.device @host0 : @host {arena_bytes = 64 : i64}

  // CHECK: exec.source @q.weight [8, 4] init(normal, 2.000000e-02) {aliases = ["model.q.weight"]}
  exec.source @q.weight [8, 4] init(normal, 2.0e-2) {aliases = ["model.q.weight"]}
  // CHECK: exec.source @norm [4] init(ones)
  exec.source @norm [4] init(ones)
  // CHECK: exec.weight @w.q from [@q.weight] recipe [#exec.step<load [0]>, #exec.step<transpose [1, 0]>] on @host0 : tensor<4x8xf32>
  exec.weight @w.q from [@q.weight] recipe [#exec.step<load [0]>, #exec.step<transpose [1, 0]>]
      on @host0 : tensor<4x8xf32>
  // CHECK: exec.weight @w.norm from [@norm] recipe [#exec.step<load [0]>, #exec.step<add_scalar 1.000000e+00>] on @host0 {offset = 128 : i64} : tensor<4xf32>
  exec.weight @w.norm from [@norm] recipe [#exec.step<load [0]>, #exec.step<add_scalar 1.0>]
      on @host0 {offset = 128 : i64} : tensor<4xf32>
  // CHECK: exec.constant @c0 on @host0 = dense<[1.000000e+00, 5.000000e-01]> : tensor<2xf32>
  exec.constant @c0 on @host0 = dense<[1.0, 0.5]> : tensor<2xf32>
  // CHECK: exec.state @cache on @host0 : tensor<9x16xf32>
  exec.state @cache on @host0 : tensor<9x16xf32>

  // CHECK-LABEL: exec.kernel @neg for @host sizes(d0 in [1, 8], d1 in [1, 512])
  // CHECK-SAME: (%[[X:.*]]: !exec.buffer<[d0 * d1, 4] x f32>) -> (!exec.buffer<[d0 * d1, 4] x f32>)
  // CHECK-SAME: attributes {family = "host.linalg", grid = [#exec.size<d0 * d1 ceildiv 64>, #exec.size<1>, #exec.size<1>], in_place = [array<i64: 0>]}
  exec.kernel @neg for @host sizes(d0 in [1, 8], d1 in [1, 512])
      (%x: !exec.buffer<[d0 * d1, 4] x f32>) -> (!exec.buffer<[d1 * d0, 4] x f32>)
      attributes {family = "host.linalg", in_place = [array<i64: 0>],
                  grid = [#exec.size<d0 * d1 ceildiv 64>, #exec.size<1>, #exec.size<1>]} {
    // CHECK: arith.negf %[[X]] : tensor<?x4xf32>
    %0 = arith.negf %x : tensor<?x4xf32>
    exec.yield %0 : tensor<?x4xf32>
  }
  // CHECK: exec.kernel @append for @host sizes()(%[[CACHE:.*]]: !exec.buffer<[9, 16] x f32>) -> (!exec.buffer<[9, 16] x f32> updates %[[CACHE]])
  exec.kernel @append for @host sizes() (%cache: !exec.buffer<[9, 16] x f32>)
      -> (!exec.buffer<[9, 16] x f32> updates %cache) {
    %0 = arith.negf %cache : tensor<9x16xf32>
    exec.yield %0 : tensor<9x16xf32>
  }

  // CHECK-LABEL: exec.program @forward symbols(B in [1, 8], S in [1, 512]) limits(B * S <= 2048)
  exec.program @forward symbols(B in [1, 8], S in [1, 512]) limits(B * S <= 2048) {
    // CHECK: %[[X:.*]] = exec.input "x" on @host0 : !exec.buffer<[B, S, 4] x f32>
    %x = exec.input "x" on @host0 : !exec.buffer<[B, S, 4] x f32>
    // CHECK: exec.input "mask" on @host0 range [0, 1] fill 1 : !exec.buffer<[B, S] x i32>
    %mask = exec.input "mask" on @host0 range [0, 1] fill 1 : !exec.buffer<[B, S] x i32>
    // CHECK: exec.get @w.q : !exec.buffer<[4, 8] x f32>
    %w = exec.get @w.q : !exec.buffer<[4, 8] x f32>
    // CHECK: %[[V:.*]] = exec.view %[[X]] : !exec.buffer<[B, S, 4] x f32> to !exec.buffer<[B * S, 4] x f32>
    %v = exec.view %x : !exec.buffer<[B, S, 4] x f32> to !exec.buffer<[B * S, 4] x f32>
    // CHECK: %[[Y:.*]] = exec.buffer on @host0 {bytes = 32768 : i64, offset = 64 : i64} : !exec.buffer<[B * S, 4] x f32>
    %y = exec.buffer on @host0 {offset = 64 : i64, bytes = 32768 : i64} : !exec.buffer<[B * S, 4] x f32>
    // CHECK: exec.launch @neg sizes(B, S) grid(B * S ceildiv 64, 1, 1) ins(%[[V]] : !exec.buffer<[B * S, 4] x f32>) outs(%[[Y]] : !exec.buffer<[B * S, 4] x f32>)
    exec.launch @neg sizes(B, S) grid(B * S ceildiv 64, 1, 1)
        ins(%v : !exec.buffer<[B * S, 4] x f32>) outs(%y : !exec.buffer<[B * S, 4] x f32>)
    %cache = exec.get @cache : !exec.buffer<[9, 16] x f32>
    // CHECK: exec.launch @append sizes() ins(%{{.*}} : !exec.buffer<[9, 16] x f32>)
    exec.launch @append sizes() ins(%cache : !exec.buffer<[9, 16] x f32>)
    // CHECK: exec.copy %[[Y]] to %[[V]] : !exec.buffer<[B * S, 4] x f32>
    exec.copy %y to %v : !exec.buffer<[B * S, 4] x f32>
    // CHECK: exec.output "y" %[[Y]] : !exec.buffer<[B * S, 4] x f32>
    exec.output "y" %y : !exec.buffer<[B * S, 4] x f32>
  }

  // CHECK-LABEL: exec.program @packed symbols(B in [1, 8], S in [1, 512], T in [0, 2048] within B * S) limits(B * S <= 2048)
  exec.program @packed symbols(B in [1, 8], S in [1, 512], T in [0, 2048] within B * S) limits(B * S <= 2048) {
    %x = exec.input "x" on @host0 : !exec.buffer<[B, S] x i32>
    // CHECK: exec.input "cu" on @host0 {ascends_to = #exec.size<S>, max_step = 16 : i64} : !exec.buffer<[9] x i32>
    %cu = exec.input "cu" on @host0 {ascends_to = #exec.size<S>, max_step = 16 : i64} : !exec.buffer<[9] x i32>
    // CHECK: exec.read_size "T" from %{{.*}}[8] : !exec.buffer<[9] x i32>
    exec.read_size "T" from %cu[8] : !exec.buffer<[9] x i32>
  }
  exec.kernel @copy for @host sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
      attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
    exec.yield %x : tensor<?x4xf32>
  }
  // CHECK: exec.stream @stream for @host tasks [@copy] steps 2 most_tokens 4 blocks 132 shared 232448 {description = "two copies"}
  exec.stream @stream for @host tasks [@copy] steps 2 most_tokens 4 blocks 132 shared 232448 {description = "two copies"}
  // CHECK-LABEL: exec.program @streamed
  exec.program @streamed symbols(T in [1, 8]) {
    %x = exec.input "x" on @host0 : !exec.buffer<[T, 4] x f32>
    %y = exec.buffer on @host0 : !exec.buffer<[T, 4] x f32>
    %z = exec.buffer on @host0 : !exec.buffer<[T, 4] x f32>
    // CHECK: exec.streamed @stream tokens "T" bytes_per_token 32
    exec.streamed @stream tokens "T" bytes_per_token 32
    // CHECK-NEXT: exec.launch @copy sizes(T) ins(%{{.*}} : {{.*}}) outs(%{{.*}} : {{.*}}) exchanged [-1, 0] part 16
    exec.launch @copy sizes(T) ins(%x : !exec.buffer<[T, 4] x f32>) outs(%y : !exec.buffer<[T, 4] x f32>) exchanged [-1, 0] part 16
    exec.launch @copy sizes(T) ins(%y : !exec.buffer<[T, 4] x f32>) outs(%z : !exec.buffer<[T, 4] x f32>) exchanged [0, -1] part 0
    exec.output "z" %z : !exec.buffer<[T, 4] x f32>
  }
}
