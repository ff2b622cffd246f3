// RUN: ingot-opt %s --split-input-file --verify-diagnostics

func.func @embedding_result(%t: tensor<9x4xf32>, %i: tensor<2x?xi32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<2x?x4xf32>' are incompatible with return type(s) of operation 'tensor<2x?x5xf32>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = transformer.embedding %t, %i : (tensor<9x4xf32>, tensor<2x?xi32>) -> tensor<2x?x5xf32>
  return
}

// -----

func.func @embedding_ids(%t: tensor<9x4xf32>, %i: tensor<2xi64>) {
  // expected-error @+1 {{operand #1 must be 1D/2D/3D/4D tensor of 32-bit signless integer values}}
  %0 = transformer.embedding %t, %i : (tensor<9x4xf32>, tensor<2xi64>) -> tensor<2x4xf32>
  return
}

// -----

func.func @positions_c1_offset(%m: tensor<?x?xi1>) {
  // expected-error @+1 {{C1: offset must be in [0, 2^31), got -1}}
  %0 = transformer.positions %m {offset = -1} : (tensor<?x?xi1>) -> tensor<?x?xi32>
  return
}

// -----

func.func @positions_c1_padding_position(%m: tensor<?x?xi1>) {
  // expected-error @+1 {{C1: padding_position must be in [0, 2^31), got 2147483648}}
  %0 = transformer.positions %m {padding_position = 2147483648} : (tensor<?x?xi1>) -> tensor<?x?xi32>
  return
}

// -----

func.func @token_positions_c1(%p: tensor<2xi32>, %l: tensor<3x?xi32>) {
  // expected-error @+1 {{C1: dimension 0 of like must be dimension 0 of past: expected 2, got 3}}
  %0 = transformer.token_positions %p, %l : (tensor<2xi32>, tensor<3x?xi32>) -> tensor<2x?xi32>
  return
}

// -----

func.func @context_positions_c1(%t: tensor<?x?xi32>) {
  // expected-error @+1 {{C1: block_size must be at least 1, got 0}}
  %0 = transformer.context_positions %t {block_size = 0} : (tensor<?x?xi32>) -> tensor<?x?xi32>
  return
}

// -----

func.func @rope_table_c1(%p: tensor<2x?xi32>, %f: tensor<3x4xf32>) {
  // expected-error @+1 {{C1: dimension 0 of inv_freq must be dimension 0 of positions: expected 2, got 3}}
  %0, %1 = transformer.rope_table %p, %f : (tensor<2x?xi32>, tensor<3x4xf32>) -> (tensor<2x?x4xf32>, tensor<2x?x4xf32>)
  return
}

// -----

func.func @rope_table_c2(%p: tensor<2x?xi32>, %f: tensor<4xf32>) {
  // expected-error @+1 {{C2: attention_factor must be finite}}
  %0, %1 = transformer.rope_table %p, %f {attention_factor = 0x7FF0000000000000 : f64} : (tensor<2x?xi32>, tensor<4xf32>) -> (tensor<2x?x4xf32>, tensor<2x?x4xf32>)
  return
}

// -----

