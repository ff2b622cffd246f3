// RUN: ingot-opt %s --split-input-file --verify-diagnostics

func.func @weight_c1_no_source() {
  // expected-error @+1 {{C1: needs at least one source}}
  %0 = transformer.weight [] [load 0] : tensor<4xf32>
  return
}

// -----

func.func @weight_c1_empty_name() {
  // expected-error @+1 {{C1: a source has an empty name}}
  %0 = transformer.weight [""] [load 0] : tensor<4xf32>
  return
}

// -----

func.func @weight_c2() {
  // expected-error @+1 {{C2: load names source 1 of 1}}
  %0 = transformer.weight ["a"] [load 1] : tensor<4xf32>
  return
}

// -----

func.func @weight_c3_empty_stack() {
  // expected-error @+1 {{C3: step 0 (transpose) takes 1 values and finds 0}}
  %0 = transformer.weight ["a"] [transpose [1, 0]] : tensor<4xf32>
  return
}

// -----

func.func @weight_c3_concat() {
  // expected-error @+1 {{C3: step 1 (concat) takes 2 values and finds 1}}
  %0 = transformer.weight ["a"] [load 0, concat [0, 2]] : tensor<4xf32>
  return
}

// -----

func.func @weight_c3_left_over() {
  // expected-error @+1 {{C3: the recipe must leave one value, got 2}}
  %0 = transformer.weight ["a"] [load 0, load 0] : tensor<4xf32>
  return
}

// -----

func.func @weight_c3_no_step() {
  // expected-error @+1 {{C3: the recipe must leave one value, got 0}}
  %0 = transformer.weight ["a"] [] : tensor<4xf32>
  return
}

// -----

module attributes {transformer.sources = {"a" = {shape = [4, 8]}}} {
  func.func @weight_c4() {
    // expected-error @+1 {{C4: source "b" is not in the module's transformer.sources}}
    %0 = transformer.weight ["b"] [load 0] : tensor<4x8xf32>
    return
  }
}

// -----

module attributes {transformer.sources = {"a" = {shape = [4, 8]}}} {
  func.func @weight_c5() {
    // expected-error @+1 {{C5: the recipe must give the result's shape: expected [4, 8], got [8, 4]}}
    %0 = transformer.weight ["a"] [load 0, transpose [1, 0]] : tensor<4x8xf32>
    return
  }
}

// -----

module attributes {transformer.sources = {"a" = {shape = [4, 8]}, "b" = {shape = [5]}}} {
  func.func @weight_c5_reshape() {
    // expected-error @+1 {{C5: step 1 (reshape) cannot make [5, 5] of [4, 8]}}
    %0 = transformer.weight ["a", "b"] [load 0, reshape [5, 5]] : tensor<4x8xf32>
    return
  }
}

// -----

module attributes {transformer.sources = {"a" = {shape = [4, 8]}, "b" = {shape = [5]}}} {
  func.func @weight_c5_transpose() {
    // expected-error @+1 {{C5: step 1 (transpose) permutes 3 axes of a value of shape [4, 8]}}
    %0 = transformer.weight ["a", "b"] [load 0, transpose [2, 1, 0]] : tensor<4x8xf32>
    return
  }
}

// -----

module attributes {transformer.sources = {"a" = {shape = [4, 8]}, "b" = {shape = [5]}}} {
  func.func @weight_c5_slice() {
    // expected-error @+1 {{C5: step 1 (slice) ends at 9 on an axis of size 8}}
    %0 = transformer.weight ["a", "b"] [load 0, slice [1, 0, 9]] : tensor<4x8xf32>
    return
  }
}

// -----

module attributes {transformer.sources = {"a" = {shape = [4, 8]}, "b" = {shape = [5]}}} {
  func.func @weight_c5_axis() {
    // expected-error @+1 {{C5: step 1 (slice) names axis 2 of a value of shape [4, 8]}}
    %0 = transformer.weight ["a", "b"] [load 0, slice [2, 0, 1]] : tensor<4x8xf32>
    return
  }
}

// -----

module attributes {transformer.sources = {"a" = {shape = [4, 8]}, "b" = {shape = [5]}}} {
  func.func @weight_c5_concat() {
    // expected-error @+1 {{C5: step 2 (concat) cannot join [4, 8] and [5] along axis 0}}
    %0 = transformer.weight ["a", "b"] [load 0, load 1, concat [0, 2]] : tensor<4x8xf32>
    return
  }
}

// -----

module attributes {transformer.sources = {"a" = {shape = [4, 8]}, "b" = {shape = [5]}}} {
  func.func @weight_c5_pad() {
    // expected-error @+1 {{C5: step 1 (pad) to 7 on an axis of size 8}}
    %0 = transformer.weight ["a", "b"] [load 0, pad [1, 7]] : tensor<4x8xf32>
    return
  }
}

// -----

// expected-error @+1 {{unknown recipe step 'twist'}}
func.func private @step_unknown() attributes {test.step = #transformer.step<twist [1]>}

// -----

// expected-error @+1 {{unknown element type 'f8'; expected one of f32, f16, bf16, i8, u8, i32, i64, i1}}
func.func private @step_cast() attributes {test.step = #transformer.step<cast f8>}

// -----

// expected-error @+1 {{recipe step 'transpose' needs a permutation, got [0, 0]}}
func.func private @step_transpose() attributes {test.step = #transformer.step<transpose [0, 0]>}

// -----

// expected-error @+1 {{recipe step 'slice' takes 3 integers, got 2}}
func.func private @step_slice() attributes {test.step = #transformer.step<slice [0, 1]>}

// -----

// expected-error @+1 {{recipe step 'slice' begins at 4, behind its end 2}}
func.func private @step_slice_order() attributes {test.step = #transformer.step<slice [0, 4, 2]>}

// -----

// expected-error @+1 {{recipe step 'load' has a negative integer}}
func.func private @step_load() attributes {test.step = #transformer.step<load -1>}

// -----

module attributes {transformer.sources = {"a" = {shape = [4, 8]}}} {
  func.func @weight_c5_overflow() {
    // expected-error @+1 {{C5: step 1 (reshape) cannot make [4294967296, 4294967296] of [4, 8]}}
    %0 = transformer.weight ["a"] [load 0, reshape [4294967296, 4294967296]] : tensor<4x8xf32>
    return
  }
}
