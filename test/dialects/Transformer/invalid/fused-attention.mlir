// RUN: ingot-opt %s --split-input-file --verify-diagnostics

func.func @attention_c1_past(%q: tensor<2x7x32xf32>, %k: tensor<9x2x4x8xf32>, %v: tensor<9x2x4x8xf32>, %block_table: tensor<2x3xi32>) {
  // expected-error @+1 {{C1: padded, paged attention has past}}
  %r = transformer.attention %q, %k, %v block_table(%block_table) {heads = 4, kv_heads = 2, scale = 0.5, causal} : (tensor<2x7x32xf32>, tensor<9x2x4x8xf32>, tensor<9x2x4x8xf32>, tensor<2x3xi32>) -> tensor<2x7x32xf32>
  return
}

// -----

func.func @attention_c1_no_past(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>, %past: tensor<2xi32>) {
  // expected-error @+1 {{C1: padded attention has no past}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) past(%past) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>, tensor<2xi32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c1_positions(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C1: padded attention has query_positions}}
  %r = transformer.attention %q, %k, %v key_positions(%key_positions) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x9xi32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c1_key_positions(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>) {
  // expected-error @+1 {{C1: padded attention has key_positions}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c1_packed(%q: tensor<7x32xf32>, %k: tensor<7x16xf32>, %v: tensor<7x16xf32>, %cu_seqlens: tensor<5xi32>, %query_positions: tensor<2x7xi32>) {
  // expected-error @+1 {{C1: packed attention has no query_positions}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) cu_seqlens(%cu_seqlens) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<7x32xf32>, tensor<7x16xf32>, tensor<7x16xf32>, tensor<2x7xi32>, tensor<5xi32>) -> tensor<7x32xf32>
  return
}

// -----

func.func @attention_c1_key_valid(%q: tensor<7x32xf32>, %k: tensor<7x16xf32>, %v: tensor<7x16xf32>, %cu_seqlens: tensor<5xi32>, %key_valid: tensor<2x7xi1>) {
  // expected-error @+1 {{C1: packed attention has no key_valid}}
  %r = transformer.attention %q, %k, %v key_valid(%key_valid) cu_seqlens(%cu_seqlens) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<7x32xf32>, tensor<7x16xf32>, tensor<7x16xf32>, tensor<2x7xi1>, tensor<5xi32>) -> tensor<7x32xf32>
  return
}

// -----

func.func @attention_c1_causal(%q: tensor<2x7x32xf32>, %k: tensor<9x2x4x8xf32>, %v: tensor<9x2x4x8xf32>, %block_table: tensor<2x3xi32>, %past: tensor<2xi32>) {
  // expected-error @+1 {{C1: padded, paged attention must be causal}}
  %r = transformer.attention %q, %k, %v block_table(%block_table) past(%past) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<9x2x4x8xf32>, tensor<9x2x4x8xf32>, tensor<2x3xi32>, tensor<2xi32>) -> tensor<2x7x32xf32>
  return
}

// -----

func.func @attention_c2_q(%q: tensor<2x7x32xf32>, %k: tensor<7x16xf32>, %v: tensor<7x16xf32>, %cu_seqlens: tensor<5xi32>) {
  // expected-error @+1 {{C2: q of packed attention must be of rank 2, got 'tensor<2x7x32xf32>'}}
  %r = transformer.attention %q, %k, %v cu_seqlens(%cu_seqlens) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<7x16xf32>, tensor<7x16xf32>, tensor<5xi32>) -> tensor<2x7x32xf32>
  return
}

// -----

