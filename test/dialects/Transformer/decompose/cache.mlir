// RUN: ingot-opt %s --decompose-transformer --canonicalize --cse | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --decompose-transformer --canonicalize --cse \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" \
// RUN:   --cse --canonicalize | FileCheck %s --check-prefix=BUFFER --enable-var-scope

// CHECK-LABEL: func.func @append
// BUFFER-LABEL: func.func @append
func.func @append(%cache: tensor<32x2x16x8xf32>, %x: tensor<?x2x?x8xf32>, %table: tensor<?x?xi32>,
    %past: tensor<?xi32>, %n: tensor<?xi32>) -> tensor<32x2x16x8xf32> {
  // CHECK: scf.for %[[ROW:[a-z0-9]+]] =
  // CHECK: scf.for %[[TOKEN:[a-z0-9]+]] =
  // CHECK: tensor.extract_slice %{{.*}}[%[[ROW]], 0, %[[TOKEN]], 0] [1, 2, 1, 8]
  // CHECK: linalg.copy
  // CHECK: tensor.insert_slice %{{.*}} into %{{.*}} [1, 2, 1, 8]

  // The cache is rewritten in place.
  // BUFFER-NOT: memref.alloc
  // BUFFER: linalg.copy
  // BUFFER-NOT: memref.copy
  // BUFFER: return
  %0 = transformer.cache_append %cache, %x, %table, %past, %n : (tensor<32x2x16x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<32x2x16x8xf32>
  return %0 : tensor<32x2x16x8xf32>
}

// CHECK-LABEL: func.func @gather
// BUFFER-LABEL: func.func @gather
func.func @gather(%cache: tensor<32x2x16x8xf32>, %table: tensor<?x?xi32>) -> tensor<?x2x?x8xf32> {
  // CHECK: scf.forall
  // CHECK: linalg.copy ins(%{{.*}} : tensor<1x1x16x8xf32>) outs(%{{.*}} : tensor<1x1x16x8xf32>)
  // CHECK: tensor.parallel_insert_slice

  // One allocation, for the result.
  // BUFFER: memref.alloc
  // BUFFER-NOT: memref.alloc
  // BUFFER: linalg.copy
  // BUFFER-NOT: memref.copy
  // BUFFER: return
  %0 = transformer.cache_gather %cache, %table : (tensor<32x2x16x8xf32>, tensor<?x?xi32>) -> tensor<?x2x?x8xf32>
  return %0 : tensor<?x2x?x8xf32>
}

// Packed tokens are found by their row's offset, and the cache is rewritten in place here too.
// CHECK-LABEL: func.func @append_packed
// BUFFER-LABEL: func.func @append_packed
func.func @append_packed(%cache: tensor<32x2x16x8xf32>, %x: tensor<?x16xf32>, %table: tensor<?x?xi32>,
    %past: tensor<?xi32>, %cu: tensor<9xi32>) -> tensor<32x2x16x8xf32> {
  // CHECK: %[[X:.*]] = tensor.expand_shape %{{.*}} {{\[}}[0], [1, 2]]
  // CHECK: scf.for %[[ROW:[a-z0-9]+]] =
  // CHECK: scf.for %[[TOKEN:[a-z0-9]+]] =
  // CHECK: tensor.extract_slice %[[X]][%{{.*}}, 0, 0] [1, 2, 8]
  // CHECK: tensor.insert_slice %{{.*}} into %{{.*}} [1, 2, 1, 8]

  // BUFFER-NOT: memref.alloc
  // BUFFER: linalg.copy
  // BUFFER-NOT: memref.copy
  // BUFFER: return
  %0 = transformer.cache_append %cache, %x, %table, %past cu_seqlens(%cu) : (tensor<32x2x16x8xf32>, tensor<?x16xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<9xi32>) -> tensor<32x2x16x8xf32>
  return %0 : tensor<32x2x16x8xf32>
}
