// RUN: ingot-opt %s --split-input-file --verify-diagnostics

func.func @cache_append_c1_heads(%c: tensor<9x2x16x4xf32>, %x: tensor<?x3x?x4xf32>, %t: tensor<?x?xi32>, %p: tensor<?xi32>, %n: tensor<?xi32>) {
  // expected-error @+1 {{C1: dimension 1 of x must be dimension 1 of cache: expected 2, got 3}}
  %0 = transformer.cache_append %c, %x, %t, %p, %n : (tensor<9x2x16x4xf32>, tensor<?x3x?x4xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x2x16x4xf32>
  return
}

// -----

func.func @cache_append_c1_width(%c: tensor<9x2x16x4xf32>, %x: tensor<?x2x?x5xf32>, %t: tensor<?x?xi32>, %p: tensor<?xi32>, %n: tensor<?xi32>) {
  // expected-error @+1 {{C1: dimension 3 of x must be dimension 3 of cache: expected 4, got 5}}
  %0 = transformer.cache_append %c, %x, %t, %p, %n : (tensor<9x2x16x4xf32>, tensor<?x2x?x5xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x2x16x4xf32>
  return
}

// -----

func.func @cache_append_c2_table(%c: tensor<9x2x16x4xf32>, %x: tensor<2x2x?x4xf32>, %t: tensor<3x?xi32>, %p: tensor<?xi32>, %n: tensor<?xi32>) {
  // expected-error @+1 {{C2: dimension 0 of block_table must be dimension 0 of x: expected 2, got 3}}
  %0 = transformer.cache_append %c, %x, %t, %p, %n : (tensor<9x2x16x4xf32>, tensor<2x2x?x4xf32>, tensor<3x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x2x16x4xf32>
  return
}

// -----

func.func @cache_append_c2_past(%c: tensor<9x2x16x4xf32>, %x: tensor<2x2x?x4xf32>, %t: tensor<?x?xi32>, %p: tensor<3xi32>, %n: tensor<?xi32>) {
  // expected-error @+1 {{C2: dimension 0 of past must be dimension 0 of x: expected 2, got 3}}
  %0 = transformer.cache_append %c, %x, %t, %p, %n : (tensor<9x2x16x4xf32>, tensor<2x2x?x4xf32>, tensor<?x?xi32>, tensor<3xi32>, tensor<?xi32>) -> tensor<9x2x16x4xf32>
  return
}

// -----

func.func @cache_append_c2_num_tokens(%c: tensor<9x2x16x4xf32>, %x: tensor<2x2x?x4xf32>, %t: tensor<?x?xi32>, %p: tensor<?xi32>, %n: tensor<3xi32>) {
  // expected-error @+1 {{C2: dimension 0 of num_tokens must be dimension 0 of x: expected 2, got 3}}
  %0 = transformer.cache_append %c, %x, %t, %p, %n : (tensor<9x2x16x4xf32>, tensor<2x2x?x4xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<3xi32>) -> tensor<9x2x16x4xf32>
  return
}

// -----

func.func @cache_append_c3(%c: tensor<9x2x?x4xf32>, %x: tensor<?x2x?x4xf32>, %t: tensor<?x?xi32>, %p: tensor<?xi32>, %n: tensor<?xi32>) {
  // expected-error @+1 {{C3: the block axis of cache must be static and positive, got 'tensor<9x2x?x4xf32>'}}
  %0 = transformer.cache_append %c, %x, %t, %p, %n : (tensor<9x2x?x4xf32>, tensor<?x2x?x4xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x2x?x4xf32>
  return
}

// -----

func.func @cache_append_c4(%c: tensor<9x2x16x4xf32>, %x: tensor<?x2x?x4xf16>, %t: tensor<?x?xi32>, %p: tensor<?xi32>, %n: tensor<?xi32>) {
  // expected-error @+1 {{C4: x must have the element type of cache: expected 'f32', got 'f16'}}
  %0 = transformer.cache_append %c, %x, %t, %p, %n : (tensor<9x2x16x4xf32>, tensor<?x2x?x4xf16>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x2x16x4xf32>
  return
}

// -----

func.func @cache_gather_c1(%c: tensor<9x2x?x4xf32>, %t: tensor<?x?xi32>) {
  // expected-error @+1 {{C1: the block axis of cache must be static and positive, got 'tensor<9x2x?x4xf32>'}}
  %0 = transformer.cache_gather %c, %t : (tensor<9x2x?x4xf32>, tensor<?x?xi32>) -> tensor<?x2x?x4xf32>
  return
}

// -----

func.func @cache_gather_result(%c: tensor<9x2x16x4xf32>, %t: tensor<?x3xi32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<?x2x48x4xf32>' are incompatible with return type(s) of operation 'tensor<?x2x47x4xf32>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = transformer.cache_gather %c, %t : (tensor<9x2x16x4xf32>, tensor<?x3xi32>) -> tensor<?x2x47x4xf32>
  return
}

// -----

func.func @cache_append_c1_by_token(%c: tensor<9x2x16x4xf32>, %x: tensor<?x?x9xf32>, %t: tensor<?x?xi32>, %p: tensor<?xi32>, %n: tensor<?xi32>) {
  // expected-error @+1 {{C1: the last axis of x must be Hkv * D of cache: expected 8, got 9}}
  %0 = transformer.cache_append %c, %x, %t, %p, %n : (tensor<9x2x16x4xf32>, tensor<?x?x9xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x2x16x4xf32>
  return
}

// -----

func.func @cache_append_c1_packed(%c: tensor<9x2x16x4xf32>, %x: tensor<?x9xf32>, %t: tensor<?x?xi32>, %p: tensor<?xi32>, %n: tensor<?xi32>) {
  // expected-error @+1 {{C1: the last axis of x must be Hkv * D of cache: expected 8, got 9}}
  %0 = transformer.cache_append %c, %x, %t, %p cu_seqlens(%n) : (tensor<9x2x16x4xf32>, tensor<?x9xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x2x16x4xf32>
  return
}

// -----

func.func @cache_append_c2_packed(%c: tensor<9x2x16x4xf32>, %x: tensor<?x8xf32>, %t: tensor<2x?xi32>, %p: tensor<3xi32>, %n: tensor<?xi32>) {
  // expected-error @+1 {{C2: dimension 0 of past must be dimension 0 of block_table: expected 2, got 3}}
  %0 = transformer.cache_append %c, %x, %t, %p cu_seqlens(%n) : (tensor<9x2x16x4xf32>, tensor<?x8xf32>, tensor<2x?xi32>, tensor<3xi32>, tensor<?xi32>) -> tensor<9x2x16x4xf32>
  return
}

// -----

func.func @cache_append_c5_packed(%c: tensor<9x2x16x4xf32>, %x: tensor<?x8xf32>, %t: tensor<?x?xi32>, %p: tensor<?xi32>, %n: tensor<?xi32>) {
  // expected-error @+1 {{C5: x of 'tensor<?x8xf32>' needs cu_seqlens and no num_tokens}}
  %0 = transformer.cache_append %c, %x, %t, %p, %n : (tensor<9x2x16x4xf32>, tensor<?x8xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x2x16x4xf32>
  return
}

// -----

func.func @cache_append_c5_by_token(%c: tensor<9x2x16x4xf32>, %x: tensor<?x?x8xf32>, %t: tensor<?x?xi32>, %p: tensor<?xi32>, %n: tensor<?xi32>) {
  // expected-error @+1 {{C5: x of 'tensor<?x?x8xf32>' needs num_tokens and no cu_seqlens}}
  %0 = transformer.cache_append %c, %x, %t, %p cu_seqlens(%n) : (tensor<9x2x16x4xf32>, tensor<?x?x8xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x2x16x4xf32>
  return
}

// -----

func.func @cache_append_c5_both(%c: tensor<9x2x16x4xf32>, %x: tensor<?x?x8xf32>, %t: tensor<?x?xi32>, %p: tensor<?xi32>, %n: tensor<?xi32>) {
  // expected-error @+1 {{C5: x of 'tensor<?x?x8xf32>' needs num_tokens and no cu_seqlens}}
  %0 = transformer.cache_append %c, %x, %t, %p, %n cu_seqlens(%n) : (tensor<9x2x16x4xf32>, tensor<?x?x8xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x2x16x4xf32>
  return
}

// -----

func.func @cache_append_c3_by_token(%c: tensor<9x?x16x4xf32>, %x: tensor<?x?x8xf32>, %t: tensor<?x?xi32>, %p: tensor<?xi32>, %n: tensor<?xi32>) {
  // expected-error @+1 {{C3: Hkv and D of cache must be static for x of 'tensor<?x?x8xf32>', got 'tensor<9x?x16x4xf32>'}}
  %0 = transformer.cache_append %c, %x, %t, %p, %n : (tensor<9x?x16x4xf32>, tensor<?x?x8xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x?x16x4xf32>
  return
}
