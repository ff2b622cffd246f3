// RUN: ingot-opt %s --split-input-file --verify-diagnostics

func.func @gated_linear_c1(%x: tensor<?x?x8xf32>, %w: tensor<4x7xf32>) {
  // expected-error @+1 {{C1: dimension 1 of weight must be dimension 2 of x: expected 8, got 7}}
  %0 = transformer.gated_linear silu %x, %w : (tensor<?x?x8xf32>, tensor<4x7xf32>) -> tensor<?x?x2xf32>
  return
}

// -----

func.func @gated_linear_c2(%x: tensor<?x?x8xf32>, %w: tensor<4x8xf32>, %b: tensor<2xf32>) {
  // expected-error @+1 {{C2: dimension 0 of bias must be dimension 0 of weight: expected 4, got 2}}
  %0 = transformer.gated_linear silu %x, %w, %b : (tensor<?x?x8xf32>, tensor<4x8xf32>, tensor<2xf32>) -> tensor<?x?x?xf32>
  return
}

// -----

func.func @gated_linear_c3_weight(%x: tensor<?x?x8xf32>, %w: tensor<4x8xf16>) {
  // expected-error @+1 {{C3: weight must have the element type of x: expected 'f32', got 'f16'}}
  %0 = transformer.gated_linear silu %x, %w : (tensor<?x?x8xf32>, tensor<4x8xf16>) -> tensor<?x?x2xf32>
  return
}

// -----

func.func @gated_linear_c3_bias(%x: tensor<?x?x8xf32>, %w: tensor<4x8xf32>, %b: tensor<4xf16>) {
  // expected-error @+1 {{C3: bias must have the element type of x: expected 'f32', got 'f16'}}
  %0 = transformer.gated_linear silu %x, %w, %b : (tensor<?x?x8xf32>, tensor<4x8xf32>, tensor<4xf16>) -> tensor<?x?x2xf32>
  return
}

// -----

func.func @gated_linear_c4(%x: tensor<?x?x8xf32>, %w: tensor<5x8xf32>) {
  // expected-error @+1 {{C4: weight must have an even number of rows, got 5}}
  %0 = transformer.gated_linear silu %x, %w : (tensor<?x?x8xf32>, tensor<5x8xf32>) -> tensor<?x?x?xf32>
  return
}
