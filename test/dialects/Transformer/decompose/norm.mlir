// RUN: ingot-opt %s --decompose-transformer --canonicalize --cse | FileCheck %s --enable-var-scope

// A reduction over the last axis, the factor of each row, one pass over all elements.
// CHECK-LABEL: func.func @rms_norm
func.func @rms_norm(%x: tensor<?x?x16xf32>, %w: tensor<16xf32>) -> tensor<?x?x16xf32> {
  // CHECK: %[[SUM:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]
  // CHECK: arith.mulf
  // CHECK: arith.addf
  // CHECK: %[[INV:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]} ins(%[[SUM]]
  // CHECK: math.sqrt
  // CHECK: arith.divf
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel"]} ins(%{{.*}}, %[[INV]], %{{.*}} :
  %0 = transformer.rms_norm %x, %w {eps = 1.0e-5} : (tensor<?x?x16xf32>, tensor<16xf32>) -> tensor<?x?x16xf32>
  return %0 : tensor<?x?x16xf32>
}

// Two passes for the statistics: the variance is of x - mean.
// CHECK-LABEL: func.func @layer_norm
func.func @layer_norm(%x: tensor<?x16xf32>, %w: tensor<16xf32>, %b: tensor<16xf32>) -> tensor<?x16xf32> {
  // CHECK: %[[SUM:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
  // CHECK: %[[MEAN:.*]] = linalg.generic {{.*}} iterator_types = ["parallel"]} ins(%[[SUM]]
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%{{.*}}, %[[MEAN]]
  // CHECK: arith.subf
  // CHECK: math.sqrt
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]}
  %0 = transformer.layer_norm %x weight(%w) bias(%b) {eps = 1.0e-12} : (tensor<?x16xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  return %0 : tensor<?x16xf32>
}

// CHECK-LABEL: func.func @l2_normalize
func.func @l2_normalize(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
  // CHECK: arith.maximumf
  // CHECK: arith.divf
  %0 = transformer.l2_normalize %x : (tensor<?x16xf32>) -> tensor<?x16xf32>
  return %0 : tensor<?x16xf32>
}

// Narrow types: statistics in f32, rounded before the weight as the reference rounds.
// CHECK-LABEL: func.func @rms_norm_bf16
func.func @rms_norm_bf16(%x: tensor<?x16xbf16>, %w: tensor<16xbf16>) -> tensor<?x16xbf16> {
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?xf32>)
  // CHECK: arith.truncf
  // CHECK: arith.truncf
  // CHECK: return %{{.*}} : tensor<?x16xbf16>
  %0 = transformer.rms_norm %x, %w {eps = 1.0e-5} : (tensor<?x16xbf16>, tensor<16xbf16>) -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}