func.func @dynamic_rope_frequencies_c1(%p: tensor<2x?xi32>) {
  // expected-error @+1 {{C1: dim must be even and at least 4, got 7}}
  %0 = transformer.dynamic_rope_frequencies %p {base = 1.0e4, dim = 7, factor = 2.0, max_position = 8} : (tensor<2x?xi32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @dynamic_rope_frequencies_c2_base(%p: tensor<2x?xi32>) {
  // expected-error @+1 {{C2: base must be finite and more than 1, got 1}}
  %0 = transformer.dynamic_rope_frequencies %p {base = 1.0, dim = 8, factor = 2.0, max_position = 8} : (tensor<2x?xi32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @dynamic_rope_frequencies_c2_factor(%p: tensor<2x?xi32>) {
  // expected-error @+1 {{C2: factor must be finite and at least 1, got 0.5}}
  %0 = transformer.dynamic_rope_frequencies %p {base = 1.0e4, dim = 8, factor = 0.5, max_position = 8} : (tensor<2x?xi32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @dynamic_rope_frequencies_c3(%p: tensor<2x?xi32>) {
  // expected-error @+1 {{C3: max_position must be in [1, 2^31), got 0}}
  %0 = transformer.dynamic_rope_frequencies %p {base = 1.0e4, dim = 8, factor = 2.0, max_position = 0} : (tensor<2x?xi32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @rope_c1(%x: tensor<2x3x5x8xf32>, %c: tensor<2x5x4xf32>, %s: tensor<2x5x3xf32>) {
  // expected-error @+1 {{C1: dimension 2 of sin must be dimension 2 of cos: expected 4, got 3}}
  %0 = transformer.rope %x, %c, %s : (tensor<2x3x5x8xf32>, tensor<2x5x4xf32>, tensor<2x5x3xf32>) -> tensor<2x3x5x8xf32>
  return
}

// -----

func.func @rope_c2(%x: tensor<?x3x5x8xf32>, %c: tensor<2x6x4xf32>) {
  // expected-error @+1 {{C2: dimension 1 of cos must be dimension 2 of x: expected 5, got 6}}
  %0 = transformer.rope %x, %c, %c : (tensor<?x3x5x8xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>) -> tensor<?x3x5x8xf32>
  return
}

// -----

func.func @rope_c3(%x: tensor<?x3x5x8xf32>, %c: tensor<2x5x5xf32>) {
  // expected-error @+1 {{C3: twice the last dimension of cos must be at most D = 8, got 10}}
  %0 = transformer.rope %x, %c, %c : (tensor<?x3x5x8xf32>, tensor<2x5x5xf32>, tensor<2x5x5xf32>) -> tensor<?x3x5x8xf32>
  return
}

// -----

func.func @rope_table_c1_packed(%p: tensor<5xi32>, %f: tensor<3x4xf32>) {
  // expected-error @+1 {{C1: dimension 0 of inv_freq must be dimension 0 of positions: expected 5, got 3}}
  %0, %1 = transformer.rope_table %p, %f : (tensor<5xi32>, tensor<3x4xf32>) -> (tensor<5x4xf32>, tensor<5x4xf32>)
  return
}

// -----

func.func @rope_c1_rank(%x: tensor<?x24xf32>, %c: tensor<?x4xf32>, %s: tensor<?x5x4xf32>) {
  // expected-error @+1 {{C1: cos and sin must have the same shape, got 'tensor<?x4xf32>' and 'tensor<?x5x4xf32>'}}
  %0 = transformer.rope %x, %c, %s {heads = 3} : (tensor<?x24xf32>, tensor<?x4xf32>, tensor<?x5x4xf32>) -> tensor<?x24xf32>
  return
}

// -----

func.func @rope_c2_rank(%x: tensor<?x5x24xf32>, %c: tensor<?x4xf32>, %s: tensor<?x4xf32>) {
  // expected-error @+1 {{C2: cos must be of rank 3 for x of 'tensor<?x5x24xf32>', got 'tensor<?x4xf32>'}}
  %0 = transformer.rope %x, %c, %s {heads = 3} : (tensor<?x5x24xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x5x24xf32>
  return
}

// -----

func.func @rope_c2_by_token(%x: tensor<?x5x24xf32>, %c: tensor<?x6x4xf32>, %s: tensor<?x6x4xf32>) {
  // expected-error @+1 {{C2: dimension 1 of cos must be dimension 1 of x: expected 5, got 6}}
  %0 = transformer.rope %x, %c, %s {heads = 3} : (tensor<?x5x24xf32>, tensor<?x6x4xf32>, tensor<?x6x4xf32>) -> tensor<?x5x24xf32>
  return
}

// -----

func.func @rope_c3_by_token(%x: tensor<?x5x24xf32>, %c: tensor<?x5x4xf32>, %s: tensor<?x5x4xf32>) {
  // expected-error @+1 {{C3: twice the last dimension of cos must be at most D = 6, got 8}}
  %0 = transformer.rope %x, %c, %s {heads = 4} : (tensor<?x5x24xf32>, tensor<?x5x4xf32>, tensor<?x5x4xf32>) -> tensor<?x5x24xf32>
  return
}

// -----

func.func @rope_c4_missing(%x: tensor<?x5x24xf32>, %c: tensor<?x5x4xf32>, %s: tensor<?x5x4xf32>) {
  // expected-error @+1 {{C4: heads must be given unless x is of rank 4}}
  %0 = transformer.rope %x, %c, %s : (tensor<?x5x24xf32>, tensor<?x5x4xf32>, tensor<?x5x4xf32>) -> tensor<?x5x24xf32>
  return
}

// -----

func.func @rope_c4_by_head(%x: tensor<?x3x5x8xf32>, %c: tensor<?x5x4xf32>, %s: tensor<?x5x4xf32>) {
  // expected-error @+1 {{C4: heads must be given unless x is of rank 4}}
  %0 = transformer.rope %x, %c, %s {heads = 3} : (tensor<?x3x5x8xf32>, tensor<?x5x4xf32>, tensor<?x5x4xf32>) -> tensor<?x3x5x8xf32>
  return
}

// -----

func.func @rope_c4_positive(%x: tensor<?x5x24xf32>, %c: tensor<?x5x4xf32>, %s: tensor<?x5x4xf32>) {
  // expected-error @+1 {{C4: heads must be at least 1, got 0}}
  %0 = transformer.rope %x, %c, %s {heads = 0} : (tensor<?x5x24xf32>, tensor<?x5x4xf32>, tensor<?x5x4xf32>) -> tensor<?x5x24xf32>
  return
}

// -----

func.func @rope_c4_multiple(%x: tensor<?x5x24xf32>, %c: tensor<?x5x4xf32>, %s: tensor<?x5x4xf32>) {
  // expected-error @+1 {{C4: the last axis of x must be a multiple of heads = 5, got 24}}
  %0 = transformer.rope %x, %c, %s {heads = 5} : (tensor<?x5x24xf32>, tensor<?x5x4xf32>, tensor<?x5x4xf32>) -> tensor<?x5x24xf32>
  return
}
