// RUN: ingot-opt %s --verify-roundtrip | FileCheck %s --enable-var-scope

// Every op is parsed, printed, and parsed again; static and dynamic sizes mix.

// CHECK-LABEL: module @program attributes
// CHECK-SAME: transformer.limits = [{max = 2048 : i64, symbols = ["B", "S"]}]
module @program attributes {
  transformer.sizes = {B = [1, 8], S = [1, 512]},
  transformer.limits = [{symbols = ["B", "S"], max = 2048}],
  transformer.sources = {
    "embed" = {shape = [100, 16], init = "normal", std = 0.02, aliases = ["model.embed"]},
    "q" = {shape = [16, 16]}, "k" = {shape = [8, 16]}, "norm" = {shape = [16], init = "ones"}}
} {
  // CHECK-LABEL: func.func @forward(
  // CHECK-SAME: transformer.name = "input_ids", transformer.range = [0, 99], transformer.sizes = ["B", "S"]
  // CHECK-SAME: transformer.optional = 1 : i64
  func.func @forward(
      %ids: tensor<?x?xi32> {transformer.name = "input_ids", transformer.sizes = ["B", "S"],
                             transformer.range = [0, 99]},
      %mask: tensor<?x?xi32> {transformer.name = "attention_mask", transformer.sizes = ["B", "S"],
                              transformer.range = [0, 1], transformer.optional = 1},
      %state: tensor<4x2x4x8xf32> {transformer.state = "kv.k.0"})
      -> (tensor<?x?x16xf32> {transformer.name = "hidden"},
          tensor<4x2x4x8xf32> {transformer.state = "kv.k.0"}) attributes {transformer.program} {
    // CHECK: transformer.weight ["embed"] [load 0] : tensor<100x16xf32>
    %table = transformer.weight ["embed"] [load 0] : tensor<100x16xf32>
    // CHECK: transformer.embedding %{{.*}}, %{{.*}} : (tensor<100x16xf32>, tensor<?x?xi32>) -> tensor<?x?x16xf32>
    %x = transformer.embedding %table, %ids : (tensor<100x16xf32>, tensor<?x?xi32>) -> tensor<?x?x16xf32>
    return %x, %state : tensor<?x?x16xf32>, tensor<4x2x4x8xf32>
  }

  // CHECK-LABEL: func.func @weights
  func.func @weights() {
    // CHECK: transformer.weight ["q", "k"] [load 0, load 1, concat [0, 2], transpose [1, 0], cast f16, reshape [384], slice [0, 0, 128], pad [0, 130], add_scalar 1.000000e+00, mul_scalar -5.000000e-01] : tensor<130xf16>
    %0 = transformer.weight ["q", "k"] [load 0, load 1, concat [0, 2], transpose [1, 0], cast f16,
      reshape [384], slice [0, 0, 128], pad [0, 130], add_scalar 1.0, mul_scalar -0.5] : tensor<130xf16>
    return
  }
}

