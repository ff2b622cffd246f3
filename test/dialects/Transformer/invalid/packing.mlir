// RUN: ingot-opt %s --split-input-file --verify-diagnostics

func.func @length_mask_c1(%n: tensor<2xi32>, %x: tensor<3x?xi32>) {
  // expected-error @+1 {{C1: dimension 0 of like must be dimension 0 of lengths: expected 2, got 3}}
  %0 = transformer.length_mask %n, %x : (tensor<2xi32>, tensor<3x?xi32>) -> tensor<?x?xi1>
  return
}

// -----

func.func @cu_seqlens_c1(%m: tensor<?x?xi1>) {
  // expected-error @+1 {{C1: rows must be in [1, 2^31), got 0}}
  %0 = transformer.cu_seqlens %m {rows = 0} : (tensor<?x?xi1>) -> tensor<1xi32>
  return
}

// -----

func.func @cu_seqlens_c2(%m: tensor<5x?xi1>) {
  // expected-error @+1 {{C2: B must be at most rows = 4, got 5}}
  %0 = transformer.cu_seqlens %m {rows = 4} : (tensor<5x?xi1>) -> tensor<5xi32>
  return
}

// -----

func.func @packed_positions_c1(%cu: tensor<5xi32>, %x: tensor<?x8xf32>) {
  // expected-error @+1 {{C1: offset must be in [0, 2^31), got -1}}
  %0 = transformer.packed_positions %cu, %x {offset = -1} : (tensor<5xi32>, tensor<?x8xf32>) -> tensor<?xi32>
  return
}

// -----

func.func @packed_positions_c1_padding(%cu: tensor<5xi32>, %m: tensor<?xi1>) {
  // expected-error @+1 {{C1: padding_position must be in [0, 2^31), got 2147483648}}
  %0 = transformer.packed_positions %cu, %m counted %m {padding_position = 2147483648} : (tensor<5xi32>, tensor<?xi1>, tensor<?xi1>) -> tensor<?xi32>
  return
}

// -----

func.func @packed_positions_c2(%cu: tensor<5xi32>, %x: tensor<7x8xf32>, %m: tensor<6xi1>) {
  // expected-error @+1 {{C2: dimension 0 of like must be dimension 0 of counted: expected 6, got 7}}
  %0 = transformer.packed_positions %cu, %x counted %m : (tensor<5xi32>, tensor<7x8xf32>, tensor<6xi1>) -> tensor<7xi32>
  return
}

// -----

func.func @packed_positions_c3(%cu: tensor<5xi32>, %x: tensor<?x8xf32>) {
  // expected-error @+1 {{C3: padding_position must come with counted: without it every token counts}}
  %0 = transformer.packed_positions %cu, %x {padding_position = 1} : (tensor<5xi32>, tensor<?x8xf32>) -> tensor<?xi32>
  return
}

// -----

func.func @packed_mean_pool_c1(%cu: tensor<5xi32>, %x: tensor<?x8xf32>, %l: tensor<6xi32>) {
  // expected-error @+1 {{C1: B must be at most N - 1 = 4, got 6}}
  %0 = transformer.packed_mean_pool %x, %cu like %l : (tensor<?x8xf32>, tensor<5xi32>, tensor<6xi32>) -> tensor<6x8xf32>
  return
}

// -----

func.func @packed_token_c1(%cu: tensor<5xi32>, %x: tensor<?x8xf32>, %l: tensor<6xi32>) {
  // expected-error @+1 {{C1: B must be at most N - 1 = 4, got 6}}
  %0 = transformer.packed_token %x, %cu like %l : (tensor<?x8xf32>, tensor<5xi32>, tensor<6xi32>) -> tensor<6x8xf32>
  return
}

// -----

func.func @pack_rank(%x: tensor<?xi32>, %i: tensor<?xi32>) {
  // expected-error @+1 {{operand #0 must be 2D/3D/4D/5D tensor}}
  %0 = transformer.pack %x, %i : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xi32>
  return
}

// -----

func.func @token_indices_mask(%m: tensor<?x?xi32>, %cu: tensor<5xi32>) {
  // expected-error @+1 {{operand #0 must be 2D tensor of 1-bit signless integer values}}
  %0 = transformer.token_indices %m, %cu : (tensor<?x?xi32>, tensor<5xi32>) -> tensor<?xi32>
  return
}

// -----

func.func @packed_token_rows(%cu: tensor<?xi32>, %x: tensor<?x8xf32>) {
  // expected-error @+2 {{operands have the wrong rank or size}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = transformer.packed_token %x, %cu : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  return
}
