// RUN: ingot-opt %s --split-input-file --verify-diagnostics

// Constraints of streams and their runs.

// exec.stream C1
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
// expected-error @+1 {{expects an exec.target, got @b}}
exec.stream @s for @b tasks [@k] steps 2 most_tokens 4 blocks 132 shared 1024

// -----

// exec.stream C2
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
exec.kernel @u for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>) {
  exec.yield %x : tensor<?x4xf32>
}
// expected-error @+1 {{expects tasks to be kernels with a family for @a that are no variants, got @u}}
exec.stream @s for @a tasks [@u] steps 2 most_tokens 4 blocks 132 shared 1024

// -----

// exec.stream C2
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
// expected-error @+1 {{expects each task once, got @k twice}}
exec.stream @s for @a tasks [@k, @k] steps 2 most_tokens 4 blocks 132 shared 1024

// -----

// exec.stream C3
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
// expected-error @+1 {{expects at least two steps, and one a task, got 1 for 1 tasks}}
exec.stream @s for @a tasks [@k] steps 1 most_tokens 4 blocks 132 shared 1024

// -----

// exec.stream C3
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
// expected-error @+1 {{expects 'blocks' to be positive, got 0}}
exec.stream @s for @a tasks [@k] steps 2 most_tokens 4 blocks 0 shared 1024

// -----

// exec.streamed C1
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
exec.program @p symbols(T in [1, 8]) {
  %x = exec.input "x" on @a0 : !exec.buffer<[T, 4] x f32>
  %y = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  %z = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  // expected-error @+1 {{expects an exec.stream, got @s}}
  exec.streamed @s tokens "T" bytes_per_token 32
  exec.launch @k sizes(T) ins(%x : !exec.buffer<[T, 4] x f32>) outs(%y : !exec.buffer<[T, 4] x f32>) exchanged [-1, 0] part 16
  exec.launch @k sizes(T) ins(%y : !exec.buffer<[T, 4] x f32>) outs(%z : !exec.buffer<[T, 4] x f32>) exchanged [0, -1] part 0
}

// -----

// exec.streamed C2
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
exec.stream @s for @a tasks [@k] steps 2 most_tokens 4 blocks 132 shared 1024
exec.program @p symbols(T in [1, 8]) {
  %x = exec.input "x" on @a0 : !exec.buffer<[T, 4] x f32>
  %y = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  %z = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  // expected-error @+1 {{expects a symbol of the program, got 'U'}}
  exec.streamed @s tokens "U" bytes_per_token 32
  exec.launch @k sizes(T) ins(%x : !exec.buffer<[T, 4] x f32>) outs(%y : !exec.buffer<[T, 4] x f32>) exchanged [-1, 0] part 16
  exec.launch @k sizes(T) ins(%y : !exec.buffer<[T, 4] x f32>) outs(%z : !exec.buffer<[T, 4] x f32>) exchanged [0, -1] part 0
}

// -----

// exec.streamed C3
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
exec.stream @s for @a tasks [@k] steps 2 most_tokens 4 blocks 132 shared 1024
exec.program @p symbols(T in [1, 8]) {
  %x = exec.input "x" on @a0 : !exec.buffer<[T, 4] x f32>
  %y = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  %z = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  // expected-error @+1 {{expects the 2 launches of @s, got 1}}
  exec.streamed @s tokens "T" bytes_per_token 32
  exec.launch @k sizes(T) ins(%x : !exec.buffer<[T, 4] x f32>) outs(%y : !exec.buffer<[T, 4] x f32>) exchanged [-1, 0] part 16
  exec.launch @k sizes(T) ins(%y : !exec.buffer<[T, 4] x f32>) outs(%z : !exec.buffer<[T, 4] x f32>) 
}

// -----

