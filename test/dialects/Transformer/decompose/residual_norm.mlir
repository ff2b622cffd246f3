// RUN: ingot-opt %s --decompose-transformer --canonicalize --cse | FileCheck %s --enable-var-scope

// The sum is a pass of its own: it is a result, and the norm reads it as rounded.
// CHECK-LABEL: func.func @add_rms_norm
func.func @add_rms_norm(%x: tensor<?x16xbf16>, %r: tensor<?x16xbf16>, %w: tensor<16xbf16>) -> (tensor<?x16xbf16>, tensor<?x16xbf16>) {
  // CHECK: %[[SUM:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]}
  // CHECK: arith.addf
  // CHECK: arith.truncf
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%[[SUM]]
  // CHECK: %[[NORMED:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]} ins(%[[SUM]]
  // CHECK: return %[[SUM]], %[[NORMED]]
  %0, %1 = transformer.add_rms_norm %x, %r, %w {eps = 1.0e-5} : (tensor<?x16xbf16>, tensor<?x16xbf16>, tensor<16xbf16>) -> (tensor<?x16xbf16>, tensor<?x16xbf16>)
  return %0, %1 : tensor<?x16xbf16>, tensor<?x16xbf16>
}

// CHECK-LABEL: func.func @add_layer_norm
func.func @add_layer_norm(%x: tensor<?x16xf32>, %r: tensor<?x16xf32>, %w: tensor<16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  // CHECK: %[[SUM:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]}
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%[[SUM]]
  // CHECK: arith.subf
  // CHECK: %[[NORMED:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]} ins(%[[SUM]]
  // CHECK: return %[[SUM]], %[[NORMED]]
  %0, %1 = transformer.add_layer_norm %x, %r weight(%w) {eps = 1.0e-12} : (tensor<?x16xf32>, tensor<?x16xf32>, tensor<16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>)
  return %0, %1 : tensor<?x16xf32>, tensor<?x16xf32>
}
