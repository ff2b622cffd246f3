// RUN: ingot-opt %s --split-input-file --verify-diagnostics

func.func @split_heads_c1(%x: tensor<?x?x8xf32>) {
  // expected-error @+1 {{C1: heads must be at least 1, got 0}}
  %0 = transformer.split_heads %x {heads = 0} : (tensor<?x?x8xf32>) -> tensor<?x?x?x?xf32>
  return
}

// -----

func.func @split_heads_c2(%x: tensor<?x?x8xf32>) {
  // expected-error @+1 {{C2: the last axis of x must be a multiple of heads = 3, got 8}}
  %0 = transformer.split_heads %x {heads = 3} : (tensor<?x?x8xf32>) -> tensor<?x3x?x2xf32>
  return
}

// -----

func.func @merge_heads_c1(%x: tensor<?x?x?x4xf32>) {
  // expected-error @+1 {{C1: the head axis of x must be static, got 'tensor<?x?x?x4xf32>'}}
  %0 = transformer.merge_heads %x : (tensor<?x?x?x4xf32>) -> tensor<?x?x?xf32>
  return
}

// -----

func.func @repeat_kv_c1(%x: tensor<?x2x?x4xf32>) {
  // expected-error @+1 {{C1: repeats must be at least 1, got 0}}
  %0 = transformer.repeat_kv %x {repeats = 0} : (tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32>
  return
}

// -----

func.func @matmul_c1(%a: tensor<?x2x?x4xf32>, %b: tensor<?x3x4x?xf32>) {
  // expected-error @+1 {{C1: dimension 1 of rhs must be dimension 1 of lhs: expected 2, got 3}}
  %0 = transformer.matmul %a, %b : (tensor<?x2x?x4xf32>, tensor<?x3x4x?xf32>) -> tensor<?x2x?x?xf32>
  return
}

// -----

func.func @matmul_c2(%a: tensor<?x2x?x4xf32>, %b: tensor<?x2x5x?xf32>) {
  // expected-error @+1 {{C2: dimension 2 of rhs must be dimension 3 of lhs: expected 4, got 5}}
  %0 = transformer.matmul %a, %b : (tensor<?x2x?x4xf32>, tensor<?x2x5x?xf32>) -> tensor<?x2x?x?xf32>
  return
}

// -----

func.func @matmul_c2_transposed(%a: tensor<?x2x?x4xf32>, %b: tensor<?x2x?x5xf32>) {
  // expected-error @+1 {{C2: dimension 3 of rhs must be dimension 3 of lhs: expected 4, got 5}}
  %0 = transformer.matmul %a, %b {transpose_rhs} : (tensor<?x2x?x4xf32>, tensor<?x2x?x5xf32>) -> tensor<?x2x?x?xf32>
  return
}

// -----

func.func @matmul_c3(%a: tensor<?x2x?x4xf32>, %b: tensor<?x2x4x?xf16>) {
  // expected-error @+1 {{C3: rhs must have the element type of lhs: expected 'f32', got 'f16'}}
  %0 = transformer.matmul %a, %b : (tensor<?x2x?x4xf32>, tensor<?x2x4x?xf16>) -> tensor<?x2x?x?xf32>
  return
}

// -----

func.func @attention_mask_c1_keys(%q: tensor<2x?xi32>, %k: tensor<3x?xi32>) {
  // expected-error @+1 {{C1: dimension 0 of key_positions must be dimension 0 of query_positions: expected 2, got 3}}
  %0 = transformer.attention_mask %q, %k : (tensor<2x?xi32>, tensor<3x?xi32>) -> tensor<2x?x?xi1>
  return
}

// -----

func.func @attention_mask_c1_valid(%q: tensor<2x?xi32>, %k: tensor<2x?xi32>, %v: tensor<3x?xi1>) {
  // expected-error @+1 {{C1: dimension 0 of key_valid must be dimension 0 of query_positions: expected 2, got 3}}
  %0 = transformer.attention_mask %q, %k, %v : (tensor<2x?xi32>, tensor<2x?xi32>, tensor<3x?xi1>) -> tensor<2x?x?xi1>
  return
}

// -----

func.func @attention_mask_c2(%q: tensor<2x?xi32>, %k: tensor<2x5xi32>, %v: tensor<2x6xi1>) {
  // expected-error @+1 {{C2: dimension 1 of key_valid must be dimension 1 of key_positions: expected 5, got 6}}
  %0 = transformer.attention_mask %q, %k, %v : (tensor<2x?xi32>, tensor<2x5xi32>, tensor<2x6xi1>) -> tensor<2x?x5xi1>
  return
}

// -----

func.func @attention_mask_c3(%q: tensor<2x?xi32>, %k: tensor<2x5xi32>) {
  // expected-error @+1 {{C3: window must be at least 1, got 0}}
  %0 = transformer.attention_mask %q, %k {window = 0} : (tensor<2x?xi32>, tensor<2x5xi32>) -> tensor<2x?x5xi1>
  return
}

// -----

func.func @apply_mask_c1(%s: tensor<?x2x3x4xf32>, %m: tensor<?x3x5xi1>) {
  // expected-error @+1 {{C1: dimension 2 of mask must be dimension 3 of scores: expected 4, got 5}}
  %0 = transformer.apply_mask %s, %m : (tensor<?x2x3x4xf32>, tensor<?x3x5xi1>) -> tensor<?x2x3x4xf32>
  return
}

// -----

func.func @softmax_result(%s: tensor<?x3xf32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<?x3xf32>' are incompatible with return type(s) of operation 'tensor<?x4xf32>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = transformer.softmax %s : (tensor<?x3xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @repeat_kv_too_large(%x: tensor<?x8x?x4xf32>) {
  // expected-error @+2 {{operands have the wrong rank or size}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = transformer.repeat_kv %x {repeats = 4611686018427387904} : (tensor<?x8x?x4xf32>) -> tensor<?x?x?x4xf32>
  return
}

// -----

func.func @add_bias_c1(%s: tensor<?x4x7x9xf32>, %b: tensor<1x4x7x8xf32>) {
  // expected-error @+1 {{C1: dimension 3 of bias must be dimension 3 of scores: expected 9, got 8}}
  %0 = transformer.add_bias %s, %b : (tensor<?x4x7x9xf32>, tensor<1x4x7x8xf32>) -> tensor<?x4x7x9xf32>
  return
}

// -----

func.func @add_bias_c2(%s: tensor<?x4x7x9xf32>, %b: tensor<1x2x7x9xf32>) {
  // expected-error @+1 {{C2: dimension 1 of bias must be dimension 1 of scores: expected 4, got 2}}
  %0 = transformer.add_bias %s, %b : (tensor<?x4x7x9xf32>, tensor<1x2x7x9xf32>) -> tensor<?x4x7x9xf32>
  return
}

// -----

func.func @add_alibi_c1(%s: tensor<?x4x7x9xf32>, %a: tensor<3xf32>, %q: tensor<?x7xi32>, %k: tensor<?x9xi32>) {
  // expected-error @+1 {{C1: dimension 0 of slopes must be dimension 1 of scores: expected 4, got 3}}
  %0 = transformer.add_alibi %s, %a, %q, %k : (tensor<?x4x7x9xf32>, tensor<3xf32>, tensor<?x7xi32>, tensor<?x9xi32>) -> tensor<?x4x7x9xf32>
  return
}

// -----

func.func @add_alibi_c2(%s: tensor<?x4x7x9xf32>, %a: tensor<4xf32>, %q: tensor<?x9xi32>, %k: tensor<?x9xi32>) {
  // expected-error @+1 {{C2: dimension 1 of query_positions must be dimension 2 of scores: expected 7, got 9}}
  %0 = transformer.add_alibi %s, %a, %q, %k : (tensor<?x4x7x9xf32>, tensor<4xf32>, tensor<?x9xi32>, tensor<?x9xi32>) -> tensor<?x4x7x9xf32>
  return
}

// -----

func.func @add_alibi_c3(%s: tensor<?x4x7x9xf32>, %a: tensor<4xf32>, %q: tensor<?x7xi32>, %k: tensor<?x7xi32>) {
  // expected-error @+1 {{C3: dimension 1 of key_positions must be dimension 3 of scores: expected 9, got 7}}
  %0 = transformer.add_alibi %s, %a, %q, %k : (tensor<?x4x7x9xf32>, tensor<4xf32>, tensor<?x7xi32>, tensor<?x7xi32>) -> tensor<?x4x7x9xf32>
  return
}

// -----

func.func @scale_heads_c1(%s: tensor<?x4x7x9xf32>, %f: tensor<7xf32>) {
  // expected-error @+1 {{C1: dimension 0 of factors must be dimension 1 of x: expected 4, got 7}}
  %0 = transformer.scale_heads %s, %f : (tensor<?x4x7x9xf32>, tensor<7xf32>) -> tensor<?x4x7x9xf32>
  return
}

// -----

func.func @softmax_c1_rank(%s: tensor<?x4xf32>, %f: tensor<4xf32>) {
  // expected-error @+1 {{C1: x must have at least three axes with sinks, got 'tensor<?x4xf32>'}}
  %0 = transformer.softmax %s, %f : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @softmax_c1(%s: tensor<?x4x7x9xf32>, %f: tensor<7xf32>) {
  // expected-error @+1 {{C1: dimension 0 of sinks must be dimension 1 of x: expected 4, got 7}}
  %0 = transformer.softmax %s, %f : (tensor<?x4x7x9xf32>, tensor<7xf32>) -> tensor<?x4x7x9xf32>
  return
}
