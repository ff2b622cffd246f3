// RUN: ingot-opt %s --expand-attention | FileCheck %s --enable-var-scope

// CHECK-LABEL: func.func @padded
// CHECK-SAME: (%[[Q:.*]]: tensor<?x?x32xf32>, %[[K:.*]]: tensor<?x?x16xf32>, %[[P:.*]]: tensor<?x?xi32>, %[[H:.*]]: tensor<4xf32>)
func.func @padded(%q: tensor<?x?x32xf32>, %k: tensor<?x?x16xf32>, %p: tensor<?x?xi32>, %h: tensor<4xf32>) -> (tensor<?x?x32xf32>, tensor<?x4x?x?xf32>) {
  // CHECK: %[[Q0:.*]] = transformer.split_heads %[[Q]] {heads = 4 : i64}
  // CHECK: %[[K0:.*]] = transformer.split_heads %[[K]] {heads = 2 : i64}
  // CHECK: %[[V0:.*]] = transformer.split_heads %[[K]] {heads = 2 : i64}
  // CHECK: %[[MASK:.*]] = transformer.attention_mask %[[P]], %[[P]] {causal}
  // CHECK: %[[K1:.*]] = transformer.repeat_kv %[[K0]] {repeats = 2 : i64}
  // CHECK: %[[V1:.*]] = transformer.repeat_kv %[[V0]] {repeats = 2 : i64}
  // CHECK: %[[S:.*]] = transformer.matmul %[[Q0]], %[[K1]] {transpose_rhs}
  // CHECK: %[[A:.*]] = transformer.add_alibi %[[S]], %[[H]], %[[P]], %[[P]]
  // CHECK: %[[SCALED:.*]] = arith.mulf %[[A]],
  // CHECK: arith.divf %[[SCALED]],
  // CHECK: math.tanh
  // CHECK: %[[CAPPED:.*]] = arith.mulf
  // CHECK: %[[MASKED:.*]] = transformer.apply_mask %[[CAPPED]], %[[MASK]]
  // CHECK: %[[SOFT:.*]] = transformer.softmax %[[MASKED]], %[[H]]
  // CHECK: %[[PROB:.*]] = transformer.scale_heads %[[SOFT]], %[[H]]
  // CHECK: %[[MIXED:.*]] = transformer.matmul %[[PROB]], %[[V1]]
  // CHECK: %[[OUT:.*]] = transformer.merge_heads %[[MIXED]]
  // CHECK: return %[[OUT]], %[[PROB]]
  %0:2 = transformer.attention by math %q, %k, %k query_positions(%p) key_positions(%p) alibi_slopes(%h) sinks(%h) head_mask(%h)
    {heads = 4, kv_heads = 2, scale = 0.5, causal, softcap = 3.0, alibi_before_scale, return_probabilities}
    : (tensor<?x?x32xf32>, tensor<?x?x16xf32>, tensor<?x?x16xf32>, tensor<?x?xi32>, tensor<?x?xi32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
    -> (tensor<?x?x32xf32>, tensor<?x4x?x?xf32>)
  return %0#0, %0#1 : tensor<?x?x32xf32>, tensor<?x4x?x?xf32>
}

// CHECK-LABEL: func.func @paged
func.func @paged(%q: tensor<?x?x32xf32>, %c: tensor<9x4x4x8xf32>, %t: tensor<?x?xi32>, %past: tensor<?xi32>) -> tensor<?x?x32xf32> {
  // CHECK: transformer.cache_gather
  // CHECK: transformer.token_positions
  // CHECK: transformer.context_positions %{{.*}} {block_size = 4 : i64}
  // CHECK-NOT: transformer.attention{{ }}
  // CHECK: return
  %0 = transformer.attention by math %q, %c, %c block_table(%t) past(%past) {heads = 4, kv_heads = 4, scale = 0.5, causal} : (tensor<?x?x32xf32>, tensor<9x4x4x8xf32>, tensor<9x4x4x8xf32>, tensor<?x?xi32>, tensor<?xi32>) -> tensor<?x?x32xf32>
  return %0 : tensor<?x?x32xf32>
}

// Other back ends stay whole.
// CHECK-LABEL: func.func @efficient
func.func @efficient(%q: tensor<?x?x32xf32>, %p: tensor<?x?xi32>) -> tensor<?x?x32xf32> {
  // CHECK: transformer.attention by efficient
  %0 = transformer.attention by efficient %q, %q, %q query_positions(%p) key_positions(%p) {heads = 4, kv_heads = 4, scale = 0.5} : (tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi32>, tensor<?x?xi32>) -> tensor<?x?x32xf32>
  return %0 : tensor<?x?x32xf32>
}