// CHECK: test.steps = [#transformer.step<transpose [1, 0]>, #transformer.step<cast bf16>, #transformer.step<mul_scalar 2.000000e+00>]
func.func private @steps() attributes {
  test.steps = [#transformer.step<transpose [1, 0]>, #transformer.step<cast bf16>, #transformer.step<mul_scalar 2.0>]}

// CHECK-LABEL: func.func @embedding_ops
func.func @embedding_ops(%mask: tensor<?x7xi1>, %past: tensor<?xi32>, %table: tensor<2x?xi32>,
    %freq: tensor<4xf32>, %row_freq: tensor<2x4xf32>, %x: tensor<?x3x7x16xf32>) {
  // CHECK: transformer.positions %{{.*}} : (tensor<?x7xi1>) -> tensor<?x7xi32>
  %p = transformer.positions %mask : (tensor<?x7xi1>) -> tensor<?x7xi32>
  // CHECK: transformer.positions %{{.*}} {offset = 2 : i64, padding_position = 1 : i64}
  %p1 = transformer.positions %mask {offset = 2, padding_position = 1} : (tensor<?x7xi1>) -> tensor<?x7xi32>
  // CHECK: transformer.token_positions %{{.*}}, %{{.*}} : (tensor<?xi32>, tensor<?x7xi1>) -> tensor<?x7xi32>
  %t = transformer.token_positions %past, %mask : (tensor<?xi32>, tensor<?x7xi1>) -> tensor<?x7xi32>
  // CHECK: transformer.context_positions %{{.*}} {block_size = 16 : i64} : (tensor<2x?xi32>) -> tensor<2x?xi32>
  %c = transformer.context_positions %table {block_size = 16} : (tensor<2x?xi32>) -> tensor<2x?xi32>
  // CHECK: %{{.*}}, %{{.*}} = transformer.rope_table %{{.*}}, %{{.*}} : (tensor<?x7xi32>, tensor<4xf32>) -> (tensor<?x7x4xf32>, tensor<?x7x4xf32>)
  %cos, %sin = transformer.rope_table %p, %freq : (tensor<?x7xi32>, tensor<4xf32>) -> (tensor<?x7x4xf32>, tensor<?x7x4xf32>)
  // CHECK: transformer.rope_table %{{.*}}, %{{.*}} {attention_factor = 1.250000e+00 : f64}
  %cos1, %sin1 = transformer.rope_table %p, %row_freq {attention_factor = 1.25} : (tensor<?x7xi32>, tensor<2x4xf32>) -> (tensor<?x7x4xf32>, tensor<?x7x4xf32>)
  // CHECK: transformer.dynamic_rope_frequencies %{{.*}} {base = 1.000000e+04 : f64, dim = 8 : i64, factor = 2.000000e+00 : f64, max_position = 2048 : i64} : (tensor<?x7xi32>) -> tensor<?x4xf32>
  %f = transformer.dynamic_rope_frequencies %p {base = 1.0e4, dim = 8, factor = 2.0, max_position = 2048} : (tensor<?x7xi32>) -> tensor<?x4xf32>
  // CHECK: transformer.rope %{{.*}}, %{{.*}}, %{{.*}} : (tensor<?x3x7x16xf32>, tensor<?x7x4xf32>, tensor<?x7x4xf32>) -> tensor<?x3x7x16xf32>
  %r = transformer.rope %x, %cos, %sin : (tensor<?x3x7x16xf32>, tensor<?x7x4xf32>, tensor<?x7x4xf32>) -> tensor<?x3x7x16xf32>
  // CHECK: transformer.rope %{{.*}}, %{{.*}}, %{{.*}} {interleaved}
  %r1 = transformer.rope %x, %cos, %sin {interleaved} : (tensor<?x3x7x16xf32>, tensor<?x7x4xf32>, tensor<?x7x4xf32>) -> tensor<?x3x7x16xf32>
  return
}

// CHECK-LABEL: func.func @norm_ops
func.func @norm_ops(%x: tensor<?x7x16xf32>, %w: tensor<16xf32>, %h: tensor<16xbf16>, %hw: tensor<16xbf16>) {
  // CHECK: transformer.rms_norm %{{.*}}, %{{.*}} {eps = 1.000000e-05 : f64} : (tensor<?x7x16xf32>, tensor<16xf32>) -> tensor<?x7x16xf32>
  %0 = transformer.rms_norm %x, %w {eps = 1.0e-5} : (tensor<?x7x16xf32>, tensor<16xf32>) -> tensor<?x7x16xf32>
  // CHECK: transformer.rms_norm %{{.*}} : (tensor<16xbf16>, tensor<16xbf16>) -> tensor<16xbf16>
  %1 = transformer.rms_norm %h, %hw {eps = 1.0e-5} : (tensor<16xbf16>, tensor<16xbf16>) -> tensor<16xbf16>
  // CHECK: transformer.layer_norm %{{.*}} weight(%{{.*}}) bias(%{{.*}}) {eps =
  %2 = transformer.layer_norm %x weight(%w) bias(%w) {eps = 1.0e-12} : (tensor<?x7x16xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x7x16xf32>
  // CHECK: transformer.layer_norm %{{.*}} bias(%{{.*}}) {eps =
  %3 = transformer.layer_norm %x bias(%w) {eps = 1.0e-12} : (tensor<?x7x16xf32>, tensor<16xf32>) -> tensor<?x7x16xf32>
  // CHECK: transformer.layer_norm %{{[a-z0-9]*}} {eps =
  %4 = transformer.layer_norm %x {eps = 1.0e-12} : (tensor<?x7x16xf32>) -> tensor<?x7x16xf32>
  // CHECK: transformer.l2_normalize %{{.*}} : (tensor<?x7x16xf32>) -> tensor<?x7x16xf32>
  %5 = transformer.l2_normalize %x : (tensor<?x7x16xf32>) -> tensor<?x7x16xf32>
  return
}

// CHECK-LABEL: func.func @residual_norm_ops
func.func @residual_norm_ops(%x: tensor<?x7x16xf32>, %w: tensor<16xf32>) {
  // CHECK: %{{.*}}, %{{.*}} = transformer.add_rms_norm %{{.*}}, %{{.*}}, %{{.*}} {eps = 1.000000e-05 : f64} : (tensor<?x7x16xf32>, tensor<?x7x16xf32>, tensor<16xf32>) -> (tensor<?x7x16xf32>, tensor<?x7x16xf32>)
  %s0, %n0 = transformer.add_rms_norm %x, %x, %w {eps = 1.0e-5} : (tensor<?x7x16xf32>, tensor<?x7x16xf32>, tensor<16xf32>) -> (tensor<?x7x16xf32>, tensor<?x7x16xf32>)
  // CHECK: transformer.add_layer_norm %{{.*}}, %{{.*}} weight(%{{.*}}) bias(%{{.*}}) {eps =
  %s1, %n1 = transformer.add_layer_norm %x, %x weight(%w) bias(%w) {eps = 1.0e-12} : (tensor<?x7x16xf32>, tensor<?x7x16xf32>, tensor<16xf32>, tensor<16xf32>) -> (tensor<?x7x16xf32>, tensor<?x7x16xf32>)
  // CHECK: transformer.add_layer_norm %{{[a-z0-9]*}}, %{{[a-z0-9]*}} {eps =
  %s2, %n2 = transformer.add_layer_norm %x, %x {eps = 1.0e-12} : (tensor<?x7x16xf32>, tensor<?x7x16xf32>) -> (tensor<?x7x16xf32>, tensor<?x7x16xf32>)
  return
}

// CHECK-LABEL: func.func @linear_ops
func.func @linear_ops(%x: tensor<?x7x16xf32>, %w: tensor<8x16xf32>, %b: tensor<8xf32>) {
  // CHECK: transformer.linear %{{[a-z0-9]*}}, %{{[a-z0-9]*}} : (tensor<?x7x16xf32>, tensor<8x16xf32>) -> tensor<?x7x8xf32>
  %0 = transformer.linear %x, %w : (tensor<?x7x16xf32>, tensor<8x16xf32>) -> tensor<?x7x8xf32>
  // CHECK: transformer.linear %{{[a-z0-9]*}}, %{{[a-z0-9]*}}, %{{[a-z0-9]*}} :
  %1 = transformer.linear %x, %w, %b : (tensor<?x7x16xf32>, tensor<8x16xf32>, tensor<8xf32>) -> tensor<?x7x8xf32>
  // A result may say less about its sizes than is known.
  // CHECK: transformer.linear %{{.*}} -> tensor<?x?x?xf32>
  %2 = transformer.linear %x, %w : (tensor<?x7x16xf32>, tensor<8x16xf32>) -> tensor<?x?x?xf32>
  // CHECK: transformer.activation gelu_tanh %{{.*}} : (tensor<?x7x8xf32>) -> tensor<?x7x8xf32>
  %3 = transformer.activation gelu_tanh %0 : (tensor<?x7x8xf32>) -> tensor<?x7x8xf32>
  // CHECK: transformer.gated_linear silu %{{[a-z0-9]*}}, %{{[a-z0-9]*}} : (tensor<?x7x16xf32>, tensor<8x16xf32>) -> tensor<?x7x4xf32>
  %4 = transformer.gated_linear silu %x, %w : (tensor<?x7x16xf32>, tensor<8x16xf32>) -> tensor<?x7x4xf32>
  // CHECK: transformer.gated_linear gelu %{{[a-z0-9]*}}, %{{[a-z0-9]*}}, %{{[a-z0-9]*}} :
  %5 = transformer.gated_linear gelu %x, %w, %b : (tensor<?x7x16xf32>, tensor<8x16xf32>, tensor<8xf32>) -> tensor<?x7x4xf32>
  return
}

// CHECK-LABEL: func.func @attention_ops
func.func @attention_ops(%x: tensor<?x7x16xf32>, %q: tensor<?x7xi32>, %k: tensor<?x9xi32>, %valid: tensor<?x9xi1>,
    %kv: tensor<?x2x9x8xf32>) {
  // CHECK: transformer.split_heads %{{.*}} {heads = 2 : i64} : (tensor<?x7x16xf32>) -> tensor<?x2x7x8xf32>
  %0 = transformer.split_heads %x {heads = 2} : (tensor<?x7x16xf32>) -> tensor<?x2x7x8xf32>
  // CHECK: transformer.merge_heads %{{.*}} : (tensor<?x2x7x8xf32>) -> tensor<?x7x16xf32>
  %1 = transformer.merge_heads %0 : (tensor<?x2x7x8xf32>) -> tensor<?x7x16xf32>
  // CHECK: transformer.repeat_kv %{{.*}} {repeats = 3 : i64} : (tensor<?x2x9x8xf32>) -> tensor<?x6x9x8xf32>
  %2 = transformer.repeat_kv %kv {repeats = 3} : (tensor<?x2x9x8xf32>) -> tensor<?x6x9x8xf32>
  // CHECK: transformer.matmul %{{.*}}, %{{.*}} {transpose_rhs} : (tensor<?x2x7x8xf32>, tensor<?x2x9x8xf32>) -> tensor<?x2x7x9xf32>
  %3 = transformer.matmul %0, %kv {transpose_rhs} : (tensor<?x2x7x8xf32>, tensor<?x2x9x8xf32>) -> tensor<?x2x7x9xf32>
  // CHECK: transformer.attention_mask %{{.*}}, %{{.*}}, %{{.*}} {causal, window = 4 : i64} : (tensor<?x7xi32>, tensor<?x9xi32>, tensor<?x9xi1>) -> tensor<?x7x9xi1>
  %m = transformer.attention_mask %q, %k, %valid {causal, window = 4} : (tensor<?x7xi32>, tensor<?x9xi32>, tensor<?x9xi1>) -> tensor<?x7x9xi1>
  // CHECK: transformer.attention_mask %{{[a-z0-9]*}}, %{{[a-z0-9]*}} : (tensor<?x7xi32>, tensor<?x9xi32>) -> tensor<?x7x9xi1>
  %m1 = transformer.attention_mask %q, %k : (tensor<?x7xi32>, tensor<?x9xi32>) -> tensor<?x7x9xi1>
  // CHECK: transformer.apply_mask %{{.*}}, %{{.*}} : (tensor<?x2x7x9xf32>, tensor<?x7x9xi1>) -> tensor<?x2x7x9xf32>
  %4 = transformer.apply_mask %3, %m : (tensor<?x2x7x9xf32>, tensor<?x7x9xi1>) -> tensor<?x2x7x9xf32>
  // CHECK: transformer.softmax %{{.*}} : (tensor<?x2x7x9xf32>) -> tensor<?x2x7x9xf32>
  %5 = transformer.softmax %4 : (tensor<?x2x7x9xf32>) -> tensor<?x2x7x9xf32>
  // CHECK: transformer.matmul %{{[a-z0-9]*}}, %{{[a-z0-9]*}} : (tensor<?x2x7x9xf32>, tensor<?x2x9x8xf32>) -> tensor<?x2x7x8xf32>
  %6 = transformer.matmul %5, %kv : (tensor<?x2x7x9xf32>, tensor<?x2x9x8xf32>) -> tensor<?x2x7x8xf32>
  return
}

// CHECK-LABEL: func.func @score_ops
func.func @score_ops(%s: tensor<?x4x7x9xf32>, %bias: tensor<1x4x7x9xf32>, %h: tensor<4xf32>, %q: tensor<?x7xi32>,
    %k: tensor<?x9xi32>) {
  // CHECK: transformer.add_bias %{{.*}}, %{{.*}} : (tensor<?x4x7x9xf32>, tensor<1x4x7x9xf32>) -> tensor<?x4x7x9xf32>
  %0 = transformer.add_bias %s, %bias : (tensor<?x4x7x9xf32>, tensor<1x4x7x9xf32>) -> tensor<?x4x7x9xf32>
  // CHECK: transformer.add_alibi %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : (tensor<?x4x7x9xf32>, tensor<4xf32>, tensor<?x7xi32>, tensor<?x9xi32>) -> tensor<?x4x7x9xf32>
  %1 = transformer.add_alibi %0, %h, %q, %k : (tensor<?x4x7x9xf32>, tensor<4xf32>, tensor<?x7xi32>, tensor<?x9xi32>) -> tensor<?x4x7x9xf32>
  // CHECK: transformer.softmax %{{.*}}, %{{.*}} : (tensor<?x4x7x9xf32>, tensor<4xf32>) -> tensor<?x4x7x9xf32>
  %2 = transformer.softmax %1, %h : (tensor<?x4x7x9xf32>, tensor<4xf32>) -> tensor<?x4x7x9xf32>
  // CHECK: transformer.scale_heads %{{.*}}, %{{.*}} : (tensor<?x4x7x9xf32>, tensor<4xf32>) -> tensor<?x4x7x9xf32>
  %3 = transformer.scale_heads %2, %h : (tensor<?x4x7x9xf32>, tensor<4xf32>) -> tensor<?x4x7x9xf32>
  return
}

// CHECK-LABEL: func.func @token_major
func.func @token_major(%x: tensor<?x7x32xf16>, %t: tensor<?x32xf16>, %p: tensor<?xi32>, %f: tensor<4xf32>, %by_token: tensor<?x4xf32>,
    %cos: tensor<?x7x4xf32>) {
  // CHECK: transformer.rope_table %{{.*}}, %{{.*}} : (tensor<?xi32>, tensor<4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>)
  %c, %s = transformer.rope_table %p, %f : (tensor<?xi32>, tensor<4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>)
  // CHECK: transformer.rope_table %{{.*}}, %{{.*}} : (tensor<?xi32>, tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>)
  %c1, %s1 = transformer.rope_table %p, %by_token : (tensor<?xi32>, tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>)
  // CHECK: transformer.rope %{{.*}}, %{{.*}}, %{{.*}} {heads = 4 : i64} : (tensor<?x7x32xf16>, tensor<?x7x4xf32>, tensor<?x7x4xf32>) -> tensor<?x7x32xf16>
  %0 = transformer.rope %x, %cos, %cos {heads = 4} : (tensor<?x7x32xf16>, tensor<?x7x4xf32>, tensor<?x7x4xf32>) -> tensor<?x7x32xf16>
  // CHECK: transformer.rope %{{.*}}, %{{.*}}, %{{.*}} {heads = 2 : i64, interleaved} : (tensor<?x32xf16>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x32xf16>
  %1 = transformer.rope %t, %c, %s {heads = 2, interleaved} : (tensor<?x32xf16>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x32xf16>
  return
}

// CHECK-LABEL: func.func @attention_padded
func.func @attention_padded(%q: tensor<?x7x32xf32>, %k: tensor<?x9x16xf32>, %v: tensor<?x9x12xf32>, %qp: tensor<?x7xi32>,
    %kp: tensor<?x9xi32>, %valid: tensor<?x9xi1>, %bias: tensor<?x1x7x9xf32>, %h: tensor<4xf32>) {
  // CHECK: transformer.attention %{{.*}}, %{{.*}}, %{{.*}} query_positions(%{{.*}}) key_positions(%{{.*}}) {causal, heads = 4 : i64, kv_heads = 2 : i64, scale = 5.000000e-01 : f64, window = 3 : i64} : (tensor<?x7x32xf32>, tensor<?x9x16xf32>, tensor<?x9x12xf32>, tensor<?x7xi32>, tensor<?x9xi32>) -> tensor<?x7x24xf32>
  %0 = transformer.attention %q, %k, %v query_positions(%qp) key_positions(%kp) {heads = 4, kv_heads = 2, scale = 0.5, causal, window = 3} : (tensor<?x7x32xf32>, tensor<?x9x16xf32>, tensor<?x9x12xf32>, tensor<?x7xi32>, tensor<?x9xi32>) -> tensor<?x7x24xf32>
  // CHECK: transformer.attention by math %{{.*}} query_positions(%{{.*}}) key_positions(%{{.*}}) key_valid(%{{.*}}) bias(%{{.*}}) alibi_slopes(%{{.*}}) sinks(%{{.*}}) head_mask(%{{.*}}) {alibi_before_scale, heads = 4 : i64, kv_heads = 2 : i64, return_probabilities, scale = 5.000000e-01 : f64, softcap = 3.000000e+01 : f64}
  // CHECK-SAME: -> (tensor<?x7x24xf32>, tensor<?x4x7x9xf32>)
  %1, %p = transformer.attention by math %q, %k, %v sinks(%h) head_mask(%h) bias(%bias) alibi_slopes(%h) key_valid(%valid) query_positions(%qp) key_positions(%kp)
    {heads = 4, kv_heads = 2, scale = 0.5, softcap = 30.0, alibi_before_scale, return_probabilities}
    : (tensor<?x7x32xf32>, tensor<?x9x16xf32>, tensor<?x9x12xf32>, tensor<?x7xi32>, tensor<?x9xi32>, tensor<?x9xi1>, tensor<?x1x7x9xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
    -> (tensor<?x7x24xf32>, tensor<?x4x7x9xf32>)
  return
}

// CHECK-LABEL: func.func @attention_forms
func.func @attention_forms(%q: tensor<?x?x32xbf16>, %t: tensor<?x32xbf16>, %kt: tensor<?x16xbf16>, %cache: tensor<9x2x4x8xbf16>, %table: tensor<?x?xi32>,
    %past: tensor<?xi32>, %cu: tensor<9xi32>) {
  // CHECK: transformer.attention by flash %{{.*}} block_table(%{{.*}}) past(%{{.*}}) {causal
  %0 = transformer.attention by flash %q, %cache, %cache block_table(%table) past(%past) {heads = 4, kv_heads = 2, scale = 0.5, causal} : (tensor<?x?x32xbf16>, tensor<9x2x4x8xbf16>, tensor<9x2x4x8xbf16>, tensor<?x?xi32>, tensor<?xi32>) -> tensor<?x?x32xbf16>
  // CHECK: transformer.attention by efficient %{{.*}} cu_seqlens(%{{.*}}) {heads
  %1 = transformer.attention by efficient %t, %kt, %kt cu_seqlens(%cu) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<?x32xbf16>, tensor<?x16xbf16>, tensor<?x16xbf16>, tensor<9xi32>) -> tensor<?x32xbf16>
  // CHECK: transformer.attention %{{.*}} cu_seqlens(%{{.*}}) block_table(%{{.*}}) past(%{{.*}}) {heads
  %2 = transformer.attention %t, %cache, %cache cu_seqlens(%cu) block_table(%table) past(%past) {heads = 4, kv_heads = 2, scale = 0.5} : (tensor<?x32xbf16>, tensor<9x2x4x8xbf16>, tensor<9x2x4x8xbf16>, tensor<9xi32>, tensor<?x?xi32>, tensor<?xi32>) -> tensor<?x32xbf16>
  return
}

// CHECK-LABEL: func.func @cache_ops
func.func @cache_ops(%cache: tensor<32x2x16x8xf32>, %x: tensor<?x2x?x8xf32>, %table: tensor<?x?xi32>, %n: tensor<?xi32>,
    %by_token: tensor<?x?x16xf32>, %packed: tensor<?x16xf32>, %cu: tensor<5xi32>) {
  // CHECK: transformer.cache_append %{{.*}} : (tensor<32x2x16x8xf32>, tensor<?x?x16xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<32x2x16x8xf32>
  %t0 = transformer.cache_append %cache, %by_token, %table, %n, %n : (tensor<32x2x16x8xf32>, tensor<?x?x16xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<32x2x16x8xf32>
  // CHECK: transformer.cache_append %{{.*}} cu_seqlens(%{{.*}}) : (tensor<32x2x16x8xf32>, tensor<?x16xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<5xi32>) -> tensor<32x2x16x8xf32>
  %t1 = transformer.cache_append %cache, %packed, %table, %n cu_seqlens(%cu) : (tensor<32x2x16x8xf32>, tensor<?x16xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<5xi32>) -> tensor<32x2x16x8xf32>
  // CHECK: transformer.cache_append %{{.*}} : (tensor<32x2x16x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<32x2x16x8xf32>
  %0 = transformer.cache_append %cache, %x, %table, %n, %n : (tensor<32x2x16x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<32x2x16x8xf32>
  // CHECK: transformer.cache_gather %{{.*}}, %{{.*}} : (tensor<32x2x16x8xf32>, tensor<?x?xi32>) -> tensor<?x2x?x8xf32>
  %1 = transformer.cache_gather %0, %table : (tensor<32x2x16x8xf32>, tensor<?x?xi32>) -> tensor<?x2x?x8xf32>
  return
}

// CHECK-LABEL: func.func @pooling_ops
func.func @pooling_ops(%x: tensor<?x7x16xf32>, %mask: tensor<?x7xi1>) {
  // CHECK: transformer.first_token %{{.*}} : (tensor<?x7xi1>) -> tensor<?xi32>
  %0 = transformer.first_token %mask : (tensor<?x7xi1>) -> tensor<?xi32>
  // CHECK: transformer.select_token %{{.*}}, %{{.*}} : (tensor<?x7x16xf32>, tensor<?xi32>) -> tensor<?x16xf32>
  %1 = transformer.select_token %x, %0 : (tensor<?x7x16xf32>, tensor<?xi32>) -> tensor<?x16xf32>
  // CHECK: transformer.mean_pool %{{.*}}, %{{.*}} : (tensor<?x7x16xf32>, tensor<?x7xi1>) -> tensor<?x16xf32>
  %2 = transformer.mean_pool %x, %mask : (tensor<?x7x16xf32>, tensor<?x7xi1>) -> tensor<?x16xf32>
  return
}

// CHECK-LABEL: func.func @packing_ops
func.func @packing_ops(%x: tensor<?x?x16xf32>, %ids: tensor<?x?xi32>, %mask: tensor<?x?xi1>, %n: tensor<?xi32>) {
  // CHECK: transformer.length_mask %{{.*}}, %{{.*}} : (tensor<?xi32>, tensor<?x?xi32>) -> tensor<?x?xi1>
  %m = transformer.length_mask %n, %ids : (tensor<?xi32>, tensor<?x?xi32>) -> tensor<?x?xi1>
  // CHECK: transformer.cu_seqlens %{{.*}} {rows = 8 : i64} : (tensor<?x?xi1>) -> tensor<9xi32>
  %cu = transformer.cu_seqlens %mask {rows = 8} : (tensor<?x?xi1>) -> tensor<9xi32>
  // CHECK: transformer.token_indices %{{.*}}, %{{.*}} : (tensor<?x?xi1>, tensor<9xi32>) -> tensor<?xi32>
  %i = transformer.token_indices %mask, %cu : (tensor<?x?xi1>, tensor<9xi32>) -> tensor<?xi32>
  // CHECK: transformer.token_slots %{{.*}}, %{{.*}} : (tensor<?x?xi1>, tensor<9xi32>) -> tensor<?x?xi32>
  %s = transformer.token_slots %mask, %cu : (tensor<?x?xi1>, tensor<9xi32>) -> tensor<?x?xi32>
  // CHECK: transformer.pack %{{.*}}, %{{.*}} : (tensor<?x?x16xf32>, tensor<?xi32>) -> tensor<?x16xf32>
  %p = transformer.pack %x, %i : (tensor<?x?x16xf32>, tensor<?xi32>) -> tensor<?x16xf32>
  // CHECK: transformer.pack %{{.*}}, %{{.*}} : (tensor<?x?xi32>, tensor<?xi32>) -> tensor<?xi32>
  %pi = transformer.pack %ids, %i : (tensor<?x?xi32>, tensor<?xi32>) -> tensor<?xi32>
  // CHECK: transformer.unpack %{{.*}}, %{{.*}} : (tensor<?x16xf32>, tensor<?x?xi32>) -> tensor<?x?x16xf32>
  %u = transformer.unpack %p, %s : (tensor<?x16xf32>, tensor<?x?xi32>) -> tensor<?x?x16xf32>
  // CHECK: transformer.packed_positions %{{.*}}, %{{.*}} {offset = 2 : i64} : (tensor<9xi32>, tensor<?xi32>) -> tensor<?xi32>
  %q0 = transformer.packed_positions %cu, %pi {offset = 2} : (tensor<9xi32>, tensor<?xi32>) -> tensor<?xi32>
  // CHECK: transformer.packed_positions %{{.*}}, %{{.*}} past %{{.*}} : (tensor<9xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?xi32>
  %q1 = transformer.packed_positions %cu, %pi past %n : (tensor<9xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?xi32>
  // CHECK: transformer.packed_positions %{{.*}}, %{{.*}} counted %{{.*}} {padding_position = 1 : i64} : (tensor<9xi32>, tensor<?xi1>, tensor<?xi1>) -> tensor<?xi32>
  %pm = transformer.pack %mask, %i : (tensor<?x?xi1>, tensor<?xi32>) -> tensor<?xi1>
  %q2 = transformer.packed_positions %cu, %pm counted %pm {padding_position = 1} : (tensor<9xi32>, tensor<?xi1>, tensor<?xi1>) -> tensor<?xi32>
  // CHECK: transformer.packed_mean_pool %{{.*}}, %{{.*}} like %{{.*}} : (tensor<?x16xf32>, tensor<9xi32>, tensor<?xi32>) -> tensor<?x16xf32>
  %0 = transformer.packed_mean_pool %p, %cu like %n : (tensor<?x16xf32>, tensor<9xi32>, tensor<?xi32>) -> tensor<?x16xf32>
  // CHECK: transformer.packed_mean_pool %{{.*}}, %{{.*}} : (tensor<?x16xf32>, tensor<9xi32>) -> tensor<8x16xf32>
  %1 = transformer.packed_mean_pool %p, %cu : (tensor<?x16xf32>, tensor<9xi32>) -> tensor<8x16xf32>
  // CHECK: transformer.packed_token %{{.*}}, %{{.*}} like %{{.*}} {last} : (tensor<?x16xf32>, tensor<9xi32>, tensor<?xi32>) -> tensor<?x16xf32>
  %2 = transformer.packed_token %p, %cu like %n {last} : (tensor<?x16xf32>, tensor<9xi32>, tensor<?xi32>) -> tensor<?x16xf32>
  return
}

// CHECK-LABEL: func.func @sampling_ops
func.func @sampling_ops(%x: tensor<?x97xf32>, %seen: tensor<4x97xi1>, %slot: tensor<?xi32>, %t: tensor<?xf32>, %k: tensor<?xi32>, %p: tensor<?xf32>,
    %q: tensor<?xf32>, %r: tensor<?xf32>, %seed: tensor<?xi64>, %draw: tensor<?xi64>, %ids: tensor<?x?xi32>, %n: tensor<?xi32>) -> tensor<?xi32> {
  // CHECK: transformer.mark_tokens %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : (tensor<4x97xi1>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<4x97xi1>
  %m = transformer.mark_tokens %seen, %ids, %n, %n, %slot : (tensor<4x97xi1>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<4x97xi1>
  // CHECK: transformer.sample %{{.*}} seen(%{{.*}}, %{{.*}}) temperature(%{{.*}}) top_k(%{{.*}}) top_p(%{{.*}}) min_p(%{{.*}}) repetition_penalty(%{{.*}}) random(%{{.*}}, %{{.*}}) : (tensor<?x97xf32>
  %0 = transformer.sample %x seen(%m, %slot) temperature(%t) top_k(%k) top_p(%p) min_p(%q) repetition_penalty(%r) random(%seed, %draw)
    : (tensor<?x97xf32>, tensor<4x97xi1>, tensor<?xi32>, tensor<?xf32>, tensor<?xi32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xi64>, tensor<?xi64>) -> tensor<?xi32>
  return %0 : tensor<?xi32>
}
