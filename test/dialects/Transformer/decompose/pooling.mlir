// RUN: ingot-opt %s --decompose-transformer --canonicalize --cse | FileCheck %s --enable-var-scope

// CHECK-LABEL: func.func @first_token
func.func @first_token(%m: tensor<?x?xi1>) -> tensor<?xi32> {
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
  // CHECK: arith.minsi
  %0 = transformer.first_token %m : (tensor<?x?xi1>) -> tensor<?xi32>
  return %0 : tensor<?xi32>
}

// CHECK-LABEL: func.func @select_token
func.func @select_token(%x: tensor<?x?x8xf32>, %i: tensor<?xi32>) -> tensor<?x8xf32> {
  // CHECK: arith.minsi
  // CHECK: arith.maxsi
  // CHECK: tensor.extract
  %0 = transformer.select_token %x, %i : (tensor<?x?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// Padding is selected away, not multiplied by zero.
// CHECK-LABEL: func.func @mean_pool
func.func @mean_pool(%x: tensor<?x?x8xf32>, %m: tensor<?x?xi1>) -> tensor<?x8xf32> {
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction", "parallel"]
  // CHECK: arith.select
  // CHECK: arith.maximumf
  // CHECK: arith.divf
  %0 = transformer.mean_pool %x, %m : (tensor<?x?x8xf32>, tensor<?x?xi1>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}
