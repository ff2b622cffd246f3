// RUN: ingot-opt %s --decompose-transformer --canonicalize --cse | FileCheck %s --enable-var-scope

// Ids are clamped before they index the table.
// CHECK-LABEL: func.func @embedding
func.func @embedding(%t: tensor<11x8xf32>, %i: tensor<?x?xi32>) -> tensor<?x?x8xf32> {
  // CHECK-DAG: %[[LAST:.*]] = arith.constant 10 : index
  // CHECK: %[[MIN:.*]] = arith.minsi %{{.*}}, %[[LAST]]
  // CHECK: %[[ROW:.*]] = arith.maxsi %[[MIN]]
  // CHECK: tensor.extract %{{.*}}[%[[ROW]],
  %0 = transformer.embedding %t, %i : (tensor<11x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
  return %0 : tensor<?x?x8xf32>
}

// CHECK-LABEL: func.func @positions
func.func @positions(%m: tensor<?x?xi1>) -> tensor<?x?xi32> {
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]
  // CHECK-NOT: scf.for
  %0 = transformer.positions %m {offset = 2, padding_position = 1} : (tensor<?x?xi1>) -> tensor<?x?xi32>
  return %0 : tensor<?x?xi32>
}

// Both tables in one pass; no call of a math library.
// CHECK-LABEL: func.func @rope_table
func.func @rope_table(%p: tensor<?x?xi32>, %f: tensor<4xf32>) -> (tensor<?x?x4xf32>, tensor<?x?x4xf32>) {
  // CHECK: %[[R:.*]]:2 = linalg.generic
  // CHECK: arith.mulf %{{.*}}, %{{.*}} : f32
  // CHECK: arith.extf %{{.*}} : f32 to f64
  // CHECK-NOT: math.
  // CHECK: return %[[R]]#0, %[[R]]#1
  %0, %1 = transformer.rope_table %p, %f : (tensor<?x?xi32>, tensor<4xf32>) -> (tensor<?x?x4xf32>, tensor<?x?x4xf32>)
  return %0, %1 : tensor<?x?x4xf32>, tensor<?x?x4xf32>
}

// One generic over [B, H, S, 2, R/2], a free reshape; no copy where all of D rotates.
// CHECK-LABEL: func.func @rope
func.func @rope(%x: tensor<?x3x?x8xf32>, %c: tensor<?x?x4xf32>) -> tensor<?x3x?x8xf32> {
  // CHECK-DAG: tensor.extract_slice %{{.*}}[0, 0, 0, 0] [%{{.*}}, 3, %{{.*}}, 4] [1, 1, 1, 1]
  // CHECK-DAG: tensor.extract_slice %{{.*}}[0, 0, 0, 4] [%{{.*}}, 3, %{{.*}}, 4] [1, 1, 1, 1]
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?x3x?x2x4xf32>)
  // CHECK: tensor.collapse_shape
  // CHECK-NOT: tensor.insert_slice
  %0 = transformer.rope %x, %c, %c : (tensor<?x3x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x3x?x8xf32>
  return %0 : tensor<?x3x?x8xf32>
}

// CHECK-LABEL: func.func @rope_interleaved_part
func.func @rope_interleaved_part(%x: tensor<?x3x?x12xf32>, %c: tensor<?x?x4xf32>) -> tensor<?x3x?x12xf32> {
  // CHECK-DAG: tensor.extract_slice %{{.*}}[0, 0, 0, 0] [%{{.*}}, 3, %{{.*}}, 4] [1, 1, 1, 2]
  // CHECK-DAG: tensor.extract_slice %{{.*}}[0, 0, 0, 1] [%{{.*}}, 3, %{{.*}}, 4] [1, 1, 1, 2]
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?x3x?x4x2xf32>)
  // CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[0, 0, 0, 0] [%{{.*}}, 3, %{{.*}}, 8] [1, 1, 1, 1]
  %0 = transformer.rope %x, %c, %c {interleaved} : (tensor<?x3x?x12xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x3x?x12xf32>
  return %0 : tensor<?x3x?x12xf32>
}