func.func @attention_c2_k(%q: tensor<7x32xf32>, %k: tensor<7x16xf32>, %v: tensor<7x16xf32>, %cu_seqlens: tensor<5xi32>, %block_table: tensor<2x3xi32>, %past: tensor<2xi32>) {
  // expected-error @+1 {{C2: k of packed, paged attention must be of rank 4, got 'tensor<7x16xf32>'}}
  %r = transformer.attention %q, %k, %v cu_seqlens(%cu_seqlens) block_table(%block_table) past(%past) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<7x32xf32>, tensor<7x16xf32>, tensor<7x16xf32>, tensor<5xi32>, tensor<2x3xi32>, tensor<2xi32>) -> tensor<7x32xf32>
  return
}

// -----

func.func @attention_c2_v(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C2: v of padded attention must be of rank 3, got 'tensor<9x12xf32>'}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c3_heads(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C3: heads must be at least 1, got 0}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 0, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>) -> tensor<2x7x0xf32>
  return
}

// -----

func.func @attention_c3_kv_heads(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C3: kv_heads must be at least 1, got 0}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 0, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>) -> tensor<2x7x48xf32>
  return
}

// -----

func.func @attention_c3_multiple(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C3: heads must be a multiple of kv_heads = 3, got 4}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 3, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>) -> tensor<2x7x16xf32>
  return
}

// -----

func.func @attention_c4_q(%q: tensor<2x7x33xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C4: the last axis of q must be a multiple of its heads = 4, got 33}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x33xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c4_k(%q: tensor<2x7x32xf32>, %k: tensor<2x9x17xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C4: the last axis of k must be a multiple of its heads = 2, got 17}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x17xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c4_v(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x13xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C4: the last axis of v must be a multiple of its heads = 2, got 13}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x13xf32>, tensor<2x7xi32>, tensor<2x9xi32>) -> tensor<2x7x26xf32>
  return
}

// -----

func.func @attention_c4_width(%q: tensor<2x7x32xf32>, %k: tensor<2x9x18xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C4: a head of k must be as wide as one of q: expected 8, got 9}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x18xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c4_cache_heads(%q: tensor<2x7x32xf32>, %k: tensor<9x3x4x8xf32>, %v: tensor<9x2x4x8xf32>, %block_table: tensor<2x3xi32>, %past: tensor<2xi32>) {
  // expected-error @+1 {{C4: k must have kv_heads = 2 heads, got 'tensor<9x3x4x8xf32>'}}
  %r = transformer.attention %q, %k, %v block_table(%block_table) past(%past) {heads = 4, kv_heads = 2, scale = 0.5, causal} : (tensor<2x7x32xf32>, tensor<9x3x4x8xf32>, tensor<9x2x4x8xf32>, tensor<2x3xi32>, tensor<2xi32>) -> tensor<2x7x32xf32>
  return
}

// -----

func.func @attention_c4_cache_block(%q: tensor<2x7x32xf32>, %k: tensor<9x2x4x8xf32>, %v: tensor<9x2x?x8xf32>, %block_table: tensor<2x3xi32>, %past: tensor<2xi32>) {
  // expected-error @+1 {{C4: the block axis of v must be static and positive, got 'tensor<9x2x?x8xf32>'}}
  %r = transformer.attention %q, %k, %v block_table(%block_table) past(%past) {heads = 4, kv_heads = 2, scale = 0.5, causal} : (tensor<2x7x32xf32>, tensor<9x2x4x8xf32>, tensor<9x2x?x8xf32>, tensor<2x3xi32>, tensor<2xi32>) -> tensor<2x7x32xf32>
  return
}

// -----

func.func @attention_c5_keys(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x8x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C5: dimension 1 of v must be dimension 1 of k: expected 9, got 8}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x8x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c5_query_positions(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x9xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C5: dimension 1 of query_positions must be dimension 1 of q: expected 7, got 9}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x9xi32>, tensor<2x9xi32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c5_key_valid(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>, %key_valid: tensor<3x9xi1>) {
  // expected-error @+1 {{C5: dimension 0 of key_valid must be dimension 0 of k: expected 2, got 3}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) key_valid(%key_valid) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>, tensor<3x9xi1>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c5_tokens(%q: tensor<7x32xf32>, %k: tensor<8x16xf32>, %v: tensor<7x16xf32>, %cu_seqlens: tensor<5xi32>) {
  // expected-error @+1 {{C5: dimension 0 of k must be dimension 0 of q: expected 7, got 8}}
  %r = transformer.attention %q, %k, %v cu_seqlens(%cu_seqlens) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<7x32xf32>, tensor<8x16xf32>, tensor<7x16xf32>, tensor<5xi32>) -> tensor<7x32xf32>
  return
}

