// RUN: ingot-opt %s --split-input-file --verify-diagnostics

func.func @add_rms_norm_c1(%x: tensor<?x7x8xf32>, %r: tensor<?x6x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{C1: dimension 1 of residual must be dimension 1 of x: expected 7, got 6}}
  %0, %1 = transformer.add_rms_norm %x, %r, %w {eps = 1.0e-5} : (tensor<?x7x8xf32>, tensor<?x6x8xf32>, tensor<8xf32>) -> (tensor<?x?x8xf32>, tensor<?x?x8xf32>)
  return
}

// -----

func.func @add_rms_norm_c1_rank(%x: tensor<?x7x8xf32>, %r: tensor<?x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{C1: residual must have the rank of x: expected 3, got 2}}
  %0, %1 = transformer.add_rms_norm %x, %r, %w {eps = 1.0e-5} : (tensor<?x7x8xf32>, tensor<?x8xf32>, tensor<8xf32>) -> (tensor<?x?x8xf32>, tensor<?x?x8xf32>)
  return
}

// -----

func.func @add_rms_norm_c2(%x: tensor<?x8xf32>, %w: tensor<7xf32>) {
  // expected-error @+1 {{C2: dimension 0 of weight must be dimension 1 of x: expected 8, got 7}}
  %0, %1 = transformer.add_rms_norm %x, %x, %w {eps = 1.0e-5} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<7xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return
}

// -----

func.func @add_rms_norm_c3_residual(%x: tensor<?x8xf32>, %r: tensor<?x8xf16>, %w: tensor<8xf32>) {
  // expected-error @+1 {{C3: residual must have the element type of x: expected 'f32', got 'f16'}}
  %0, %1 = transformer.add_rms_norm %x, %r, %w {eps = 1.0e-5} : (tensor<?x8xf32>, tensor<?x8xf16>, tensor<8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return
}

// -----

func.func @add_rms_norm_c3_weight(%x: tensor<?x8xf32>, %w: tensor<8xf16>) {
  // expected-error @+1 {{C3: weight must have the element type of x: expected 'f32', got 'f16'}}
  %0, %1 = transformer.add_rms_norm %x, %x, %w {eps = 1.0e-5} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<8xf16>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return
}

// -----

func.func @add_rms_norm_c4(%x: tensor<?x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{C4: eps must be finite and at least 0, got -1}}
  %0, %1 = transformer.add_rms_norm %x, %x, %w {eps = -1.0} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return
}

// -----

func.func @add_layer_norm_c1(%x: tensor<?x7x8xf32>, %r: tensor<?x6x8xf32>) {
  // expected-error @+1 {{C1: dimension 1 of residual must be dimension 1 of x: expected 7, got 6}}
  %0, %1 = transformer.add_layer_norm %x, %r {eps = 1.0e-5} : (tensor<?x7x8xf32>, tensor<?x6x8xf32>) -> (tensor<?x?x8xf32>, tensor<?x?x8xf32>)
  return
}

// -----

func.func @add_layer_norm_c2(%x: tensor<?x8xf32>, %w: tensor<7xf32>) {
  // expected-error @+1 {{C2: dimension 0 of bias must be dimension 1 of x: expected 8, got 7}}
  %0, %1 = transformer.add_layer_norm %x, %x bias(%w) {eps = 1.0e-5} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<7xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return
}

// -----

func.func @add_layer_norm_c3(%x: tensor<?x8xf32>, %w: tensor<8xf16>) {
  // expected-error @+1 {{C3: weight must have the element type of x: expected 'f32', got 'f16'}}
  %0, %1 = transformer.add_layer_norm %x, %x weight(%w) {eps = 1.0e-5} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<8xf16>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return
}

// -----

func.func @add_layer_norm_c4(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{C4: eps must be finite and at least 0, got NaN}}
  %0, %1 = transformer.add_layer_norm %x, %x {eps = 0x7FF8000000000000 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return
}
