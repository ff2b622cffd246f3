// RUN: ingot-opt %s --decompose-transformer --canonicalize --cse | FileCheck %s --enable-var-scope

// A contraction for each half of the weight, then one pass that gates: no wide intermediate.
// CHECK-LABEL: func.func @gated_linear
func.func @gated_linear(%x: tensor<?x?x16xf32>, %w: tensor<8x16xf32>, %b: tensor<8xf32>) -> tensor<?x?x4xf32> {
  // CHECK: %[[X:.*]] = tensor.collapse_shape %{{.*}} {{\[}}[0, 1], [2]] : tensor<?x?x16xf32> into tensor<?x16xf32>
  // CHECK: %[[GATE:.*]] = tensor.extract_slice %[[W:.*]][0, 0] [4, 16] [1, 1] : tensor<8x16xf32> to tensor<4x16xf32>
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[X]], %[[GATE]]
  // CHECK: %[[UP:.*]] = tensor.extract_slice %[[W]][4, 0] [4, 16] [1, 1]
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[X]], %[[UP]]
  // CHECK: %[[Y:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]}
  // CHECK: math.exp
  // CHECK: tensor.expand_shape %[[Y]] {{\[}}[0, 1], [2]] output_shape [%{{.*}}, %{{.*}}, 4]
  %0 = transformer.gated_linear silu %x, %w, %b : (tensor<?x?x16xf32>, tensor<8x16xf32>, tensor<8xf32>) -> tensor<?x?x4xf32>
  return %0 : tensor<?x?x4xf32>
}

// Narrow types are rounded once, at the end.
// CHECK-LABEL: func.func @gated_linear_bf16
func.func @gated_linear_bf16(%x: tensor<?x16xbf16>, %w: tensor<8x16xbf16>) -> tensor<?x4xbf16> {
  // CHECK-COUNT-1: arith.truncf
  // CHECK-NOT: arith.truncf
  // CHECK: return
  %0 = transformer.gated_linear silu %x, %w : (tensor<?x16xbf16>, tensor<8x16xbf16>) -> tensor<?x4xbf16>
  return %0 : tensor<?x4xbf16>
}
