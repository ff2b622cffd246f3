// RUN: ingot-opt %s --resolve-ranked-shaped-type-result-dims --canonicalize --cse | FileCheck %s --enable-var-scope

// Sizes of results are found in terms of operands, never by computing the result.

// CHECK-LABEL: func.func @sizes
// CHECK-SAME: %[[IDS:.*]]: tensor<?x?xi32>, %[[TABLE:.*]]: tensor<?x?xi32>, %[[CACHE:.*]]: tensor
func.func @sizes(%ids: tensor<?x?xi32>, %table: tensor<?x?xi32>, %cache: tensor<8x2x16x4xf32>,
    %embed: tensor<10x8xf32>) -> (index, index, index, index) {
  // CHECK-NOT: transformer.
  // CHECK-DAG: %[[C0:.*]] = arith.constant 0
  // CHECK-DAG: %[[C1:.*]] = arith.constant 1
  // CHECK-DAG: %[[C8:.*]] = arith.constant 8
  // CHECK-DAG: %[[S:.*]] = tensor.dim %[[IDS]], %[[C1]]
  // CHECK-DAG: %[[B:.*]] = tensor.dim %[[TABLE]], %[[C0]]
  // CHECK-DAG: %[[NB:.*]] = tensor.dim %[[TABLE]], %[[C1]]
  // CHECK-DAG: %[[C:.*]] = affine.apply #{{.*}}()[%[[NB]]]
  // CHECK: return %[[S]], %[[C8]], %[[B]], %[[C]]
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %x = transformer.embedding %embed, %ids : (tensor<10x8xf32>, tensor<?x?xi32>) -> tensor<?x?x?xf32>
  %heads = transformer.split_heads %x {heads = 2} : (tensor<?x?x?xf32>) -> tensor<?x2x?x?xf32>
  %k = transformer.cache_gather %cache, %table : (tensor<8x2x16x4xf32>, tensor<?x?xi32>) -> tensor<?x2x?x4xf32>
  %s = tensor.dim %heads, %c2 : tensor<?x2x?x?xf32>
  %e = tensor.dim %x, %c2 : tensor<?x?x?xf32>
  %b = tensor.dim %k, %c0 : tensor<?x2x?x4xf32>
  %c = tensor.dim %k, %c2 : tensor<?x2x?x4xf32>
  return %s, %e, %b, %c : index, index, index, index
}
