// RUN: ingot-opt %s --plan-memory --verify-exec | FileCheck %s --enable-var-scope

// Launches of a stream's run happen at once: what they use and do not exchange keeps its bytes from the first to the
// last, so that the result lies over nothing that another launch may still read. Without the stream it would.

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.kernel @k for @host sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 16] x f32>) -> (!exec.buffer<[d0, 16] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  %0 = arith.negf %x : tensor<?x16xf32>
  exec.yield %0 : tensor<?x16xf32>
}
exec.stream @s for @host tasks [@k] steps 2 most_tokens 4 blocks 132 shared 1024

// CHECK-LABEL: exec.program @launches
// CHECK: %[[A:.*]] = exec.buffer on @host0 {bytes = 512 : i64, offset = [[FIRST:[0-9]+]] : i64}
// CHECK: exec.buffer on @host0 {bytes = 512 : i64, offset = {{[0-9]+}} : i64}
// CHECK: exec.buffer on @host0 {bytes = 512 : i64, offset = [[FIRST]] : i64}
exec.program @launches symbols(T in [1, 8]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[T, 16] x f32>
  %a = exec.buffer on @host0 : !exec.buffer<[T, 16] x f32>
  %b = exec.buffer on @host0 : !exec.buffer<[T, 16] x f32>
  %c = exec.buffer on @host0 : !exec.buffer<[T, 16] x f32>
  exec.launch @k sizes(T) grid(1, 1, 1) ins(%x : !exec.buffer<[T, 16] x f32>) outs(%a : !exec.buffer<[T, 16] x f32>)
  exec.launch @k sizes(T) grid(1, 1, 1) ins(%a : !exec.buffer<[T, 16] x f32>) outs(%b : !exec.buffer<[T, 16] x f32>)
  exec.launch @k sizes(T) grid(1, 1, 1) ins(%b : !exec.buffer<[T, 16] x f32>) outs(%c : !exec.buffer<[T, 16] x f32>)
  exec.copy %c to %x : !exec.buffer<[T, 16] x f32>
  exec.output "y" %x : !exec.buffer<[T, 16] x f32>
}

// CHECK-LABEL: exec.program @stream
// CHECK: %[[A:.*]] = exec.buffer on @host0 {bytes = 512 : i64, offset = [[FIRST:[0-9]+]] : i64}
// CHECK: exec.buffer on @host0 {bytes = 512 : i64, offset = {{[0-9]+}} : i64}
// CHECK-NOT: exec.buffer on @host0 {bytes = 512 : i64, offset = [[FIRST]] : i64}
exec.program @stream symbols(T in [1, 8]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[T, 16] x f32>
  %a = exec.buffer on @host0 : !exec.buffer<[T, 16] x f32>
  %b = exec.buffer on @host0 : !exec.buffer<[T, 16] x f32>
  %c = exec.buffer on @host0 : !exec.buffer<[T, 16] x f32>
  exec.launch @k sizes(T) grid(1, 1, 1) ins(%x : !exec.buffer<[T, 16] x f32>) outs(%a : !exec.buffer<[T, 16] x f32>)
  exec.streamed @s tokens "T" bytes_per_token 64
  exec.launch @k sizes(T) grid(1, 1, 1) ins(%a : !exec.buffer<[T, 16] x f32>) outs(%b : !exec.buffer<[T, 16] x f32>) exchanged [-1, 0] part 0
  exec.launch @k sizes(T) grid(1, 1, 1) ins(%b : !exec.buffer<[T, 16] x f32>) outs(%c : !exec.buffer<[T, 16] x f32>) exchanged [0, -1] part 0
  exec.copy %c to %x : !exec.buffer<[T, 16] x f32>
  exec.output "y" %x : !exec.buffer<[T, 16] x f32>
}