// -----

func.func @attention_c5_caches(%q: tensor<2x7x32xf32>, %k: tensor<9x2x4x8xf32>, %v: tensor<9x2x8x8xf32>, %block_table: tensor<2x3xi32>, %past: tensor<2xi32>) {
  // expected-error @+1 {{C5: dimension 2 of v must be dimension 2 of k: expected 4, got 8}}
  %r = transformer.attention %q, %k, %v block_table(%block_table) past(%past) {heads = 4, kv_heads = 2, scale = 0.5, causal} : (tensor<2x7x32xf32>, tensor<9x2x4x8xf32>, tensor<9x2x8x8xf32>, tensor<2x3xi32>, tensor<2xi32>) -> tensor<2x7x32xf32>
  return
}

// -----

func.func @attention_c5_rows(%q: tensor<2x7x32xf32>, %k: tensor<9x2x4x8xf32>, %v: tensor<9x2x4x8xf32>, %block_table: tensor<2x3xi32>, %past: tensor<3xi32>) {
  // expected-error @+1 {{C5: dimension 0 of past must be dimension 0 of block_table: expected 2, got 3}}
  %r = transformer.attention %q, %k, %v block_table(%block_table) past(%past) {heads = 4, kv_heads = 2, scale = 0.5, causal} : (tensor<2x7x32xf32>, tensor<9x2x4x8xf32>, tensor<9x2x4x8xf32>, tensor<2x3xi32>, tensor<3xi32>) -> tensor<2x7x32xf32>
  return
}

// -----

func.func @attention_c6_k(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf16>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C6: k must have the element type of q: expected 'f32', got 'f16'}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf16>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c6_v(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf16>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C6: v must have the element type of q: expected 'f32', got 'f16'}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf16>, tensor<2x7xi32>, tensor<2x9xi32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c7_scale(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C7: scale must be finite}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 2, scale = 0x7FF0000000000000 : f64} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c7_window(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C7: window must be at least 1, got 0}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 2, scale = 0.5, window = 0} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c7_softcap(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C7: softcap must be finite and more than 0, got 0}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 2, scale = 0.5, softcap = 0.0} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c8_form(%q: tensor<7x32xf32>, %k: tensor<7x16xf32>, %v: tensor<7x16xf32>, %cu_seqlens: tensor<5xi32>, %bias: tensor<1x4x7x7xf32>) {
  // expected-error @+1 {{C8: bias must be absent unless attention is padded and not paged}}
  %r = transformer.attention %q, %k, %v cu_seqlens(%cu_seqlens) bias(%bias) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<7x32xf32>, tensor<7x16xf32>, tensor<7x16xf32>, tensor<5xi32>, tensor<1x4x7x7xf32>) -> tensor<7x32xf32>
  return
}

// -----

