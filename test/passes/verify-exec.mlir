// RUN: ingot-opt %s --verify-exec --split-input-file --verify-diagnostics

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host {arena_bytes = 128 : i64, weight_bytes = 0 : i64, constant_bytes = 0 : i64, state_bytes = 128 : i64}
exec.state @a on @host0 {offset = 0 : i64} : tensor<17xf32>
// expected-error @+1 {{overlaps @a}}
exec.state @b on @host0 {offset = 64 : i64} : tensor<16xf32>

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host {arena_bytes = 128 : i64, weight_bytes = 0 : i64, constant_bytes = 0 : i64, state_bytes = 64 : i64}
// expected-error @+1 {{lies outside its range: bytes [0, 68) of 64}}
exec.state @a on @host0 {offset = 0 : i64} : tensor<17xf32>

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
// expected-error @+1 {{has no place; run plan-memory}}
exec.constant @a on @host0 = dense<1.0> : tensor<2xf32>

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host {arena_bytes = 128 : i64, weight_bytes = 0 : i64, constant_bytes = 0 : i64, state_bytes = 0 : i64}
exec.program @p symbols() {
  // expected-error @+1 {{expects 64 bytes at the compiled maxima, got 60}}
  %x = exec.input "x" on @host0 {offset = 0 : i64, bytes = 60 : i64} : !exec.buffer<[16] x f32>
}

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host {arena_bytes = 128 : i64, weight_bytes = 0 : i64, constant_bytes = 0 : i64, state_bytes = 0 : i64}
exec.program @p symbols() {
  // expected-error @+1 {{lies outside the arena: bytes [128, 192) of 128}}
  %x = exec.input "x" on @host0 {offset = 128 : i64, bytes = 64 : i64} : !exec.buffer<[16] x f32>
}

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host {arena_bytes = 128 : i64, weight_bytes = 0 : i64, constant_bytes = 0 : i64, state_bytes = 0 : i64}
exec.program @p symbols() {
  %x = exec.buffer on @host0 {offset = 0 : i64, bytes = 64 : i64} : !exec.buffer<[16] x f32>
  %y = exec.buffer on @host0 {offset = 64 : i64, bytes = 64 : i64} : !exec.buffer<[16] x f32>
  // expected-error @+1 {{reads a buffer that no step has written before}}
  exec.copy %x to %y : !exec.buffer<[16] x f32>
}

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host {arena_bytes = 128 : i64, weight_bytes = 0 : i64, constant_bytes = 0 : i64, state_bytes = 0 : i64}
exec.program @p symbols() {
  %x = exec.buffer on @host0 {offset = 0 : i64, bytes = 64 : i64} : !exec.buffer<[16] x f32>
  // expected-error @+1 {{gives a buffer that no step writes}}
  exec.output "y" %x : !exec.buffer<[16] x f32>
}

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host {arena_bytes = 128 : i64, weight_bytes = 0 : i64, constant_bytes = 0 : i64, state_bytes = 0 : i64}
exec.program @p symbols() {
  // expected-note @+1 {{the other buffer}}
  %x = exec.input "x" on @host0 {offset = 0 : i64, bytes = 64 : i64} : !exec.buffer<[16] x f32>
  // expected-error @+1 {{overlaps a buffer that is needed at the same time}}
  %y = exec.buffer on @host0 {offset = 0 : i64, bytes = 64 : i64} : !exec.buffer<[16] x f32>
  exec.copy %x to %y : !exec.buffer<[16] x f32>
  exec.output "y" %y : !exec.buffer<[16] x f32>
}

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host {arena_bytes = 128 : i64, weight_bytes = 0 : i64, constant_bytes = 0 : i64, state_bytes = 0 : i64}
exec.kernel @k for @host sizes() (%x: !exec.buffer<[16] x f32>) -> (!exec.buffer<[16] x f32>)
    attributes {family = "f", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>], in_place = [array<i64: 0>]} {
  %0 = arith.negf %x : tensor<16xf32>
  exec.yield %0 : tensor<16xf32>
}
// In place is fine,
exec.program @p symbols() {
  %x = exec.input "x" on @host0 {offset = 0 : i64, bytes = 64 : i64} : !exec.buffer<[16] x f32>
  %y = exec.buffer on @host0 {offset = 0 : i64, bytes = 64 : i64} : !exec.buffer<[16] x f32>
  exec.launch @k sizes() grid(1, 1, 1) ins(%x : !exec.buffer<[16] x f32>) outs(%y : !exec.buffer<[16] x f32>)
  exec.output "y" %y : !exec.buffer<[16] x f32>
}
// a launch without a grid is not.
exec.program @q symbols() {
  %x = exec.input "x" on @host0 {offset = 0 : i64, bytes = 64 : i64} : !exec.buffer<[16] x f32>
  %y = exec.buffer on @host0 {offset = 64 : i64, bytes = 64 : i64} : !exec.buffer<[16] x f32>
  // expected-error @+1 {{has no grid; run select-kernels}}
  exec.launch @k sizes() ins(%x : !exec.buffer<[16] x f32>) outs(%y : !exec.buffer<[16] x f32>)
  exec.output "y" %y : !exec.buffer<[16] x f32>
}

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host {arena_bytes = 192 : i64, weight_bytes = 0 : i64, constant_bytes = 0 : i64, state_bytes = 0 : i64}
exec.kernel @k for @host sizes(d0 in [0, 8]) (%a: !exec.buffer<[9] x i32>) -> (!exec.buffer<[d0] x i32>) {
  %0 = tensor.cast %a : tensor<9xi32> to tensor<?xi32>
  exec.yield %0 : tensor<?xi32>
}
exec.program @p symbols(B in [1, 8], T in [0, 8] within B) {
  %n = exec.input "n" on @host0 {offset = 0 : i64, bytes = 32 : i64} : !exec.buffer<[B] x i32>
  %cu = exec.input "cu" on @host0 {offset = 64 : i64, bytes = 36 : i64} : !exec.buffer<[9] x i32>
  %x = exec.buffer on @host0 {offset = 128 : i64, bytes = 32 : i64} : !exec.buffer<[T] x i32>
  // expected-error @+1 {{needs size 'T', which no step has read before}}
  exec.launch @k sizes(T) ins(%cu : !exec.buffer<[9] x i32>) outs(%x : !exec.buffer<[T] x i32>)
  exec.read_size "T" from %cu[8] : !exec.buffer<[9] x i32>
}
