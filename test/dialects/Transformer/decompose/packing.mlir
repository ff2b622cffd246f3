// RUN: ingot-opt %s --decompose-transformer --canonicalize --cse | FileCheck %s --enable-var-scope

// Counts of rows, then sums of counts.
// CHECK-LABEL: func.func @cu_seqlens
func.func @cu_seqlens(%m: tensor<?x?xi1>) -> tensor<9xi32> {
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
  %0 = transformer.cu_seqlens %m {rows = 8} : (tensor<?x?xi1>) -> tensor<9xi32>
  return %0 : tensor<9xi32>
}

// The number of tokens is read from cu_seqlens and cut to B * S.
// CHECK-LABEL: func.func @token_indices
// CHECK-SAME: (%[[M:.*]]: tensor<?x?xi1>, %[[CU:.*]]: tensor<9xi32>)
func.func @token_indices(%m: tensor<?x?xi1>, %cu: tensor<9xi32>) -> tensor<?xi32> {
  // CHECK-DAG: %[[LAST:.*]] = arith.constant 8 : index
  // CHECK: %[[T:.*]] = tensor.extract %[[CU]][%[[LAST]]]
  // CHECK: arith.minsi
  // CHECK: arith.maxsi
  // CHECK: scf.for
  // CHECK: scf.for
  // CHECK: scf.if
  // CHECK: tensor.insert
  %0 = transformer.token_indices %m, %cu : (tensor<?x?xi1>, tensor<9xi32>) -> tensor<?xi32>
  return %0 : tensor<?xi32>
}

// CHECK-LABEL: func.func @pack
func.func @pack(%x: tensor<?x?x8xf32>, %i: tensor<?xi32>) -> tensor<?x8xf32> {
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]
  // CHECK: tensor.extract
  %0 = transformer.pack %x, %i : (tensor<?x?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// Nothing is read for padding: there may be no token at all.
// CHECK-LABEL: func.func @unpack
func.func @unpack(%x: tensor<?x8xf32>, %s: tensor<?x?xi32>) -> tensor<?x?x8xf32> {
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel"]
  // CHECK: scf.if
  // CHECK: tensor.extract
  %0 = transformer.unpack %x, %s : (tensor<?x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
  return %0 : tensor<?x?x8xf32>
}
