// RUN: ingot-opt %s --split-input-file --fuse-attention --canonicalize --cse | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --split-input-file --fuse-attention --remarks-filter=fuse-attention --remark-policy=all -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: ingot-opt %s --split-input-file --canonicalize --cse | FileCheck %s --check-prefix=DISABLED

// What fuses is run and compared with numpy in fuse-attention-run.test; here is what it looks like, and what
// doesn't fuse.

// REMARK: [Passed] Fused | {{.*}} Remark="attention fused: 4 heads, 2 of keys and values, causal, window 3"
// CHECK-LABEL: func.func @forward
// CHECK-SAME: (%[[X:.*]]: tensor<?x?x32xf32>, %[[Y:.*]]: tensor<?x?x16xf32>, %[[Z:.*]]: tensor<?x?x16xf32>, %[[P:.*]]: tensor<?x?xi32>, %[[VALID:.*]]: tensor<?x?xi1>, %[[COS:.*]]: tensor<?x?x4xf32>, %[[SIN:.*]]: tensor<?x?x4xf32>)
// CHECK-NEXT: %[[K:.*]] = transformer.rope %[[Y]], %[[COS]], %[[SIN]] {heads = 2 : i64}
// CHECK-NEXT: %[[OUT:.*]] = transformer.attention %[[X]], %[[K]], %[[Z]] query_positions(%[[P]]) key_positions(%[[P]]) key_valid(%[[VALID]]) {causal, heads = 4 : i64, kv_heads = 2 : i64, scale = 5.000000e-01 : f64, window = 3 : i64}
// CHECK-NEXT: return %[[OUT]]
// DISABLED-LABEL: func.func @forward
// DISABLED: transformer.softmax
// DISABLED-NOT: transformer.attention{{ }}
func.func @forward(%x: tensor<?x?x32xf32>, %y: tensor<?x?x16xf32>, %z: tensor<?x?x16xf32>, %p: tensor<?x?xi32>,
    %valid: tensor<?x?xi1>, %cos: tensor<?x?x4xf32>, %sin: tensor<?x?x4xf32>) -> tensor<?x?x32xf32> {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %half = arith.constant 0.5 : f32
  %q = transformer.split_heads %x {heads = 4} : (tensor<?x?x32xf32>) -> tensor<?x4x?x8xf32>
  %k0 = transformer.split_heads %y {heads = 2} : (tensor<?x?x16xf32>) -> tensor<?x2x?x8xf32>
  %v0 = transformer.split_heads %z {heads = 2} : (tensor<?x?x16xf32>) -> tensor<?x2x?x8xf32>
  %k1 = transformer.rope %k0, %cos, %sin : (tensor<?x2x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x2x?x8xf32>
  %k = transformer.repeat_kv %k1 {repeats = 2} : (tensor<?x2x?x8xf32>) -> tensor<?x4x?x8xf32>
  %v = transformer.repeat_kv %v0 {repeats = 2} : (tensor<?x2x?x8xf32>) -> tensor<?x4x?x8xf32>
  %s = transformer.matmul %q, %k {transpose_rhs} : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x?xf32>
  %b = tensor.dim %s, %c0 : tensor<?x4x?x?xf32>
  %n = tensor.dim %s, %c2 : tensor<?x4x?x?xf32>
  %splat = tensor.splat %half[%b, %n, %n] : tensor<?x4x?x?xf32>
  %scaled = arith.mulf %s, %splat : tensor<?x4x?x?xf32>
  %mask = transformer.attention_mask %p, %p, %valid {causal, window = 3} : (tensor<?x?xi32>, tensor<?x?xi32>, tensor<?x?xi1>) -> tensor<?x?x?xi1>
  %masked = transformer.apply_mask %scaled, %mask : (tensor<?x4x?x?xf32>, tensor<?x?x?xi1>) -> tensor<?x4x?x?xf32>
  %pr = transformer.softmax %masked : (tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32>
  %o = transformer.matmul %pr, %v : (tensor<?x4x?x?xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  %r = transformer.merge_heads %o : (tensor<?x4x?x8xf32>) -> tensor<?x?x32xf32>
  return %r : tensor<?x?x32xf32>
}

// -----

// Over a paged cache: tokens are appended as they are, and no context is gathered.
// REMARK: [Passed] Fused | {{.*}} Remark="attention fused: 4 heads, 2 of keys and values, causal, paged"
// CHECK-LABEL: func.func @step
// CHECK-SAME: (%[[X:.*]]: tensor<?x?x32xf32>, %[[Y:.*]]: tensor<?x?x16xf32>, %[[K:.*]]: tensor<9x2x4x8xf32>, %[[V:.*]]: tensor<9x2x4x8xf32>, %[[T:.*]]: tensor<?x?xi32>, %[[PAST:.*]]: tensor<?xi32>, %[[N:.*]]: tensor<?xi32>)
// CHECK: %[[K1:.*]] = transformer.cache_append %[[K]], %[[Y]], %[[T]], %[[PAST]], %[[N]] : (tensor<9x2x4x8xf32>, tensor<?x?x16xf32>,
// CHECK: %[[V1:.*]] = transformer.cache_append %[[V]], %[[Y]], %[[T]], %[[PAST]], %[[N]]
// CHECK: %[[OUT:.*]] = transformer.attention %[[X]], %[[K1]], %[[V1]] block_table(%[[T]]) past(%[[PAST]]) {causal, heads = 4 : i64, kv_heads = 2 : i64, scale = 1.000000e+00 : f64}
// CHECK-NEXT: return %[[OUT]], %[[K1]], %[[V1]]
func.func @step(%x: tensor<?x?x32xf32>, %y: tensor<?x?x16xf32>, %kc: tensor<9x2x4x8xf32>, %vc: tensor<9x2x4x8xf32>, %table: tensor<?x?xi32>,
    %past: tensor<?xi32>, %n: tensor<?xi32>) -> (tensor<?x?x32xf32>, tensor<9x2x4x8xf32>, tensor<9x2x4x8xf32>) {
  %q = transformer.split_heads %x {heads = 4} : (tensor<?x?x32xf32>) -> tensor<?x4x?x8xf32>
  %y0 = transformer.split_heads %y {heads = 2} : (tensor<?x?x16xf32>) -> tensor<?x2x?x8xf32>
  %k1 = transformer.cache_append %kc, %y0, %table, %past, %n : (tensor<9x2x4x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x2x4x8xf32>
  %v1 = transformer.cache_append %vc, %y0, %table, %past, %n : (tensor<9x2x4x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x2x4x8xf32>
  %kg = transformer.cache_gather %k1, %table : (tensor<9x2x4x8xf32>, tensor<?x?xi32>) -> tensor<?x2x?x8xf32>
  %vg = transformer.cache_gather %v1, %table : (tensor<9x2x4x8xf32>, tensor<?x?xi32>) -> tensor<?x2x?x8xf32>
  %k = transformer.repeat_kv %kg {repeats = 2} : (tensor<?x2x?x8xf32>) -> tensor<?x4x?x8xf32>
  %v = transformer.repeat_kv %vg {repeats = 2} : (tensor<?x2x?x8xf32>) -> tensor<?x4x?x8xf32>
  %qp = transformer.token_positions %past, %x : (tensor<?xi32>, tensor<?x?x32xf32>) -> tensor<?x?xi32>
  %kp = transformer.context_positions %table {block_size = 4} : (tensor<?x?xi32>) -> tensor<?x?xi32>
  %mask = transformer.attention_mask %qp, %kp {causal} : (tensor<?x?xi32>, tensor<?x?xi32>) -> tensor<?x?x?xi1>
  %s = transformer.matmul %q, %k {transpose_rhs} : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x?xf32>
  %masked = transformer.apply_mask %s, %mask : (tensor<?x4x?x?xf32>, tensor<?x?x?xi1>) -> tensor<?x4x?x?xf32>
  %pr = transformer.softmax %masked : (tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32>
  %o = transformer.matmul %pr, %v : (tensor<?x4x?x?xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  %r = transformer.merge_heads %o : (tensor<?x4x?x8xf32>) -> tensor<?x?x32xf32>
  return %r, %k1, %v1 : tensor<?x?x32xf32>, tensor<9x2x4x8xf32>, tensor<9x2x4x8xf32>
}

// -----

// Probabilities that the program returns are the second result.
// REMARK: [Passed] Fused | {{.*}} Remark="attention fused: 4 heads, returns probabilities"
// CHECK-LABEL: func.func @probabilities
// CHECK: %[[OUT:.*]], %[[P:.*]] = transformer.attention %{{.*}} {heads = 4 : i64, kv_heads = 4 : i64, return_probabilities, scale = 1.000000e+00 : f64}
// CHECK: return %[[OUT]], %[[P]]
func.func @probabilities(%x: tensor<?x?x32xf32>) -> (tensor<?x?x32xf32>, tensor<?x4x?x?xf32>) {
  %q = transformer.split_heads %x {heads = 4} : (tensor<?x?x32xf32>) -> tensor<?x4x?x8xf32>
  %s = transformer.matmul %q, %q {transpose_rhs} : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x?xf32>
  %pr = transformer.softmax %s : (tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32>
  %o = transformer.matmul %pr, %q : (tensor<?x4x?x?xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  %r = transformer.merge_heads %o : (tensor<?x4x?x8xf32>) -> tensor<?x?x32xf32>
  return %r, %pr : tensor<?x?x32xf32>, tensor<?x4x?x?xf32>
}

// -----

// A softmax that isn't attention is nothing to remark on.
// REMARK-NOT: @no_attention
// CHECK-LABEL: func.func @no_attention
// CHECK: transformer.softmax
func.func @no_attention(%x: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %0 = transformer.softmax %x : (tensor<?x?xf32>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

// In 16 bits importers round the scores on their way; the fused form doesn't.
// REMARK: [Passed] Fused | {{.*}} Remark="attention fused: 2 heads"
// CHECK-LABEL: func.func @rounded
// CHECK-SAME: (%[[X:.*]]: tensor<?x?x16xbf16>, %[[Y:.*]]: tensor<?x?x16xbf16>)
// CHECK: %[[OUT:.*]] = transformer.attention %[[X]], %[[Y]], %[[Y]] {{.*}}scale = 5.000000e-01 : f64}
// CHECK-NEXT: return %[[OUT]]
func.func @rounded(%x: tensor<?x?x16xbf16>, %y: tensor<?x?x16xbf16>) -> tensor<?x?x16xbf16> {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %half = arith.constant 0.5 : f32
  %q = transformer.split_heads %x {heads = 2} : (tensor<?x?x16xbf16>) -> tensor<?x2x?x8xbf16>
  %k = transformer.split_heads %y {heads = 2} : (tensor<?x?x16xbf16>) -> tensor<?x2x?x8xbf16>
  %s = transformer.matmul %q, %k {transpose_rhs} : (tensor<?x2x?x8xbf16>, tensor<?x2x?x8xbf16>) -> tensor<?x2x?x?xbf16>
  %b = tensor.dim %s, %c0 : tensor<?x2x?x?xbf16>
  %n = tensor.dim %s, %c2 : tensor<?x2x?x?xbf16>
  %wide = arith.extf %s : tensor<?x2x?x?xbf16> to tensor<?x2x?x?xf32>
  %splat = tensor.splat %half[%b, %n, %n] : tensor<?x2x?x?xf32>
  %product = arith.mulf %wide, %splat : tensor<?x2x?x?xf32>
  %scaled = arith.truncf %product : tensor<?x2x?x?xf32> to tensor<?x2x?x?xbf16>
  %p = transformer.softmax %scaled : (tensor<?x2x?x?xbf16>) -> tensor<?x2x?x?xbf16>
  %o = transformer.matmul %p, %k : (tensor<?x2x?x?xbf16>, tensor<?x2x?x8xbf16>) -> tensor<?x2x?x8xbf16>
  %r = transformer.merge_heads %o : (tensor<?x2x?x8xbf16>) -> tensor<?x?x16xbf16>
  return %r : tensor<?x?x16xbf16>
}
