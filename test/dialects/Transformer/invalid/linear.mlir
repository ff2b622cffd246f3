// RUN: ingot-opt %s --split-input-file --verify-diagnostics

func.func @linear_c1(%x: tensor<?x?x8xf32>, %w: tensor<4x7xf32>) {
  // expected-error @+1 {{C1: dimension 1 of weight must be dimension 2 of x: expected 8, got 7}}
  %0 = transformer.linear %x, %w : (tensor<?x?x8xf32>, tensor<4x7xf32>) -> tensor<?x?x4xf32>
  return
}

// -----

func.func @linear_c2(%x: tensor<?x?x8xf32>, %w: tensor<4x8xf32>, %b: tensor<5xf32>) {
  // expected-error @+1 {{C2: dimension 0 of bias must be dimension 0 of weight: expected 4, got 5}}
  %0 = transformer.linear %x, %w, %b : (tensor<?x?x8xf32>, tensor<4x8xf32>, tensor<5xf32>) -> tensor<?x?x4xf32>
  return
}

// -----

func.func @linear_c3_weight(%x: tensor<?x?x8xf32>, %w: tensor<4x8xf16>) {
  // expected-error @+1 {{C3: weight must have the element type of x: expected 'f32', got 'f16'}}
  %0 = transformer.linear %x, %w : (tensor<?x?x8xf32>, tensor<4x8xf16>) -> tensor<?x?x4xf32>
  return
}

// -----

func.func @linear_c3_bias(%x: tensor<?x?x8xf32>, %w: tensor<4x8xf32>, %b: tensor<4xf16>) {
  // expected-error @+1 {{C3: bias must have the element type of x: expected 'f32', got 'f16'}}
  %0 = transformer.linear %x, %w, %b : (tensor<?x?x8xf32>, tensor<4x8xf32>, tensor<4xf16>) -> tensor<?x?x4xf32>
  return
}

// -----

func.func @linear_result(%x: tensor<?x?x8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<?x?x4xf32>' are incompatible with return type(s) of operation 'tensor<?x?x8xf32>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = transformer.linear %x, %w : (tensor<?x?x8xf32>, tensor<4x8xf32>) -> tensor<?x?x8xf32>
  return
}

// -----

func.func @activation_kind(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{unknown activation 'swoosh'}}
  %0 = transformer.activation swoosh %x : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @activation_rank(%x: tensor<f32>) {
  // expected-error @+1 {{operand #0 must be 1D/2D/3D/4D/5D tensor}}
  %0 = transformer.activation silu %x : (tensor<f32>) -> tensor<f32>
  return
}
