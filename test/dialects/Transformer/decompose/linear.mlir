// RUN: ingot-opt %s --decompose-transformer --canonicalize --cse | FileCheck %s --enable-var-scope

// CHECK-DAG: #[[$MK:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[$NK:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-DAG: #[[$MN:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>

// Rows collapse to one axis; one contraction (m, n, k); then the bias; then rows expand again.
// CHECK-LABEL: func.func @linear
func.func @linear(%x: tensor<?x?x16xf32>, %w: tensor<8x16xf32>, %b: tensor<8xf32>) -> tensor<?x?x8xf32> {
  // CHECK: %[[X:.*]] = tensor.collapse_shape %{{.*}} {{\[}}[0, 1], [2]] : tensor<?x?x16xf32> into tensor<?x16xf32>
  // CHECK: %[[Y:.*]] = linalg.generic {indexing_maps = [#[[$MK]], #[[$NK]], #[[$MN]]], iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[X]],
  // CHECK: arith.mulf
  // CHECK: arith.addf
  // CHECK: %[[Z:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]} ins(%[[Y]],
  // CHECK: tensor.expand_shape %[[Z]] {{\[}}[0, 1], [2]] output_shape [%{{.*}}, %{{.*}}, 8]
  %0 = transformer.linear %x, %w, %b : (tensor<?x?x16xf32>, tensor<8x16xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  return %0 : tensor<?x?x8xf32>
}

// Without a bias nothing follows the contraction.
// CHECK-LABEL: func.func @linear_rows
func.func @linear_rows(%x: tensor<?x16xf32>, %w: tensor<8x16xf32>) -> tensor<?x8xf32> {
  // CHECK: %[[Y:.*]] = linalg.generic
  // CHECK-NOT: linalg.generic
  // CHECK: return %[[Y]]
  %0 = transformer.linear %x, %w : (tensor<?x16xf32>, tensor<8x16xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// Narrow types accumulate in f32.
// CHECK-LABEL: func.func @linear_bf16
func.func @linear_bf16(%x: tensor<?x16xbf16>, %w: tensor<8x16xbf16>) -> tensor<?x8xbf16> {
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?x8xf32>)
  // CHECK-COUNT-2: arith.extf
  // CHECK: arith.truncf
  %0 = transformer.linear %x, %w : (tensor<?x16xbf16>, tensor<8x16xbf16>) -> tensor<?x8xbf16>
  return %0 : tensor<?x8xbf16>
}

// CHECK-LABEL: func.func @activation
func.func @activation(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  // CHECK: linalg.generic
  // CHECK: math.erf
  %0 = transformer.activation gelu %x : (tensor<?x16xf32>) -> tensor<?x16xf32>
  return %0 : tensor<?x16xf32>
}

// A weight has no decomposition.
// CHECK-LABEL: func.func @weight
func.func @weight() -> tensor<4xf32> {
  // CHECK: transformer.weight
  %0 = transformer.weight ["w"] [load 0] : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// A result that says less about its sizes than the decomposition knows gets a cast.
// CHECK-LABEL: func.func @cast
func.func @cast(%x: tensor<4x16xf32>, %w: tensor<8x16xf32>) -> tensor<?x?xf32> {
  // CHECK: tensor.cast %{{.*}} : tensor<4x8xf32> to tensor<?x?xf32>
  %0 = transformer.linear %x, %w : (tensor<4x16xf32>, tensor<8x16xf32>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}