func.func @attention_c8_rows(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>, %bias: tensor<3x4x7x9xf32>) {
  // expected-error @+1 {{C8: dimension 0 of bias must be dimension 0 of q: expected 2, got 3}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) bias(%bias) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>, tensor<3x4x7x9xf32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c8_heads(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>, %bias: tensor<1x2x7x9xf32>) {
  // expected-error @+1 {{C8: bias must have 1 or heads = 4 heads, got 2}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) bias(%bias) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>, tensor<1x2x7x9xf32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c8_queries(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>, %bias: tensor<1x4x9x9xf32>) {
  // expected-error @+1 {{C8: dimension 2 of bias must be dimension 1 of q: expected 7, got 9}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) bias(%bias) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>, tensor<1x4x9x9xf32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c8_keys(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>, %bias: tensor<1x4x7x7xf32>) {
  // expected-error @+1 {{C8: dimension 3 of bias must be dimension 1 of k: expected 9, got 7}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) bias(%bias) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>, tensor<1x4x7x7xf32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c9_alibi(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>, %alibi_slopes: tensor<2xf32>) {
  // expected-error @+1 {{C9: alibi_slopes must have heads = 4 elements, got 2}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) alibi_slopes(%alibi_slopes) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>, tensor<2xf32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c9_sinks(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>, %sinks: tensor<2xf32>) {
  // expected-error @+1 {{C9: sinks must have heads = 4 elements, got 2}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) sinks(%sinks) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>, tensor<2xf32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c9_head_mask(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>, %head_mask: tensor<2xf32>) {
  // expected-error @+1 {{C9: head_mask must have heads = 4 elements, got 2}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) head_mask(%head_mask) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>, tensor<2xf32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c9_before(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C9: alibi_before_scale needs alibi_slopes}}
  %r = transformer.attention %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 2, scale = 0.5, alibi_before_scale} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c10(%q: tensor<7x32xf32>, %k: tensor<7x16xf32>, %v: tensor<7x16xf32>, %cu_seqlens: tensor<5xi32>) {
  // expected-error @+1 {{C10: return_probabilities needs attention that is padded and not paged}}
  %r:2 = transformer.attention %q, %k, %v cu_seqlens(%cu_seqlens) {heads = 4, kv_heads = 2, scale = 0.5, return_probabilities} : (tensor<7x32xf32>, tensor<7x16xf32>, tensor<7x16xf32>, tensor<5xi32>) -> (tensor<7x32xf32>, tensor<7x4x16x16xf32>)
  return
}

// -----

func.func @attention_c11_type(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C11: flash takes f16 or bf16, got}}
  %r = transformer.attention by flash %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>) -> tensor<2x7x24xf32>
  return
}

// -----

func.func @attention_c11_bias(%q: tensor<2x7x32xf16>, %k: tensor<2x9x16xf16>, %v: tensor<2x9x12xf16>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>, %bias: tensor<1x1x7x9xf32>) {
  // expected-error @+1 {{C11: flash takes no bias, got one of 'tensor<1x1x7x9xf32>'}}
  %r = transformer.attention by flash %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) bias(%bias) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf16>, tensor<2x9x16xf16>, tensor<2x9x12xf16>, tensor<2x7xi32>, tensor<2x9xi32>, tensor<1x1x7x9xf32>) -> tensor<2x7x24xf16>
  return
}

// -----

func.func @attention_c11_probabilities(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>) {
  // expected-error @+1 {{C11: efficient returns no probabilities}}
  %r:2 = transformer.attention by efficient %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) {heads = 4, kv_heads = 2, scale = 0.5, return_probabilities} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>) -> (tensor<2x7x24xf32>, tensor<2x4x7x9xf32>)
  return
}

// -----

func.func @attention_c11_head_mask(%q: tensor<2x7x32xf32>, %k: tensor<2x9x16xf32>, %v: tensor<2x9x12xf32>, %query_positions: tensor<2x7xi32>, %key_positions: tensor<2x9xi32>, %head_mask: tensor<4xf32>) {
  // expected-error @+1 {{C11: efficient takes no head_mask}}
  %r = transformer.attention by efficient %q, %k, %v query_positions(%query_positions) key_positions(%key_positions) head_mask(%head_mask) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<2x7x32xf32>, tensor<2x9x16xf32>, tensor<2x9x12xf32>, tensor<2x7xi32>, tensor<2x9xi32>, tensor<4xf32>) -> tensor<2x7x24xf32>
  return
}
