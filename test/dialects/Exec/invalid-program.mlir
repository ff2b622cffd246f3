// RUN: ingot-opt %s --split-input-file --verify-diagnostics

// Constraints of programs, their ports and their buffers.

// exec.program C1
// expected-error @+1 {{expects unique symbols, got 'B' twice}}
exec.program @p symbols(B in [1, 8], B in [1, 2]) {
}

// -----

// exec.program C2
// expected-error @+1 {{expects limits over distinct symbols of the program, got 'S'}}
exec.program @p symbols(B in [1, 8]) limits(B * S <= 4) {
}

// -----

// exec.program C3
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[B, S] x f32>
  // expected-error @+1 {{expects unique input names, got "x" twice}}
  %y = exec.input "x" on @host0 : !exec.buffer<[B, S] x f32>
}

// -----

// exec.program C3
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[B, S] x f32>
  exec.output "y" %x : !exec.buffer<[B, S] x f32>
  // expected-error @+1 {{expects unique output names, got "y" twice}}
  exec.output "y" %x : !exec.buffer<[B, S] x f32>
}

// -----

// #exec.symbol: bounds
// expected-error @+1 {{expects bounds of symbol 'B' in order and positive, got [9, 8]}}
exec.program @p symbols(B in [9, 8]) {
}

// -----

// #exec.limit: maximum
// expected-error @+1 {{expects a limit on at least one symbol, of at least 1}}
exec.program @p symbols(B in [1, 8]) limits(B <= 0) {
}

// -----

// exec.input C1
exec.program @p symbols(B in [1, 8]) {
  // expected-error @+1 {{expects an exec.device, got @host0}}
  %x = exec.input "x" on @host0 : !exec.buffer<[B] x f32>
}

// -----

// exec.input C2
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  // expected-error @+1 {{expects an integer element type with 'range', got 'f32'}}
  %x = exec.input "x" on @host0 range [0, 1] : !exec.buffer<[B, S] x f32>
}

// -----

// exec.input C2
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  // expected-error @+1 {{expects 'range' to be two bounds in order}}
  %x = exec.input "x" on @host0 range [2, 1] : !exec.buffer<[B, S] x i32>
}

// -----

// exec.input C2
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  // expected-error @+1 {{expects 'fill' within [0, 1], got 2}}
  %x = exec.input "x" on @host0 range [0, 1] fill 2 : !exec.buffer<[B, S] x i32>
}

// -----

// exec.input C3
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  // expected-error @+1 {{expects 'offset' and 'bytes' together, got one of them}}
  %x = exec.input "x" on @host0 {offset = 0 : i64} : !exec.buffer<[B, S] x i32>
}

// -----

// exec.input C4
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  // expected-error @+1 {{expects extents over the symbols of program @p, got T}}
  %x = exec.input "x" on @host0 : !exec.buffer<[B, T] x i32>
}

// -----

// exec.output C1
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.constant @c on @host0 = dense<1.0> : tensor<2xf32>
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  %c = exec.get @c : !exec.buffer<[2] x f32>
  // expected-error @+1 {{expects a buffer in the arena, got one of exec.get}}
  exec.output "y" %c : !exec.buffer<[2] x f32>
}

// -----

// exec.buffer C1
exec.program @p symbols() {
  // expected-error @+1 {{expects an exec.device, got @host0}}
  %x = exec.buffer on @host0 : !exec.buffer<[2] x f32>
}

// -----

// exec.buffer C2
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  // expected-error @+1 {{expects an offset that is a multiple of 64 and not negative, got 4}}
  %x = exec.buffer on @host0 {offset = 4 : i64, bytes = 4 : i64} : !exec.buffer<[1] x f32>
}

// -----

// exec.buffer C3
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  // expected-error @+1 {{expects extents over the symbols of program @p, got B * T}}
  %x = exec.buffer on @host0 : !exec.buffer<[B * T] x f32>
}

// -----

// exec.get C1
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  // expected-error @+1 {{expects an exec.weight, exec.constant or exec.state, got @host0}}
  %x = exec.get @host0 : !exec.buffer<[1] x f32>
}

// -----

