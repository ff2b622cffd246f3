// RUN: ingot-opt %s --split-input-file --fuse-attention | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --split-input-file --fuse-attention --remarks-filter=fuse-attention --remark-policy=all -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// What keeps attention from being fused, and what is said of it.

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because scores are used elsewhere"
// CHECK-LABEL: func.func @scores_used
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @scores_used(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>) -> (tensor<2x5x32xf32>, tensor<2x4x5x5xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s0 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r, %s0 : tensor<2x5x32xf32>, tensor<2x4x5x5xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because masked scores are used elsewhere"
// CHECK-LABEL: func.func @masked_scores_used
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @masked_scores_used(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>) -> (tensor<2x5x32xf32>, tensor<2x4x5x5xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %am = transformer.attention_mask %p, %p {causal} : (tensor<2x5xi32>, tensor<2x5xi32>) -> tensor<2x5x5xi1>
  %s1 = transformer.apply_mask %s0, %am : (tensor<2x4x5x5xf32>, tensor<2x5x5xi1>) -> tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s1 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r, %s1 : tensor<2x5x32xf32>, tensor<2x4x5x5xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because the mask isn't one of positions and valid keys (transformer.attention_mask)"
// CHECK-LABEL: func.func @other_mask
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @other_mask(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %s1 = transformer.apply_mask %s0, %m : (tensor<2x4x5x5xf32>, tensor<2x5x5xi1>) -> tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s1 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because the mask is applied before a bias, a scale or another mask"
// CHECK-LABEL: func.func @two_masks
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @two_masks(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %am = transformer.attention_mask %p, %p {causal} : (tensor<2x5xi32>, tensor<2x5xi32>) -> tensor<2x5x5xi1>
  %s1 = transformer.apply_mask %s0, %m : (tensor<2x4x5x5xf32>, tensor<2x5x5xi1>) -> tensor<2x4x5x5xf32>
  %s2 = transformer.apply_mask %s1, %am : (tensor<2x4x5x5xf32>, tensor<2x5x5xi1>) -> tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s2 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because the mask is applied before a bias, a scale or another mask"
// CHECK-LABEL: func.func @mask_before_bias
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @mask_before_bias(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %am = transformer.attention_mask %p, %p {causal} : (tensor<2x5xi32>, tensor<2x5xi32>) -> tensor<2x5x5xi1>
  %s1 = transformer.apply_mask %s0, %am : (tensor<2x4x5x5xf32>, tensor<2x5x5xi1>) -> tensor<2x4x5x5xf32>
  %s2 = transformer.add_bias %s1, %b : (tensor<2x4x5x5xf32>, tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s2 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because a bias is added before the scale or the soft cap"
// CHECK-LABEL: func.func @bias_before_scale
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @bias_before_scale(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %c2 = arith.constant dense<2.0> : tensor<2x4x5x5xf32>
  %s1 = transformer.add_bias %s0, %b : (tensor<2x4x5x5xf32>, tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %s2 = arith.mulf %s1, %c2 : tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s2 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because more than one bias is added"
// CHECK-LABEL: func.func @two_biases
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @two_biases(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %s1 = transformer.add_bias %s0, %b : (tensor<2x4x5x5xf32>, tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %s2 = transformer.add_bias %s1, %b : (tensor<2x4x5x5xf32>, tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s2 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because the scores come from 'arith.mulf'"
// CHECK-LABEL: func.func @scale_not_constant
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @scale_not_constant(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %s1 = arith.mulf %s0, %two : tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s1 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because scores are scaled behind the soft cap"
// CHECK-LABEL: func.func @scale_behind_softcap
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @scale_behind_softcap(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %c2 = arith.constant dense<2.0> : tensor<2x4x5x5xf32>
  %s1 = math.tanh %s0 : tensor<2x4x5x5xf32>
  %s2 = arith.mulf %s1, %c2 : tensor<2x4x5x5xf32>
  %s3 = arith.mulf %s2, %c2 : tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s3 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because tanh of the scores isn't multiplied by a constant"
// CHECK-LABEL: func.func @tanh_alone
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @tanh_alone(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %s1 = math.tanh %s0 : tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s1 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because ALiBi is added between two scales"
// CHECK-LABEL: func.func @alibi_between_scales
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @alibi_between_scales(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>, %a: tensor<4xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %c2 = arith.constant dense<2.0> : tensor<2x4x5x5xf32>
  %s1 = arith.mulf %s0, %c2 : tensor<2x4x5x5xf32>
  %s2 = transformer.add_alibi %s1, %a, %p, %p : (tensor<2x4x5x5xf32>, tensor<4xf32>, tensor<2x5xi32>, tensor<2x5xi32>) -> tensor<2x4x5x5xf32>
  %s3 = arith.mulf %s2, %c2 : tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s3 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because ALiBi is added twice"
// CHECK-LABEL: func.func @alibi_twice
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @alibi_twice(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>, %a: tensor<4xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %s1 = transformer.add_alibi %s0, %a, %p, %p : (tensor<2x4x5x5xf32>, tensor<4xf32>, tensor<2x5xi32>, tensor<2x5xi32>) -> tensor<2x4x5x5xf32>
  %s2 = transformer.add_alibi %s1, %a, %p, %p : (tensor<2x4x5x5xf32>, tensor<4xf32>, tensor<2x5xi32>, tensor<2x5xi32>) -> tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s2 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because ALiBi and the mask use different positions"
// CHECK-LABEL: func.func @alibi_at_other_positions
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @alibi_at_other_positions(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>, %a: tensor<4xf32>, %p2: tensor<2x5xi32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %am = transformer.attention_mask %p, %p {causal} : (tensor<2x5xi32>, tensor<2x5xi32>) -> tensor<2x5x5xi1>
  %s1 = transformer.add_alibi %s0, %a, %p2, %p2 : (tensor<2x4x5x5xf32>, tensor<4xf32>, tensor<2x5xi32>, tensor<2x5xi32>) -> tensor<2x4x5x5xf32>
  %s2 = transformer.apply_mask %s1, %am : (tensor<2x4x5x5xf32>, tensor<2x5x5xi1>) -> tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s2 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because two values are added, and it isn't clear which one is the scores"
// CHECK-LABEL: func.func @two_products
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @two_products(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %s1 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %s2 = arith.addf %s0, %s1 : tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s2 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because the scores are an argument of the program"
// CHECK-LABEL: func.func @argument_scores
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @argument_scores(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %pr = transformer.softmax %two : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because queries by head come from an argument of the program, not from split_heads"
// CHECK-LABEL: func.func @query_by_head
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @query_by_head(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>, %g: tensor<2x4x5x8xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %g, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s0 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because values by head come from 'arith.negf', not from split_heads"
// CHECK-LABEL: func.func @value_changed
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @value_changed(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %n = arith.negf %h : tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s0 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %n : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because the keys of the scores aren't transposed"
// CHECK-LABEL: func.func @keys_not_transposed
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @keys_not_transposed(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>, %kt: tensor<2x4x8x5xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %kt : (tensor<2x4x5x8xf32>, tensor<2x4x8x5xf32>) -> tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s0 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because the result by head is used as it is, not merged to tokens"
// CHECK-LABEL: func.func @not_merged
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @not_merged(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>) -> (tensor<2x4x5x8xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s0 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %pr, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %o : tensor<2x4x5x8xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because probabilities before the head mask are used elsewhere"
// CHECK-LABEL: func.func @masked_probabilities_used
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @masked_probabilities_used(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>, %m: tensor<2x5x5xi1>, %two: tensor<2x4x5x5xf32>, %b: tensor<2x4x5x5xf32>, %a: tensor<4xf32>) -> (tensor<2x5x32xf32>, tensor<2x4x5x5xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %s0 = transformer.matmul %h, %h {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x5xf32>
  %pr = transformer.softmax %s0 : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  %ph = transformer.scale_heads %pr, %a : (tensor<2x4x5x5xf32>, tensor<4xf32>) -> tensor<2x4x5x5xf32>
  %o = transformer.matmul %ph, %h : (tensor<2x4x5x5xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r, %pr : tensor<2x5x32xf32>, tensor<2x4x5x5xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because keys and values aren't both read through a block table"
// CHECK-LABEL: func.func @paged_keys_alone
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @paged_keys_alone(%x: tensor<2x5x32xf32>, %kc: tensor<9x4x4x8xf32>, %vc: tensor<9x4x4x8xf32>, %t: tensor<2x3xi32>, %t2: tensor<2x3xi32>, %past: tensor<2xi32>, %past2: tensor<2xi32>, %n: tensor<2xi32>,
    %p: tensor<2x12xi32>, %b: tensor<2x4x5x12xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %k1 = transformer.cache_append %kc, %h, %t, %past, %n : (tensor<9x4x4x8xf32>, tensor<2x4x5x8xf32>, tensor<2x3xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<9x4x4x8xf32>
  %kg = transformer.cache_gather %k1, %t : (tensor<9x4x4x8xf32>, tensor<2x3xi32>) -> tensor<2x4x12x8xf32>
  %vg = transformer.cache_gather %vc, %t : (tensor<9x4x4x8xf32>, tensor<2x3xi32>) -> tensor<2x4x12x8xf32>
  %y = arith.constant dense<1.0> : tensor<2x12x32xf32>
  %yh = transformer.split_heads %y {heads = 4} : (tensor<2x12x32xf32>) -> tensor<2x4x12x8xf32>
  %qp = transformer.token_positions %past, %x : (tensor<2xi32>, tensor<2x5x32xf32>) -> tensor<2x5xi32>
  %kp = transformer.context_positions %t {block_size = 4} : (tensor<2x3xi32>) -> tensor<2x12xi32>
  %mask = transformer.attention_mask %qp, %kp {causal} : (tensor<2x5xi32>, tensor<2x12xi32>) -> tensor<2x5x12xi1>
  %s0 = transformer.matmul %h, %kg {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x12x8xf32>) -> tensor<2x4x5x12xf32>
  %s = transformer.apply_mask %s0, %mask : (tensor<2x4x5x12xf32>, tensor<2x5x12xi1>) -> tensor<2x4x5x12xf32>
  %pr = transformer.softmax %s : (tensor<2x4x5x12xf32>) -> tensor<2x4x5x12xf32>
  %o = transformer.matmul %pr, %yh : (tensor<2x4x5x12xf32>, tensor<2x4x12x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because keys and values are read through different block tables"
// CHECK-LABEL: func.func @paged_two_tables
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @paged_two_tables(%x: tensor<2x5x32xf32>, %kc: tensor<9x4x4x8xf32>, %vc: tensor<9x4x4x8xf32>, %t: tensor<2x3xi32>, %t2: tensor<2x3xi32>, %past: tensor<2xi32>, %past2: tensor<2xi32>, %n: tensor<2xi32>,
    %p: tensor<2x12xi32>, %b: tensor<2x4x5x12xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %k1 = transformer.cache_append %kc, %h, %t, %past, %n : (tensor<9x4x4x8xf32>, tensor<2x4x5x8xf32>, tensor<2x3xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<9x4x4x8xf32>
  %kg = transformer.cache_gather %k1, %t : (tensor<9x4x4x8xf32>, tensor<2x3xi32>) -> tensor<2x4x12x8xf32>
  %vg = transformer.cache_gather %vc, %t2 : (tensor<9x4x4x8xf32>, tensor<2x3xi32>) -> tensor<2x4x12x8xf32>
  %y = arith.constant dense<1.0> : tensor<2x12x32xf32>
  %yh = transformer.split_heads %y {heads = 4} : (tensor<2x12x32xf32>) -> tensor<2x4x12x8xf32>
  %qp = transformer.token_positions %past, %x : (tensor<2xi32>, tensor<2x5x32xf32>) -> tensor<2x5xi32>
  %kp = transformer.context_positions %t {block_size = 4} : (tensor<2x3xi32>) -> tensor<2x12xi32>
  %mask = transformer.attention_mask %qp, %kp {causal} : (tensor<2x5xi32>, tensor<2x12xi32>) -> tensor<2x5x12xi1>
  %s0 = transformer.matmul %h, %kg {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x12x8xf32>) -> tensor<2x4x5x12xf32>
  %s = transformer.apply_mask %s0, %mask : (tensor<2x4x5x12xf32>, tensor<2x5x12xi1>) -> tensor<2x4x5x12xf32>
  %pr = transformer.softmax %s : (tensor<2x4x5x12xf32>) -> tensor<2x4x5x12xf32>
  %o = transformer.matmul %pr, %vg : (tensor<2x4x5x12xf32>, tensor<2x4x12x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because a bias on paged keys isn't supported"
// CHECK-LABEL: func.func @paged_bias
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @paged_bias(%x: tensor<2x5x32xf32>, %kc: tensor<9x4x4x8xf32>, %vc: tensor<9x4x4x8xf32>, %t: tensor<2x3xi32>, %t2: tensor<2x3xi32>, %past: tensor<2xi32>, %past2: tensor<2xi32>, %n: tensor<2xi32>,
    %p: tensor<2x12xi32>, %b: tensor<2x4x5x12xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %k1 = transformer.cache_append %kc, %h, %t, %past, %n : (tensor<9x4x4x8xf32>, tensor<2x4x5x8xf32>, tensor<2x3xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<9x4x4x8xf32>
  %kg = transformer.cache_gather %k1, %t : (tensor<9x4x4x8xf32>, tensor<2x3xi32>) -> tensor<2x4x12x8xf32>
  %vg = transformer.cache_gather %vc, %t : (tensor<9x4x4x8xf32>, tensor<2x3xi32>) -> tensor<2x4x12x8xf32>
  %y = arith.constant dense<1.0> : tensor<2x12x32xf32>
  %yh = transformer.split_heads %y {heads = 4} : (tensor<2x12x32xf32>) -> tensor<2x4x12x8xf32>
  %qp = transformer.token_positions %past, %x : (tensor<2xi32>, tensor<2x5x32xf32>) -> tensor<2x5xi32>
  %kp = transformer.context_positions %t {block_size = 4} : (tensor<2x3xi32>) -> tensor<2x12xi32>
  %mask = transformer.attention_mask %qp, %kp {causal} : (tensor<2x5xi32>, tensor<2x12xi32>) -> tensor<2x5x12xi1>
  %s0 = transformer.matmul %h, %kg {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x12x8xf32>) -> tensor<2x4x5x12xf32>
  %s = transformer.add_bias %s0, %b : (tensor<2x4x5x12xf32>, tensor<2x4x5x12xf32>) -> tensor<2x4x5x12xf32>
  %sm = transformer.apply_mask %s, %mask : (tensor<2x4x5x12xf32>, tensor<2x5x12xi1>) -> tensor<2x4x5x12xf32>
  %pr = transformer.softmax %sm : (tensor<2x4x5x12xf32>) -> tensor<2x4x5x12xf32>
  %o = transformer.matmul %pr, %vg : (tensor<2x4x5x12xf32>, tensor<2x4x12x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because probabilities over paged keys are used"
// CHECK-LABEL: func.func @paged_probabilities
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @paged_probabilities(%x: tensor<2x5x32xf32>, %kc: tensor<9x4x4x8xf32>, %vc: tensor<9x4x4x8xf32>, %t: tensor<2x3xi32>, %t2: tensor<2x3xi32>, %past: tensor<2xi32>, %past2: tensor<2xi32>, %n: tensor<2xi32>,
    %p: tensor<2x12xi32>, %b: tensor<2x4x5x12xf32>) -> (tensor<2x5x32xf32>, tensor<2x4x5x12xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %k1 = transformer.cache_append %kc, %h, %t, %past, %n : (tensor<9x4x4x8xf32>, tensor<2x4x5x8xf32>, tensor<2x3xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<9x4x4x8xf32>
  %kg = transformer.cache_gather %k1, %t : (tensor<9x4x4x8xf32>, tensor<2x3xi32>) -> tensor<2x4x12x8xf32>
  %vg = transformer.cache_gather %vc, %t : (tensor<9x4x4x8xf32>, tensor<2x3xi32>) -> tensor<2x4x12x8xf32>
  %y = arith.constant dense<1.0> : tensor<2x12x32xf32>
  %yh = transformer.split_heads %y {heads = 4} : (tensor<2x12x32xf32>) -> tensor<2x4x12x8xf32>
  %qp = transformer.token_positions %past, %x : (tensor<2xi32>, tensor<2x5x32xf32>) -> tensor<2x5xi32>
  %kp = transformer.context_positions %t {block_size = 4} : (tensor<2x3xi32>) -> tensor<2x12xi32>
  %mask = transformer.attention_mask %qp, %kp {causal} : (tensor<2x5xi32>, tensor<2x12xi32>) -> tensor<2x5x12xi1>
  %s0 = transformer.matmul %h, %kg {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x12x8xf32>) -> tensor<2x4x5x12xf32>
  %s = transformer.apply_mask %s0, %mask : (tensor<2x4x5x12xf32>, tensor<2x5x12xi1>) -> tensor<2x4x5x12xf32>
  %pr = transformer.softmax %s : (tensor<2x4x5x12xf32>) -> tensor<2x4x5x12xf32>
  %o = transformer.matmul %pr, %vg : (tensor<2x4x5x12xf32>, tensor<2x4x12x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r, %pr : tensor<2x5x32xf32>, tensor<2x4x5x12xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because the mask of paged keys isn't causal from each row's past"
// CHECK-LABEL: func.func @paged_not_causal
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @paged_not_causal(%x: tensor<2x5x32xf32>, %kc: tensor<9x4x4x8xf32>, %vc: tensor<9x4x4x8xf32>, %t: tensor<2x3xi32>, %t2: tensor<2x3xi32>, %past: tensor<2xi32>, %past2: tensor<2xi32>, %n: tensor<2xi32>,
    %p: tensor<2x12xi32>, %b: tensor<2x4x5x12xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %k1 = transformer.cache_append %kc, %h, %t, %past, %n : (tensor<9x4x4x8xf32>, tensor<2x4x5x8xf32>, tensor<2x3xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<9x4x4x8xf32>
  %kg = transformer.cache_gather %k1, %t : (tensor<9x4x4x8xf32>, tensor<2x3xi32>) -> tensor<2x4x12x8xf32>
  %vg = transformer.cache_gather %vc, %t : (tensor<9x4x4x8xf32>, tensor<2x3xi32>) -> tensor<2x4x12x8xf32>
  %y = arith.constant dense<1.0> : tensor<2x12x32xf32>
  %yh = transformer.split_heads %y {heads = 4} : (tensor<2x12x32xf32>) -> tensor<2x4x12x8xf32>
  %qp = transformer.token_positions %past, %x : (tensor<2xi32>, tensor<2x5x32xf32>) -> tensor<2x5xi32>
  %kp = transformer.context_positions %t {block_size = 4} : (tensor<2x3xi32>) -> tensor<2x12xi32>
  %mask = transformer.attention_mask %qp, %kp  : (tensor<2x5xi32>, tensor<2x12xi32>) -> tensor<2x5x12xi1>
  %s0 = transformer.matmul %h, %kg {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x12x8xf32>) -> tensor<2x4x5x12xf32>
  %s = transformer.apply_mask %s0, %mask : (tensor<2x4x5x12xf32>, tensor<2x5x12xi1>) -> tensor<2x4x5x12xf32>
  %pr = transformer.softmax %s : (tensor<2x4x5x12xf32>) -> tensor<2x4x5x12xf32>
  %o = transformer.matmul %pr, %vg : (tensor<2x4x5x12xf32>, tensor<2x4x12x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because the mask of paged keys isn't causal from each row's past"
// CHECK-LABEL: func.func @paged_other_positions
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @paged_other_positions(%x: tensor<2x5x32xf32>, %kc: tensor<9x4x4x8xf32>, %vc: tensor<9x4x4x8xf32>, %t: tensor<2x3xi32>, %t2: tensor<2x3xi32>, %past: tensor<2xi32>, %past2: tensor<2xi32>, %n: tensor<2xi32>,
    %p: tensor<2x12xi32>, %b: tensor<2x4x5x12xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %k1 = transformer.cache_append %kc, %h, %t, %past, %n : (tensor<9x4x4x8xf32>, tensor<2x4x5x8xf32>, tensor<2x3xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<9x4x4x8xf32>
  %kg = transformer.cache_gather %k1, %t : (tensor<9x4x4x8xf32>, tensor<2x3xi32>) -> tensor<2x4x12x8xf32>
  %vg = transformer.cache_gather %vc, %t : (tensor<9x4x4x8xf32>, tensor<2x3xi32>) -> tensor<2x4x12x8xf32>
  %y = arith.constant dense<1.0> : tensor<2x12x32xf32>
  %yh = transformer.split_heads %y {heads = 4} : (tensor<2x12x32xf32>) -> tensor<2x4x12x8xf32>
  %qp = transformer.token_positions %past, %x : (tensor<2xi32>, tensor<2x5x32xf32>) -> tensor<2x5xi32>
  %kp = transformer.context_positions %t {block_size = 4} : (tensor<2x3xi32>) -> tensor<2x12xi32>
  %mask = transformer.attention_mask %qp, %p {causal} : (tensor<2x5xi32>, tensor<2x12xi32>) -> tensor<2x5x12xi1>
  %s0 = transformer.matmul %h, %kg {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x12x8xf32>) -> tensor<2x4x5x12xf32>
  %s = transformer.apply_mask %s0, %mask : (tensor<2x4x5x12xf32>, tensor<2x5x12xi1>) -> tensor<2x4x5x12xf32>
  %pr = transformer.softmax %s : (tensor<2x4x5x12xf32>) -> tensor<2x4x5x12xf32>
  %o = transformer.matmul %pr, %vg : (tensor<2x4x5x12xf32>, tensor<2x4x12x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}

// -----

// REMARK: [Missed] NotFused | {{.*}} Remark="attention not fused because the cache is appended to at other positions than the mask's"
// CHECK-LABEL: func.func @paged_append_elsewhere
// CHECK-NOT: transformer.attention{{ }}
// CHECK: transformer.softmax
func.func @paged_append_elsewhere(%x: tensor<2x5x32xf32>, %kc: tensor<9x4x4x8xf32>, %vc: tensor<9x4x4x8xf32>, %t: tensor<2x3xi32>, %t2: tensor<2x3xi32>, %past: tensor<2xi32>, %past2: tensor<2xi32>, %n: tensor<2xi32>,
    %p: tensor<2x12xi32>, %b: tensor<2x4x5x12xf32>) -> (tensor<2x5x32xf32>) {
  %h = transformer.split_heads %x {heads = 4} : (tensor<2x5x32xf32>) -> tensor<2x4x5x8xf32>
  %k1 = transformer.cache_append %kc, %h, %t, %past, %n : (tensor<9x4x4x8xf32>, tensor<2x4x5x8xf32>, tensor<2x3xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<9x4x4x8xf32>
  %kg = transformer.cache_gather %k1, %t : (tensor<9x4x4x8xf32>, tensor<2x3xi32>) -> tensor<2x4x12x8xf32>
  %vg = transformer.cache_gather %vc, %t : (tensor<9x4x4x8xf32>, tensor<2x3xi32>) -> tensor<2x4x12x8xf32>
  %y = arith.constant dense<1.0> : tensor<2x12x32xf32>
  %yh = transformer.split_heads %y {heads = 4} : (tensor<2x12x32xf32>) -> tensor<2x4x12x8xf32>
  %qp = transformer.token_positions %past2, %x : (tensor<2xi32>, tensor<2x5x32xf32>) -> tensor<2x5xi32>
  %kp = transformer.context_positions %t {block_size = 4} : (tensor<2x3xi32>) -> tensor<2x12xi32>
  %mask = transformer.attention_mask %qp, %kp {causal} : (tensor<2x5xi32>, tensor<2x12xi32>) -> tensor<2x5x12xi1>
  %s0 = transformer.matmul %h, %kg {transpose_rhs} : (tensor<2x4x5x8xf32>, tensor<2x4x12x8xf32>) -> tensor<2x4x5x12xf32>
  %s = transformer.apply_mask %s0, %mask : (tensor<2x4x5x12xf32>, tensor<2x5x12xi1>) -> tensor<2x4x5x12xf32>
  %pr = transformer.softmax %s : (tensor<2x4x5x12xf32>) -> tensor<2x4x5x12xf32>
  %o = transformer.matmul %pr, %vg : (tensor<2x4x5x12xf32>, tensor<2x4x12x8xf32>) -> tensor<2x4x5x8xf32>
  %r = transformer.merge_heads %o : (tensor<2x4x5x8xf32>) -> tensor<2x5x32xf32>
  return %r : tensor<2x5x32xf32>
}