// exec.streamed C3
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
exec.kernel @other for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
exec.stream @s for @a tasks [@other] steps 2 most_tokens 4 blocks 132 shared 1024
exec.program @p symbols(T in [1, 8]) {
  %x = exec.input "x" on @a0 : !exec.buffer<[T, 4] x f32>
  %y = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  %z = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  exec.streamed @s tokens "T" bytes_per_token 32
  // expected-error @+1 {{expects a task of @s in its run, got @k}}
  exec.launch @k sizes(T) ins(%x : !exec.buffer<[T, 4] x f32>) outs(%y : !exec.buffer<[T, 4] x f32>) exchanged [-1, 0] part 16
  exec.launch @k sizes(T) ins(%y : !exec.buffer<[T, 4] x f32>) outs(%z : !exec.buffer<[T, 4] x f32>) exchanged [0, -1] part 0
}

// -----

// exec.streamed C4
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
exec.stream @s for @a tasks [@k] steps 2 most_tokens 4 blocks 132 shared 1024
exec.program @p symbols(T in [1, 8], U in [1, 8]) {
  %x = exec.input "x" on @a0 : !exec.buffer<[T, 4] x f32>
  %y = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  %v = exec.input "v" on @a0 : !exec.buffer<[U, 4] x f32>
  %w = exec.buffer on @a0 : !exec.buffer<[U, 4] x f32>
  exec.streamed @s tokens "T" bytes_per_token 0
  exec.launch @k sizes(T) ins(%x : !exec.buffer<[T, 4] x f32>) outs(%y : !exec.buffer<[T, 4] x f32>) exchanged [-1, -1] part 0
  // expected-error @+1 {{expects the sizes of other launches of @k in the run of @s}}
  exec.launch @k sizes(U) ins(%v : !exec.buffer<[U, 4] x f32>) outs(%w : !exec.buffer<[U, 4] x f32>) exchanged [-1, -1] part 0
}

// -----

// exec.streamed C5
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
exec.stream @s for @a tasks [@k] steps 2 most_tokens 4 blocks 132 shared 1024
exec.program @p symbols(T in [1, 8]) {
  %x = exec.input "x" on @a0 : !exec.buffer<[T, 4] x f32>
  %y = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  %z = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  // expected-error @+1 {{expects a multiple of 16 bytes a token, got 24}}
  exec.streamed @s tokens "T" bytes_per_token 24
  exec.launch @k sizes(T) ins(%x : !exec.buffer<[T, 4] x f32>) outs(%y : !exec.buffer<[T, 4] x f32>) exchanged [-1, 0] part 16
  exec.launch @k sizes(T) ins(%y : !exec.buffer<[T, 4] x f32>) outs(%z : !exec.buffer<[T, 4] x f32>) exchanged [0, -1] part 0
}

// -----

// exec.streamed C5
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
exec.stream @s for @a tasks [@k] steps 2 most_tokens 4 blocks 132 shared 1024
exec.program @p symbols(T in [1, 8]) {
  %x = exec.input "x" on @a0 : !exec.buffer<[T, 4] x f32>
  %y = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  %z = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  exec.streamed @s tokens "T" bytes_per_token 32
  // expected-error @+1 {{expects to exchange below byte 32 a token, got 32}}
  exec.launch @k sizes(T) ins(%x : !exec.buffer<[T, 4] x f32>) outs(%y : !exec.buffer<[T, 4] x f32>) exchanged [-1, 32] part 16
  exec.launch @k sizes(T) ins(%y : !exec.buffer<[T, 4] x f32>) outs(%z : !exec.buffer<[T, 4] x f32>) exchanged [0, -1] part 0
}

// -----

// exec.streamed C5
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
exec.stream @s for @a tasks [@k] steps 2 most_tokens 4 blocks 132 shared 1024
exec.program @p symbols(T in [1, 8]) {
  %x = exec.input "x" on @a0 : !exec.buffer<[T, 4] x f32>
  %y = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  %z = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  exec.streamed @s tokens "T" bytes_per_token 32
  exec.launch @k sizes(T) ins(%x : !exec.buffer<[T, 4] x f32>) outs(%y : !exec.buffer<[T, 4] x f32>) exchanged [-1, 0] part 16
  // expected-error @+1 {{expects its part below byte 32 a token, got 48}}
  exec.launch @k sizes(T) ins(%y : !exec.buffer<[T, 4] x f32>) outs(%z : !exec.buffer<[T, 4] x f32>) exchanged [0, -1] part 48
}

