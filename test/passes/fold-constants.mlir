// RUN: ingot-opt %s --pass-pipeline='builtin.module(func.func(fold-constants))' | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --pass-pipeline='builtin.module(func.func(fold-constants))' --remarks-filter-passed=fold-constants --remarks-filter-missed=fold-constants -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// REMARK-DAG: [Passed] Fused | Category:fold-constants | {{.*}}fused: the factor 0.250000 is in the weight
// REMARK-DAG: [Passed] Fused | Category:fold-constants | {{.*}}rows at constant positions are a slice of the table
// REMARK-DAG: [Missed] NotFused | Category:fold-constants | {{.*}}because 0.300000 is not a power of two
// REMARK-DAG: [Missed] NotFused | Category:fold-constants | {{.*}}because the weight has other users
// REMARK-DAG: [Missed] NotFused | Category:fold-constants | {{.*}}because what it scales is read by something else as well
// REMARK-DAG: [Missed] NotFused | Category:fold-constants | {{.*}}because f16 has too few exponents
// REMARK-DAG: [Missed] NotFused | Category:fold-constants | {{.*}}because a factor of 2^-30 may leave the type's range

// CHECK-LABEL: func.func @open_masks
// CHECK-SAME: %[[S:[a-z0-9]*]]: tensor<?x2x?x?xf32>
func.func @open_masks(%s: tensor<?x2x?x?xf32>, %q: tensor<?x?xi32>, %k: tensor<?x?xi32>, %b: index, %c: index) -> tensor<?x2x?x?xf32> {
  %true = arith.constant true
  %valid = tensor.splat %true[%b, %c] : tensor<?x?xi1>
  %m = transformer.attention_mask %q, %k, %valid : (tensor<?x?xi32>, tensor<?x?xi32>, tensor<?x?xi1>) -> tensor<?x?x?xi1>
  %0 = transformer.apply_mask %s, %m : (tensor<?x2x?x?xf32>, tensor<?x?x?xi1>) -> tensor<?x2x?x?xf32>
  // CHECK: return %[[S]]
  return %0 : tensor<?x2x?x?xf32>
}

// Keys are valid, but order still hides some.
// CHECK-LABEL: func.func @causal_mask
func.func @causal_mask(%s: tensor<2x2x4x4xf32>, %q: tensor<2x4xi32>) -> tensor<2x2x4x4xf32> {
  %valid = arith.constant dense<true> : tensor<2x4xi1>
  // CHECK: transformer.attention_mask %{{[a-z0-9]*}}, %{{[a-z0-9]*}} {causal}
  %m = transformer.attention_mask %q, %q, %valid {causal} : (tensor<2x4xi32>, tensor<2x4xi32>, tensor<2x4xi1>) -> tensor<2x4x4xi1>
  // CHECK: transformer.apply_mask
  %0 = transformer.apply_mask %s, %m : (tensor<2x2x4x4xf32>, tensor<2x4x4xi1>) -> tensor<2x2x4x4xf32>
  return %0 : tensor<2x2x4x4xf32>
}

// CHECK-LABEL: func.func @hiding_mask
func.func @hiding_mask(%s: tensor<1x2x2x2xf32>, %q: tensor<1x2xi32>) -> tensor<1x2x2x2xf32> {
  %valid = arith.constant dense<[[true, false]]> : tensor<1x2xi1>
  // CHECK: transformer.attention_mask %{{[a-z0-9]*}}, %{{[a-z0-9]*}}, %{{[a-z0-9]*}} :
  %m = transformer.attention_mask %q, %q, %valid : (tensor<1x2xi32>, tensor<1x2xi32>, tensor<1x2xi1>) -> tensor<1x2x2xi1>
  // CHECK: transformer.apply_mask
  %0 = transformer.apply_mask %s, %m : (tensor<1x2x2x2xf32>, tensor<1x2x2xi1>) -> tensor<1x2x2x2xf32>
  return %0 : tensor<1x2x2x2xf32>
}

// CHECK-LABEL: func.func @position_table
func.func @position_table() -> (tensor<1x4x8xf32>, tensor<1x2x8xf32>) {
  %t = transformer.weight ["positions"] [load 0] : tensor<10x8xf32>
  %ids = arith.constant dense<[[2, 3, 4, 5]]> : tensor<1x4xi32>
  // CHECK: transformer.weight ["positions"] [load 0, slice [0, 2, 6], reshape [1, 4, 8]] : tensor<1x4x8xf32>
  %0 = transformer.embedding %t, %ids : (tensor<10x8xf32>, tensor<1x4xi32>) -> tensor<1x4x8xf32>
  // These don't count up.
  // CHECK: transformer.embedding
  %u = transformer.weight ["types"] [load 0] : tensor<2x8xf32>
  %zeros = arith.constant dense<0> : tensor<1x2xi32>
  %1 = transformer.embedding %u, %zeros : (tensor<2x8xf32>, tensor<1x2xi32>) -> tensor<1x2x8xf32>
  return %0, %1 : tensor<1x4x8xf32>, tensor<1x2x8xf32>
}

