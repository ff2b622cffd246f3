// RUN: ingot-opt %s --split-input-file --verify-diagnostics

// Constraints of kernels and launches.

// exec.kernel C1
// expected-error @+1 {{expects an exec.target, got @host}}
exec.kernel @k for @host sizes() (%a: !exec.buffer<[2] x f32>) -> (!exec.buffer<[2] x f32>) {
  exec.yield %a : tensor<2xf32>
}

// -----

// exec.kernel C2
exec.target @host kind("host") arch("x86-64-v3")
// expected-error @+1 {{expects unique size parameters, got 'd0' twice}}
exec.kernel @k for @host sizes(d0 in [1, 8], d0 in [1, 8]) (%a: !exec.buffer<[d0] x f32>) -> (!exec.buffer<[d0] x f32>) {
  exec.yield %a : tensor<?xf32>
}

// -----

// exec.kernel C2
exec.target @host kind("host") arch("x86-64-v3")
// expected-error @+1 {{expects extents over its size parameters, got d1}}
exec.kernel @k for @host sizes(d0 in [1, 8]) (%a: !exec.buffer<[d1] x f32>) -> (!exec.buffer<[d0] x f32>) {
  exec.yield %a : tensor<?xf32>
}

// -----

// exec.kernel C2
exec.target @host kind("host") arch("x86-64-v3")
// expected-error @+1 {{expects every size parameter in a buffer type, got none for 'd1'}}
exec.kernel @k for @host sizes(d0 in [1, 8], d1 in [1, 2]) (%a: !exec.buffer<[d0] x f32>) -> (!exec.buffer<[d0] x f32>) {
  exec.yield %a : tensor<?xf32>
}

// -----

// exec.kernel C3
exec.target @host kind("host") arch("x86-64-v3")
// expected-error @+1 {{expects to yield 'tensor<?x2xf32>' as output 0, got 'tensor<?xf32>'}}
exec.kernel @k for @host sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0] x f32>) -> (!exec.buffer<[d0, 2] x f32>) {
  exec.yield %a : tensor<?xf32>
}

// -----

// exec.kernel C3
exec.target @host kind("host") arch("x86-64-v3")
// expected-error @+1 {{expects exec.yield of 2 values, got 1}}
exec.kernel @k for @host sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0] x f32>) -> (!exec.buffer<[d0] x f32>, !exec.buffer<[d0] x f32>) {
  exec.yield %a : tensor<?xf32>
}

// -----

// exec.kernel C4
exec.target @host kind("host") arch("x86-64-v3")
// expected-error @+1 {{expects output 0 to have the type of the input it updates}}
exec.kernel @k for @host sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0] x f32>, %b: !exec.buffer<[d0, 2] x f32>) -> (!exec.buffer<[d0] x f32> updates %b) {
  exec.yield %a : tensor<?xf32>
}

// -----

// exec.kernel C4
exec.target @host kind("host") arch("x86-64-v3")
// expected-error @+1 {{expects an updated input that exists and is updated once, got 0}}
exec.kernel @k for @host sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0] x f32>) -> (!exec.buffer<[d0] x f32> updates %a, !exec.buffer<[d0] x f32> updates %a) {
  exec.yield %a, %a : tensor<?xf32>, tensor<?xf32>
}

// -----

// exec.kernel C5
exec.target @host kind("host") arch("x86-64-v3")
// expected-error @+1 {{expects 'family' and 'grid' together, got one of them}}
exec.kernel @k for @host sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0] x f32>) -> (!exec.buffer<[d0] x f32>) attributes {family = "f"} {
  exec.yield %a : tensor<?xf32>
}

// -----

// exec.kernel C5
exec.target @host kind("host") arch("x86-64-v3")
// expected-error @+1 {{expects a grid of 3 sizes, got 1}}
exec.kernel @k for @host sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0] x f32>) -> (!exec.buffer<[d0] x f32>) attributes {family = "f", grid = [#exec.size<d0>]} {
  exec.yield %a : tensor<?xf32>
}

// -----

// exec.kernel C5
exec.target @host kind("host") arch("x86-64-v3")
// expected-error @+1 {{expects a grid over its size parameters, got B}}
exec.kernel @k for @host sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0] x f32>) -> (!exec.buffer<[d0] x f32>) attributes {family = "f", grid = [#exec.size<B>, #exec.size<1>, #exec.size<1>]} {
  exec.yield %a : tensor<?xf32>
}

// -----

// exec.kernel C6
exec.target @host kind("host") arch("x86-64-v3")
// expected-error @+1 {{expects one list in 'in_place' for each of 1 outputs that update nothing, got 0}}
exec.kernel @k for @host sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0] x f32>) -> (!exec.buffer<[d0] x f32>) attributes {in_place = []} {
  exec.yield %a : tensor<?xf32>
}

