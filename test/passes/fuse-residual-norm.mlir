// RUN: ingot-opt %s --pass-pipeline='builtin.module(func.func(fuse-residual-norm))' | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --pass-pipeline='builtin.module(func.func(fuse-residual-norm))' --remarks-filter-passed=fuse-residual-norm --remarks-filter-missed=fuse-residual-norm -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// REMARK-DAG: [Passed] Fused | Category:fuse-residual-norm | {{.*}}fused: the residual addition and its norm are one add_rms_norm
// REMARK-DAG: [Passed] Fused | Category:fuse-residual-norm | {{.*}}fused: the residual addition and its norm are one add_layer_norm
// REMARK-DAG: [Missed] NotFused | Category:fuse-residual-norm | {{.*}}because the sum has been fused with another norm
// REMARK-DAG: [Missed] NotFused | Category:fuse-residual-norm | {{.*}}because a parameter of the norm is made behind the sum
// REMARK-DAG: [Missed] NotFused | Category:fuse-residual-norm | {{.*}}because the sum is read beside the selection of a token of it

// The sum has further readers, before and behind the norm. The branch is x, whatever its place.
// CHECK-LABEL: func.func @rms
// CHECK-SAME: %[[R:.*]]: tensor<?x8xf32>
func.func @rms(%r: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  // CHECK: %[[BRANCH:.*]] = transformer.activation
  %branch = transformer.activation silu %r : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // CHECK: %[[W:.*]] = transformer.weight ["w"]
  // CHECK: %[[S:.*]], %[[N:.*]] = transformer.add_rms_norm %[[BRANCH]], %[[R]], %[[W]] {eps = 1.000000e-05 : f64}
  %s = arith.addf %r, %branch : tensor<?x8xf32>
  // CHECK: arith.negf %[[S]]
  %m = arith.negf %s : tensor<?x8xf32>
  %w = transformer.weight ["w"] [load 0] : tensor<8xf32>
  %n = transformer.rms_norm %s, %w {eps = 1.0e-5} : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  // CHECK: arith.addf %[[S]], %[[N]]
  %t = arith.addf %s, %n : tensor<?x8xf32>
  return %m, %t : tensor<?x8xf32>, tensor<?x8xf32>
}

// CHECK-LABEL: func.func @layer
func.func @layer(%r: tensor<?x8xf32>, %x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %w = transformer.weight ["w"] [load 0] : tensor<8xf32>
  %b = transformer.weight ["b"] [load 0] : tensor<8xf32>
  %s = arith.addf %r, %x : tensor<?x8xf32>
  // CHECK: %{{.*}}, %[[N:.*]] = transformer.add_layer_norm %{{.*}}, %{{.*}} weight(%{{.*}}) bias(%{{.*}})
  // CHECK-NEXT: return %[[N]]
  %n = transformer.layer_norm %s weight(%w) bias(%b) {eps = 1.0e-12} : (tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %n : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @without_parameters
func.func @without_parameters(%r: tensor<?x8xbf16>, %x: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
  %s = arith.addf %r, %x : tensor<?x8xbf16>
  // CHECK: transformer.add_layer_norm %{{[a-z0-9]*}}, %{{[a-z0-9]*}} {eps =
  %n = transformer.layer_norm %s {eps = 1.0e-12} : (tensor<?x8xbf16>) -> tensor<?x8xbf16>
  return %n : tensor<?x8xbf16>
}

// Only each row's last token is normed: only its sum is needed. Sizes asked of the sum are not readers.
// CHECK-LABEL: func.func @selected
// CHECK-SAME: %[[R:.*]]: tensor<?x?x8xf32>, %[[I:.*]]: tensor<?xi32>
func.func @selected(%r: tensor<?x?x8xf32>, %i: tensor<?xi32>) -> (tensor<?x8xf32>, index) {
  // CHECK: %[[BRANCH:.*]] = transformer.activation
  %branch = transformer.activation silu %r : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %w = transformer.weight ["w"] [load 0] : tensor<8xf32>
  %s = arith.addf %r, %branch : tensor<?x?x8xf32>
  %c1 = arith.constant 1 : index
  // CHECK: tensor.dim %[[R]]
  %d = tensor.dim %s, %c1 : tensor<?x?x8xf32>
  // CHECK: %[[OLD:.*]] = transformer.select_token %[[R]], %[[I]]
  // CHECK: %[[NEW:.*]] = transformer.select_token %[[BRANCH]], %[[I]]
  // CHECK: %{{.*}}, %[[N:.*]] = transformer.add_rms_norm %[[NEW]], %[[OLD]],
  // CHECK-NEXT: return %[[N]]
  %t = transformer.select_token %s, %i : (tensor<?x?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  %n = transformer.rms_norm %t, %w {eps = 1.0e-5} : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %n, %d : tensor<?x8xf32>, index
}

// All of the sum is needed anyway.
// CHECK-LABEL: func.func @selected_and_whole
func.func @selected_and_whole(%r: tensor<?x?x8xf32>, %x: tensor<?x?x8xf32>, %i: tensor<?xi32>) -> (tensor<?x8xf32>, tensor<?x?x8xf32>) {
  %w = transformer.weight ["w"] [load 0] : tensor<8xf32>
  // CHECK: arith.addf
  // CHECK: transformer.rms_norm
  %s = arith.addf %r, %x : tensor<?x?x8xf32>
  %t = transformer.select_token %s, %i : (tensor<?x?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  %n = transformer.rms_norm %t, %w {eps = 1.0e-5} : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %n, %s : tensor<?x8xf32>, tensor<?x?x8xf32>
}

// CHECK-LABEL: func.func @two_norms
func.func @two_norms(%r: tensor<?x8xf32>, %x: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %v = transformer.weight ["v"] [load 0] : tensor<8xf32>
  %w = transformer.weight ["w"] [load 0] : tensor<8xf32>
  %s = arith.addf %r, %x : tensor<?x8xf32>
  // CHECK: %[[S:.*]], %{{.*}} = transformer.add_rms_norm
  // CHECK: transformer.rms_norm %[[S]]
  %0 = transformer.rms_norm %s, %v {eps = 1.0e-5} : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %1 = transformer.rms_norm %s, %w {eps = 1.0e-5} : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %0, %1 : tensor<?x8xf32>, tensor<?x8xf32>
}

// CHECK-LABEL: func.func @computed_parameter
func.func @computed_parameter(%r: tensor<?x8xf32>, %x: tensor<?x8xf32>, %p: tensor<8xf32>) -> tensor<?x8xf32> {
  // CHECK: arith.addf
  // CHECK: transformer.rms_norm
  %s = arith.addf %r, %x : tensor<?x8xf32>
  %w = arith.negf %p : tensor<8xf32>
  %n = transformer.rms_norm %s, %w {eps = 1.0e-5} : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %n : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @no_sum
func.func @no_sum(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %w = transformer.weight ["w"] [load 0] : tensor<8xf32>
  // CHECK: arith.mulf
  // CHECK: transformer.rms_norm
  %s = arith.mulf %x, %y : tensor<?x8xf32>
  %n = transformer.rms_norm %s, %w {eps = 1.0e-5} : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %n : tensor<?x8xf32>
}