// Weight and bias.
// CHECK-LABEL: func.func @factor
func.func @factor(%x: tensor<?x8xf32>, %n: index) -> tensor<?x4xf32> {
  %w = transformer.weight ["w"] [load 0] : tensor<4x8xf32>
  %b = transformer.weight ["b"] [load 0] : tensor<4xf32>
  // CHECK: %[[W:.*]] = transformer.weight ["w"] [load 0, mul_scalar 2.500000e-01]
  // CHECK: %[[B:.*]] = transformer.weight ["b"] [load 0, mul_scalar 2.500000e-01]
  // CHECK: %[[Y:.*]] = transformer.linear %{{.*}}, %[[W]], %[[B]]
  // CHECK-NOT: arith.mulf
  %y = transformer.linear %x, %w, %b : (tensor<?x8xf32>, tensor<4x8xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %c = arith.constant 0.25 : f32
  %s = tensor.splat %c[%n] : tensor<?x4xf32>
  %z = arith.mulf %s, %y : tensor<?x4xf32>
  // CHECK: return %[[Y]]
  return %z : tensor<?x4xf32>
}

// CHECK-LABEL: func.func @inexact_factor
func.func @inexact_factor(%x: tensor<2x8xf32>) -> tensor<2x4xf32> {
  %w = transformer.weight ["w"] [load 0] : tensor<4x8xf32>
  // CHECK: arith.mulf
  %y = transformer.linear %x, %w : (tensor<2x8xf32>, tensor<4x8xf32>) -> tensor<2x4xf32>
  %s = arith.constant dense<0.3> : tensor<2x4xf32>
  %z = arith.mulf %y, %s : tensor<2x4xf32>
  return %z : tensor<2x4xf32>
}

// CHECK-LABEL: func.func @tied
func.func @tied(%ids: tensor<2xi32>) -> (tensor<2x8xf32>, tensor<2x8xf32>) {
  %w = transformer.weight ["w"] [load 0] : tensor<8x8xf32>
  %s = arith.constant dense<0.5> : tensor<2x8xf32>
  // CHECK: arith.mulf
  %y = transformer.embedding %w, %ids : (tensor<8x8xf32>, tensor<2xi32>) -> tensor<2x8xf32>
  %z = arith.mulf %y, %s : tensor<2x8xf32>
  %o = transformer.linear %z, %w : (tensor<2x8xf32>, tensor<8x8xf32>) -> tensor<2x8xf32>
  return %z, %o : tensor<2x8xf32>, tensor<2x8xf32>
}

// CHECK-LABEL: func.func @read_unscaled
func.func @read_unscaled(%x: tensor<2x8xf32>) -> (tensor<2x8xf32>, tensor<2x8xf32>) {
  %w = transformer.weight ["w"] [load 0] : tensor<8x8xf32>
  %s = arith.constant dense<0.5> : tensor<2x8xf32>
  // CHECK: arith.mulf
  %y = transformer.linear %x, %w : (tensor<2x8xf32>, tensor<8x8xf32>) -> tensor<2x8xf32>
  %z = arith.mulf %y, %s : tensor<2x8xf32>
  return %z, %y : tensor<2x8xf32>, tensor<2x8xf32>
}

// CHECK-LABEL: func.func @half
func.func @half(%x: tensor<2x8xf16>) -> tensor<2x8xf16> {
  %w = transformer.weight ["w"] [load 0, cast f16] : tensor<8x8xf16>
  %s = arith.constant dense<0.5> : tensor<2x8xf16>
  // CHECK: arith.mulf
  %y = transformer.linear %x, %w : (tensor<2x8xf16>, tensor<8x8xf16>) -> tensor<2x8xf16>
  %z = arith.mulf %y, %s : tensor<2x8xf16>
  return %z : tensor<2x8xf16>
}

// CHECK-LABEL: func.func @tiny_factor
func.func @tiny_factor(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %w = transformer.weight ["w"] [load 0] : tensor<8x8xf32>
  %s = arith.constant dense<9.31322574615478515625e-10> : tensor<2x8xf32>
  // CHECK: arith.mulf
  %y = transformer.linear %x, %w : (tensor<2x8xf32>, tensor<8x8xf32>) -> tensor<2x8xf32>
  %z = arith.mulf %y, %s : tensor<2x8xf32>
  return %z : tensor<2x8xf32>
}