// -----

// exec.kernel C6
exec.target @host kind("host") arch("x86-64-v3")
// expected-error @+1 {{expects inputs that exist in 'in_place', got 1}}
exec.kernel @k for @host sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0] x f32>) -> (!exec.buffer<[d0] x f32>) attributes {in_place = [array<i64: 1>]} {
  exec.yield %a : tensor<?xf32>
}

// -----

// exec.kernel C6
exec.target @host kind("host") arch("x86-64-v3")
// expected-error @+1 {{expects inputs with elements of the bytes of '!exec.buffer<[d0] x f32>' in 'in_place', got '!exec.buffer<[d0] x f16>'}}
exec.kernel @k for @host sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0] x f32>, %b: !exec.buffer<[d0] x f16>) -> (!exec.buffer<[d0] x f32>) attributes {in_place = [array<i64: 1>]} {
  exec.yield %a : tensor<?xf32>
}

// -----

// exec.launch C1
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.kernel @k for @host sizes(d0 in [1, 8], d1 in [1, 512]) (%a: !exec.buffer<[d0, d1] x f32>)
    -> (!exec.buffer<[d0, d1] x f32>) {
  %0 = arith.negf %a : tensor<?x?xf32>
  exec.yield %0 : tensor<?x?xf32>
}
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[B, S] x f32>
  %y = exec.buffer on @host0 : !exec.buffer<[B, S] x f32>
  // expected-error @+1 {{expects an exec.kernel, got @none}}
  exec.launch @none sizes(B, S) ins(%x : !exec.buffer<[B, S] x f32>) outs(%y : !exec.buffer<[B, S] x f32>)
}

// -----

// exec.launch C2
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.kernel @k for @host sizes(d0 in [1, 8], d1 in [1, 512]) (%a: !exec.buffer<[d0, d1] x f32>)
    -> (!exec.buffer<[d0, d1] x f32>) {
  %0 = arith.negf %a : tensor<?x?xf32>
  exec.yield %0 : tensor<?x?xf32>
}
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[B, S] x f32>
  %y = exec.buffer on @host0 : !exec.buffer<[B, S] x f32>
  // expected-error @+1 {{expects 2 sizes for @k, got 1}}
  exec.launch @k sizes(B) ins(%x : !exec.buffer<[B, S] x f32>) outs(%y : !exec.buffer<[B, S] x f32>)
}

// -----

// exec.launch C2
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.kernel @k for @host sizes(d0 in [1, 8], d1 in [1, 512]) (%a: !exec.buffer<[d0, d1] x f32>)
    -> (!exec.buffer<[d0, d1] x f32>) {
  %0 = arith.negf %a : tensor<?x?xf32>
  exec.yield %0 : tensor<?x?xf32>
}
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[B, S] x f32>
  %y = exec.buffer on @host0 : !exec.buffer<[B, S] x f32>
  // expected-error @+1 {{expects sizes over the symbols of the program, got T}}
  exec.launch @k sizes(B, T) ins(%x : !exec.buffer<[B, S] x f32>) outs(%y : !exec.buffer<[B, S] x f32>)
}

// -----

// exec.launch C2
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.kernel @k for @host sizes(d0 in [1, 8], d1 in [1, 512]) (%a: !exec.buffer<[d0, d1] x f32>)
    -> (!exec.buffer<[d0, d1] x f32>) {
  %0 = arith.negf %a : tensor<?x?xf32>
  exec.yield %0 : tensor<?x?xf32>
}
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[B, S] x f32>
  %y = exec.buffer on @host0 : !exec.buffer<[B, S] x f32>
  // expected-error @+1 {{expects d0 of @k within [1, 8], got S of up to 512}}
  exec.launch @k sizes(S, B) ins(%x : !exec.buffer<[B, S] x f32>) outs(%y : !exec.buffer<[B, S] x f32>)
}

// -----

