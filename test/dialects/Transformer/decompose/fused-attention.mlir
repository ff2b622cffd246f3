// RUN: ingot-opt %s --decompose-transformer --canonicalize --cse | FileCheck %s --enable-var-scope

// Scores as a tensor, and what makes rows independent.
// CHECK-LABEL: func.func @math
func.func @math(%q: tensor<?x?x32xf32>, %k: tensor<?x?x16xf32>, %v: tensor<?x?x16xf32>, %qp: tensor<?x?xi32>, %kp: tensor<?x?xi32>) -> tensor<?x?x32xf32> {
  // CHECK-NOT: transformer.
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]
  // CHECK: arith.select %{{.*}}, %{{.*}}, %{{.*}} : f32
  // CHECK: math.exp
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]
  // CHECK: linalg.transpose
  // CHECK: return
  %0 = transformer.attention by math %q, %k, %v query_positions(%qp) key_positions(%kp) {heads = 4, kv_heads = 2, scale = 0.5, causal} : (tensor<?x?x32xf32>, tensor<?x?x16xf32>, tensor<?x?x16xf32>, tensor<?x?xi32>, tensor<?x?xi32>) -> tensor<?x?x32xf32>
  return %0 : tensor<?x?x32xf32>
}

// By token, heads are an axis that is split off and merged, and nothing is transposed.
// CHECK-LABEL: func.func @rope_by_token
func.func @rope_by_token(%x: tensor<?x?x32xf32>, %c: tensor<?x?x4xf32>) -> tensor<?x?x32xf32> {
  // CHECK: tensor.expand_shape %{{.*}} {{\[}}[0], [1], [2, 3]] output_shape [%{{.*}}, %{{.*}}, 4, 8]
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel"]
  // CHECK-NOT: linalg.transpose
  // CHECK: tensor.collapse_shape %{{.*}} {{\[}}[0], [1], [2, 3, 4]]
  %0 = transformer.rope %x, %c, %c {heads = 4} : (tensor<?x?x32xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x32xf32>
  return %0 : tensor<?x?x32xf32>
}
