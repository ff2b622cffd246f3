// RUN: ingot-opt %s --decompose-transformer --canonicalize --cse | FileCheck %s --enable-var-scope

// CHECK-LABEL: func.func @heads
func.func @heads(%x: tensor<?x?x8xf32>) -> tensor<?x?x16xf32> {
  // CHECK: tensor.expand_shape %{{.*}} {{\[}}[0], [1], [2, 3]] output_shape [%{{.*}}, %{{.*}}, 2, 4]
  // CHECK: linalg.transpose {{.*}} permutation = [0, 2, 1, 3]
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel"]
  // CHECK: tensor.collapse_shape %{{.*}} {{\[}}[0], [1, 2], [3], [4]]
  // CHECK: linalg.transpose {{.*}} permutation = [0, 2, 1, 3]
  // CHECK: tensor.collapse_shape %{{.*}} {{\[}}[0], [1], [2, 3]]
  %0 = transformer.split_heads %x {heads = 2} : (tensor<?x?x8xf32>) -> tensor<?x2x?x4xf32>
  %1 = transformer.repeat_kv %0 {repeats = 2} : (tensor<?x2x?x4xf32>) -> tensor<?x4x?x4xf32>
  %2 = transformer.merge_heads %1 : (tensor<?x4x?x4xf32>) -> tensor<?x?x16xf32>
  return %2 : tensor<?x?x16xf32>
}

// CHECK-LABEL: func.func @scores
func.func @scores(%q: tensor<?x2x?x4xf32>, %k: tensor<?x2x?x4xf32>) -> tensor<?x2x?x?xf32> {
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]
  %0 = transformer.matmul %q, %k {transpose_rhs} : (tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>) -> tensor<?x2x?x?xf32>
  return %0 : tensor<?x2x?x?xf32>
}

// CHECK-LABEL: func.func @attention_mask
func.func @attention_mask(%q: tensor<?x?xi32>, %k: tensor<?x?xi32>, %v: tensor<?x?xi1>) -> tensor<?x?x?xi1> {
  // CHECK: arith.cmpi sle
  // CHECK: arith.andi
  // CHECK: arith.subi
  // CHECK: arith.cmpi slt, %{{.*}}, %{{.*}} : i32
  %0 = transformer.attention_mask %q, %k, %v {causal, window = 4} : (tensor<?x?xi32>, tensor<?x?xi32>, tensor<?x?xi1>) -> tensor<?x?x?xi1>
  return %0 : tensor<?x?x?xi1>
}

// CHECK-LABEL: func.func @apply_mask
func.func @apply_mask(%s: tensor<?x2x?x?xf32>, %m: tensor<?x?x?xi1>) -> tensor<?x2x?x?xf32> {
  // CHECK: %[[LOWEST:.*]] = arith.constant -3.40282347E+38 : f32
  // CHECK: arith.select %{{.*}}, %{{.*}}, %[[LOWEST]]
  %0 = transformer.apply_mask %s, %m : (tensor<?x2x?x?xf32>, tensor<?x?x?xi1>) -> tensor<?x2x?x?xf32>
  return %0 : tensor<?x2x?x?xf32>
}

// CHECK-LABEL: func.func @softmax
func.func @softmax(%x: tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32> {
  // CHECK: %[[MAX:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "reduction"]
  // CHECK: arith.maximumf
  // CHECK: %[[EXP:.*]] = linalg.generic {{.*}} ins(%{{.*}}, %[[MAX]]
  // CHECK: math.exp
  // CHECK: %[[SUM:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%[[EXP]]
  // CHECK: linalg.generic {{.*}} ins(%[[EXP]], %[[SUM]]
  // CHECK: arith.divf
  %0 = transformer.softmax %x : (tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  return %0 : tensor<?x2x?x?xf32>
}