// exec.launch C3
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.kernel @k for @host sizes(d0 in [1, 8], d1 in [1, 512]) (%a: !exec.buffer<[d0, d1] x f32>)
    -> (!exec.buffer<[d0, d1] x f32>) {
  %0 = arith.negf %a : tensor<?x?xf32>
  exec.yield %0 : tensor<?x?xf32>
}
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[B, S] x f32>
  %y = exec.buffer on @host0 : !exec.buffer<[B, S] x f32>
  // expected-error @+1 {{expects 1 inputs and 1 outputs for @k, got 2 and 1}}
  exec.launch @k sizes(B, S) ins(%x, %x : !exec.buffer<[B, S] x f32>, !exec.buffer<[B, S] x f32>) outs(%y : !exec.buffer<[B, S] x f32>)
}

// -----

// exec.launch C3
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.kernel @k for @host sizes(d0 in [1, 8], d1 in [1, 512]) (%a: !exec.buffer<[d0, d1] x f32>)
    -> (!exec.buffer<[d0, d1] x f32>) {
  %0 = arith.negf %a : tensor<?x?xf32>
  exec.yield %0 : tensor<?x?xf32>
}
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[B, S] x f32>
  %y = exec.buffer on @host0 : !exec.buffer<[B, S] x f32>
  // expected-error @+1 {{expects operand 0 of type '!exec.buffer<[B, B] x f32>', as @k has it at these sizes, got '!exec.buffer<[B, S] x f32>'}}
  exec.launch @k sizes(B, B) ins(%x : !exec.buffer<[B, S] x f32>) outs(%y : !exec.buffer<[B, S] x f32>)
}

// -----

// exec.launch C4
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.kernel @k for @host sizes(d0 in [1, 8], d1 in [1, 512]) (%a: !exec.buffer<[d0, d1] x f32>)
    -> (!exec.buffer<[d0, d1] x f32>) {
  %0 = arith.negf %a : tensor<?x?xf32>
  exec.yield %0 : tensor<?x?xf32>
}
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[B, S] x f32>
  %y = exec.buffer on @host0 : !exec.buffer<[B, S] x f32>
  // expected-error @+1 {{expects a grid of 3 sizes, got 2}}
  exec.launch @k sizes(B, S) grid(1, 1) ins(%x : !exec.buffer<[B, S] x f32>) outs(%y : !exec.buffer<[B, S] x f32>)
}

// -----

// exec.launch C5
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.device @host1 : @host
exec.kernel @k for @host sizes(d0 in [1, 8], d1 in [1, 512]) (%a: !exec.buffer<[d0, d1] x f32>)
    -> (!exec.buffer<[d0, d1] x f32>) {
  %0 = arith.negf %a : tensor<?x?xf32>
  exec.yield %0 : tensor<?x?xf32>
}
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[B, S] x f32>
  %y = exec.buffer on @host0 : !exec.buffer<[B, S] x f32>
  %z = exec.buffer on @host1 : !exec.buffer<[B, S] x f32>
  // expected-error @+1 {{expects operands on one device, got @host0 and @host1}}
  exec.launch @k sizes(B, S) ins(%x : !exec.buffer<[B, S] x f32>) outs(%z : !exec.buffer<[B, S] x f32>)
}

// -----

// exec.launch C5
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.target @gpu kind("cuda") arch("sm_90a")
exec.device @gpu0 : @gpu
exec.kernel @k for @host sizes(d0 in [1, 8], d1 in [1, 512]) (%a: !exec.buffer<[d0, d1] x f32>)
    -> (!exec.buffer<[d0, d1] x f32>) {
  %0 = arith.negf %a : tensor<?x?xf32>
  exec.yield %0 : tensor<?x?xf32>
}
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  %x = exec.input "x" on @gpu0 : !exec.buffer<[B, S] x f32>
  %y = exec.buffer on @host0 : !exec.buffer<[B, S] x f32>
  %z = exec.buffer on @gpu0 : !exec.buffer<[B, S] x f32>
  // expected-error @+1 {{expects a kernel for @gpu on device @gpu0, got one for @host}}
  exec.launch @k sizes(B, S) ins(%x : !exec.buffer<[B, S] x f32>) outs(%z : !exec.buffer<[B, S] x f32>)
}

// -----

// exec.launch C6
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.constant @c on @host0 = dense<1.0> : tensor<2x2xf32>
exec.kernel @k for @host sizes(d0 in [1, 8], d1 in [1, 512]) (%a: !exec.buffer<[d0, d1] x f32>)
    -> (!exec.buffer<[d0, d1] x f32>) {
  %0 = arith.negf %a : tensor<?x?xf32>
  exec.yield %0 : tensor<?x?xf32>
}
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  %c = exec.get @c : !exec.buffer<[2, 2] x f32>
  // expected-error @+1 {{expects to write the arena or state, but writes @c}}
  exec.launch @k sizes(2, 2) ins(%c : !exec.buffer<[2, 2] x f32>) outs(%c : !exec.buffer<[2, 2] x f32>)
}

