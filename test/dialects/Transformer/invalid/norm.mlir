// RUN: ingot-opt %s --split-input-file --verify-diagnostics

func.func @rms_norm_c1(%x: tensor<?x?x8xf32>, %w: tensor<7xf32>) {
  // expected-error @+1 {{C1: dimension 0 of weight must be dimension 2 of x: expected 8, got 7}}
  %0 = transformer.rms_norm %x, %w {eps = 1.0e-5} : (tensor<?x?x8xf32>, tensor<7xf32>) -> tensor<?x?x8xf32>
  return
}

// -----

func.func @rms_norm_c2(%x: tensor<?x?x8xf32>, %w: tensor<8xbf16>) {
  // expected-error @+1 {{C2: weight must have the element type of x: expected 'f32', got 'bf16'}}
  %0 = transformer.rms_norm %x, %w {eps = 1.0e-5} : (tensor<?x?x8xf32>, tensor<8xbf16>) -> tensor<?x?x8xf32>
  return
}

// -----

func.func @rms_norm_c3(%x: tensor<?x?x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{C3: eps must be finite and at least 0, got -1}}
  %0 = transformer.rms_norm %x, %w {eps = -1.0} : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  return
}

// -----

func.func @rms_norm_result(%x: tensor<?x?x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<?x?x8xf32>' are incompatible with return type(s) of operation 'tensor<?x?x8xbf16>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = transformer.rms_norm %x, %w {eps = 0.0} : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xbf16>
  return
}

// -----

func.func @layer_norm_c1_weight(%x: tensor<?x?x8xf32>, %w: tensor<7xf32>) {
  // expected-error @+1 {{C1: dimension 0 of weight must be dimension 2 of x: expected 8, got 7}}
  %0 = transformer.layer_norm %x weight(%w) {eps = 1.0e-5} : (tensor<?x?x8xf32>, tensor<7xf32>) -> tensor<?x?x8xf32>
  return
}

// -----

func.func @layer_norm_c1_bias(%x: tensor<?x?x8xf32>, %w: tensor<7xf32>) {
  // expected-error @+1 {{C1: dimension 0 of bias must be dimension 2 of x: expected 8, got 7}}
  %0 = transformer.layer_norm %x bias(%w) {eps = 1.0e-5} : (tensor<?x?x8xf32>, tensor<7xf32>) -> tensor<?x?x8xf32>
  return
}

// -----

func.func @layer_norm_c2(%x: tensor<?x?x8xf32>, %w: tensor<8xf16>) {
  // expected-error @+1 {{C2: bias must have the element type of x: expected 'f32', got 'f16'}}
  %0 = transformer.layer_norm %x bias(%w) {eps = 1.0e-5} : (tensor<?x?x8xf32>, tensor<8xf16>) -> tensor<?x?x8xf32>
  return
}

// -----

func.func @layer_norm_c3(%x: tensor<?x?x8xf32>) {
  // expected-error @+1 {{C3: eps must be finite and at least 0, got NaN}}
  %0 = transformer.layer_norm %x {eps = 0x7FF8000000000000 : f64} : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return
}

// -----

func.func @l2_normalize_c1(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{C1: eps must be finite and more than 0, got 0}}
  %0 = transformer.l2_normalize %x {eps = 0.0} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}
