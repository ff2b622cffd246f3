// RUN: ingot-opt %s --split-input-file --allow-unregistered-dialect --verify-diagnostics

// Constraints of module-level ops, attributes and types.

// exec.device C1
// expected-error @+1 {{expects an exec.target, got @nothing}}
exec.device @host0 : @nothing

// -----

// exec.device C2
exec.target @host kind("host") arch("x86-64-v3")
// expected-error @+1 {{expects byte counts that are not negative, got -1}}
exec.device @host0 : @host {arena_bytes = -1 : i64}

// -----

// exec.source C1
// expected-error @+1 {{expects dimensions that are not negative, got -3}}
exec.source @a [-3] init(ones)

// -----

// exec.source: assembly
// expected-error @+1 {{expects normal, ones or zeros, got 'twos'}}
exec.source @a [3] init(twos)

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
// exec.weight C1
// expected-error @+1 {{expects an exec.source, got @a}}
exec.weight @w from [@a] recipe [#exec.step<load [0]>] on @host0 : tensor<3xf32>

// -----

// exec.weight C1
exec.source @a [3] init(ones)
// expected-error @+1 {{expects an exec.device, got @host0}}
exec.weight @w from [@a] recipe [#exec.step<load [0]>] on @host0 : tensor<3xf32>

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
// exec.weight C2
exec.source @a [3] init(ones)
// expected-error @+1 {{expects a type with static extents, got 'tensor<?xf32>'}}
exec.weight @w from [@a] recipe [#exec.step<load [0]>] on @host0 : tensor<?xf32>

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
// exec.weight C2
exec.source @a [3] init(ones)
// expected-error @+1 {{expects an element type that buffers allow, got 'f64'}}
exec.weight @w from [@a] recipe [#exec.step<load [0]>] on @host0 : tensor<3xf64>

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
// exec.weight C3
exec.source @a [3] init(ones)
// expected-error @+1 {{expects a recipe of at least one step}}
exec.weight @w from [@a] recipe [] on @host0 : tensor<3xf32>

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
// exec.weight C3
exec.source @a [3] init(ones)
// expected-error @+1 {{loads source 1, but has 1 sources}}
exec.weight @w from [@a] recipe [#exec.step<load [1]>] on @host0 : tensor<3xf32>

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
// exec.weight C4
exec.source @a [3] init(ones)
// expected-error @+1 {{expects an offset that is a multiple of 64 and not negative, got 8}}
exec.weight @w from [@a] recipe [#exec.step<load [0]>] on @host0 {offset = 8 : i64} : tensor<3xf32>

// -----

// exec.constant C1
// expected-error @+1 {{expects an exec.device, got @host0}}
exec.constant @c on @host0 = dense<1.0> : tensor<2xf32>

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
// exec.constant C2
// expected-error @+1 {{expects an element type that buffers allow, got 'f64'}}
exec.constant @c on @host0 = dense<1.0> : tensor<2xf64>

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
// exec.constant C3
// expected-error @+1 {{expects an offset that is a multiple of 64 and not negative, got -64}}
exec.constant @c on @host0 {offset = -64 : i64} = dense<1.0> : tensor<2xf32>

// -----

// exec.state C1
// expected-error @+1 {{expects an exec.device, got @host0}}
exec.state @s on @host0 : tensor<2xf32>

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
// exec.state C2
// expected-error @+1 {{expects a type with static extents}}
exec.state @s on @host0 : tensor<?xf32>

// -----

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
// exec.state C3
// expected-error @+1 {{expects an offset that is a multiple of 64 and not negative, got 1}}
exec.state @s on @host0 {offset = 1 : i64} : tensor<2xf32>

// -----

// #exec.step: unknown
// expected-error @+1 {{unknown recipe step 'lift'}}
"test.step"() {step = #exec.step<lift [0]>} : () -> ()

// -----

// #exec.step: number of integers
// expected-error @+1 {{expects 3 integers in recipe step 'slice', got 2}}
"test.step"() {step = #exec.step<slice [0, 1]>} : () -> ()

// -----

// #exec.size: divisor
// expected-error @+1 {{expects a divisor of at least 1, got 0}}
"test.size"() {size = #exec.size<S ceildiv 0>} : () -> ()

// -----

// #exec.size: overflow
// expected-error @+1 {{expects a size that is not negative and fits in 64 bits}}
"test.size"() {size = #exec.size<4294967296 * 4294967296>} : () -> ()

// -----

// !exec.buffer: element type
// expected-error @+1 {{expects a buffer of f32, f16, bf16, i8, ui8, i32, i64 or i1, got 'f64'}}
"test.type"() {type = !exec.buffer<[2] x f64>} : () -> ()

// -----

// exec.model
// expected-error @+1 {{expects 'exec.model' to be a dictionary}}
module attributes {exec.model = 1 : i32} {}

// -----

// module attributes
// expected-error @+1 {{has unknown attribute 'exec.other'}}
module attributes {exec.other = {}} {}