// exec.get C2
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.constant @c on @host0 = dense<1.0> : tensor<2xf32>
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  // expected-error @+1 {{expects '!exec.buffer<[2] x f32>', got '!exec.buffer<[3] x f32>'}}
  %x = exec.get @c : !exec.buffer<[3] x f32>
}

// -----

// exec.view C1
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[B, S] x f32>
  // expected-error @+1 {{expects element type 'f32', got 'i32'}}
  %v = exec.view %x : !exec.buffer<[B, S] x f32> to !exec.buffer<[B, S] x i32>
}

// -----

// exec.view C2
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8], S in [1, 512]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[B, S] x f32>
  // expected-error @+1 {{expects B * S elements, got B * S * 2}}
  %v = exec.view %x : !exec.buffer<[B, S] x f32> to !exec.buffer<[B, S, 2] x f32>
}

// -----

// exec.program C4: the caller's symbols come first
// expected-error @+1 {{expects symbols of the caller from 1 on, before those that are read from buffers}}
exec.program @p symbols(T in [0, 8] within B, B in [1, 8]) {
}

// -----

// exec.program C4: the caller's symbols begin at 1
// expected-error @+1 {{expects symbols of the caller from 1 on}}
exec.program @p symbols(B in [0, 8]) {
}

// -----

// exec.program C4: the maximum is the bound's
// expected-error @+1 {{expects a bound over symbols of the caller, whose maximum is the symbol's}}
exec.program @p symbols(B in [1, 8], T in [0, 9] within B) {
}

// -----

// exec.program C4: read once
// expected-error @+1 {{expects one exec.read_size of symbol 'T', got 0}}
exec.program @p symbols(B in [1, 8], T in [0, 8] within B) {
}

// -----

// exec.program C5
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
// expected-error @+1 {{expects limits over distinct symbols of the program, got 'T'}}
exec.program @p symbols(B in [1, 8], T in [0, 8] within B) limits(B * T <= 16) {
  %n = exec.input "n" on @host0 : !exec.buffer<[9] x i32>
  exec.read_size "T" from %n[8] : !exec.buffer<[9] x i32>
}

// -----

// exec.input C4
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8], T in [0, 8] within B) {
  %n = exec.input "n" on @host0 : !exec.buffer<[9] x i32>
  exec.read_size "T" from %n[8] : !exec.buffer<[9] x i32>
  // expected-error @+1 {{expects a shape that the caller knows}}
  %x = exec.input "x" on @host0 : !exec.buffer<[T] x f32>
}

// -----

// exec.input C5
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8]) {
  // expected-error @+1 {{expects offsets to be an i32 buffer of rank 1 without 'fill'}}
  %n = exec.input "n" on @host0 {ascends_to = #exec.size<B>} : !exec.buffer<[9] x f32>
}

// -----

// exec.input C5: max_step
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8]) {
  // expected-error @+1 {{expects 'max_step' to be positive and beside 'ascends_to'}}
  %n = exec.input "n" on @host0 {max_step = 4 : i64} : !exec.buffer<[9] x i32>
}

// -----

// exec.output C2
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8], T in [0, 8] within B) {
  %n = exec.input "n" on @host0 : !exec.buffer<[9] x i32>
  exec.read_size "T" from %n[8] : !exec.buffer<[9] x i32>
  %y = exec.buffer on @host0 : !exec.buffer<[T] x f32>
  // expected-error @+1 {{expects a shape that the caller knows}}
  exec.output "y" %y : !exec.buffer<[T] x f32>
}

// -----

// exec.read_size C1
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8]) {
  %n = exec.input "n" on @host0 : !exec.buffer<[9] x i32>
  // expected-error @+1 {{expects a symbol of the program that has a bound, got 'B'}}
  exec.read_size "B" from %n[8] : !exec.buffer<[9] x i32>
}

// -----

// exec.read_size C2
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.program @p symbols(B in [1, 8], T in [0, 8] within B) {
  %n = exec.input "n" on @host0 : !exec.buffer<[9] x i32>
  // expected-error @+1 {{expects an element of an i32 buffer of one fixed dimension, got element 9}}
  exec.read_size "T" from %n[9] : !exec.buffer<[9] x i32>
}