// -----

// exec.launch C7
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
exec.stream @s for @a tasks [@k] steps 2 most_tokens 4 blocks 132 shared 1024
exec.program @p symbols(T in [1, 8]) {
  %x = exec.input "x" on @a0 : !exec.buffer<[T, 4] x f32>
  %y = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  %z = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  exec.streamed @s tokens "T" bytes_per_token 32
  // expected-error @+1 {{expects 'exchanged' and 'part' together, got one of them}}
  exec.launch @k sizes(T) ins(%x : !exec.buffer<[T, 4] x f32>) outs(%y : !exec.buffer<[T, 4] x f32>) {part = 0 : i64}
  exec.launch @k sizes(T) ins(%y : !exec.buffer<[T, 4] x f32>) outs(%z : !exec.buffer<[T, 4] x f32>) exchanged [0, -1] part 0
}

// -----

// exec.launch C7
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
exec.stream @s for @a tasks [@k] steps 2 most_tokens 4 blocks 132 shared 1024
exec.program @p symbols(T in [1, 8]) {
  %x = exec.input "x" on @a0 : !exec.buffer<[T, 4] x f32>
  %y = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  %z = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  exec.streamed @s tokens "T" bytes_per_token 32
  // expected-error @+1 {{expects an entry of 'exchanged' an operand, got 1 for 2 operands}}
  exec.launch @k sizes(T) ins(%x : !exec.buffer<[T, 4] x f32>) outs(%y : !exec.buffer<[T, 4] x f32>) exchanged [-1] part 16
  exec.launch @k sizes(T) ins(%y : !exec.buffer<[T, 4] x f32>) outs(%z : !exec.buffer<[T, 4] x f32>) exchanged [0, -1] part 0
}

// -----

// exec.launch C7
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
exec.stream @s for @a tasks [@k] steps 2 most_tokens 4 blocks 132 shared 1024
exec.program @p symbols(T in [1, 8]) {
  %x = exec.input "x" on @a0 : !exec.buffer<[T, 4] x f32>
  %y = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  %z = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  exec.streamed @s tokens "T" bytes_per_token 32
  // expected-error @+1 {{expects to exchange at a multiple of 16 bytes, or -1, got 8}}
  exec.launch @k sizes(T) ins(%x : !exec.buffer<[T, 4] x f32>) outs(%y : !exec.buffer<[T, 4] x f32>) exchanged [-1, 8] part 16
  exec.launch @k sizes(T) ins(%y : !exec.buffer<[T, 4] x f32>) outs(%z : !exec.buffer<[T, 4] x f32>) exchanged [0, -1] part 0
}

// -----

// exec.launch C7
exec.target @a kind("host") arch("x86-64-v3")
exec.device @a0 : @a
exec.kernel @k for @a sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 4] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
    attributes {family = "host.linalg", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %x : tensor<?x4xf32>
}
exec.stream @s for @a tasks [@k] steps 2 most_tokens 4 blocks 132 shared 1024
exec.program @p symbols(T in [1, 8]) {
  %x = exec.input "x" on @a0 : !exec.buffer<[T, 4] x f32>
  %y = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  %z = exec.buffer on @a0 : !exec.buffer<[T, 4] x f32>
  exec.streamed @s tokens "T" bytes_per_token 32
  // expected-error @+1 {{expects its part at a multiple of 16 bytes, got 8}}
  exec.launch @k sizes(T) ins(%x : !exec.buffer<[T, 4] x f32>) outs(%y : !exec.buffer<[T, 4] x f32>) exchanged [-1, 0] part 8
  exec.launch @k sizes(T) ins(%y : !exec.buffer<[T, 4] x f32>) outs(%z : !exec.buffer<[T, 4] x f32>) exchanged [0, -1] part 0
}