// -----

// exec.kernel C7
exec.target @a kind("host") arch("x86-64-v3")
exec.target @b kind("host") arch("x86-64-v2")
exec.target @g kind("cuda") arch("sm_90a")
// expected-error @+1 {{expects 'variant_of' to name a kernel that is no variant, got @nothing}}
exec.kernel @v for @b sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0, 4] x f32>)
    -> (!exec.buffer<[d0, 4] x f32>) attributes {variant_of = @nothing} {
  %0 = arith.negf %a : tensor<?x4xf32>
  exec.yield %0 : tensor<?x4xf32>
}

// -----

// exec.kernel C7
exec.target @a kind("host") arch("x86-64-v3")
exec.target @b kind("host") arch("x86-64-v2")
exec.target @g kind("cuda") arch("sm_90a")
exec.kernel @k for @a sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0, 4] x f32>)
    -> (!exec.buffer<[d0, 4] x f32>) {
  %0 = arith.negf %a : tensor<?x4xf32>
  exec.yield %0 : tensor<?x4xf32>
}
exec.kernel @w for @b sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0, 4] x f32>)
    -> (!exec.buffer<[d0, 4] x f32>) attributes {variant_of = @k} {
  %0 = arith.negf %a : tensor<?x4xf32>
  exec.yield %0 : tensor<?x4xf32>
}
// expected-error @+1 {{expects 'variant_of' to name a kernel that is no variant, got @w}}
exec.kernel @v for @b sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0, 4] x f32>)
    -> (!exec.buffer<[d0, 4] x f32>) attributes {variant_of = @w} {
  %0 = arith.negf %a : tensor<?x4xf32>
  exec.yield %0 : tensor<?x4xf32>
}

// -----

// exec.kernel C7
exec.target @a kind("host") arch("x86-64-v3")
exec.target @b kind("host") arch("x86-64-v2")
exec.target @g kind("cuda") arch("sm_90a")
exec.kernel @k for @a sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0, 4] x f32>)
    -> (!exec.buffer<[d0, 4] x f32>) {
  %0 = arith.negf %a : tensor<?x4xf32>
  exec.yield %0 : tensor<?x4xf32>
}
// expected-error @+1 {{expects another target of the kind of the kernel that it is a variant of, @a, got @a}}
exec.kernel @v for @a sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0, 4] x f32>)
    -> (!exec.buffer<[d0, 4] x f32>) attributes {variant_of = @k} {
  %0 = arith.negf %a : tensor<?x4xf32>
  exec.yield %0 : tensor<?x4xf32>
}

// -----

// exec.kernel C7
exec.target @a kind("host") arch("x86-64-v3")
exec.target @b kind("host") arch("x86-64-v2")
exec.target @g kind("cuda") arch("sm_90a")
exec.kernel @k for @a sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0, 4] x f32>)
    -> (!exec.buffer<[d0, 4] x f32>) {
  %0 = arith.negf %a : tensor<?x4xf32>
  exec.yield %0 : tensor<?x4xf32>
}
// expected-error @+1 {{expects another target of the kind of the kernel that it is a variant of, @a, got @g}}
exec.kernel @v for @g sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0, 4] x f32>)
    -> (!exec.buffer<[d0, 4] x f32>) attributes {variant_of = @k} {
  %0 = arith.negf %a : tensor<?x4xf32>
  exec.yield %0 : tensor<?x4xf32>
}

// -----

// exec.kernel C7
exec.target @a kind("host") arch("x86-64-v3")
exec.target @b kind("host") arch("x86-64-v2")
exec.target @g kind("cuda") arch("sm_90a")
exec.kernel @k for @a sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0, 4] x f32>)
    -> (!exec.buffer<[d0, 4] x f32>) {
  %0 = arith.negf %a : tensor<?x4xf32>
  exec.yield %0 : tensor<?x4xf32>
}
// expected-error @+1 {{expects the sizes, inputs, outputs, updates and 'in_place' of the kernel that it is a variant of, @k}}
exec.kernel @v for @b sizes(d0 in [1, 8]) (%a: !exec.buffer<[d0, 5] x f32>)
    -> (!exec.buffer<[d0, 5] x f32>) attributes {variant_of = @k} {
  %0 = arith.negf %a : tensor<?x5xf32>
  exec.yield %0 : tensor<?x5xf32>
}
