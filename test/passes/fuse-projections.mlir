// RUN: ingot-opt %s --pass-pipeline='builtin.module(func.func(fuse-projections))' | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --pass-pipeline='builtin.module(func.func(fuse-projections))' --remarks-filter-passed=fuse-projections --remarks-filter-missed=fuse-projections -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// REMARK-DAG: [Passed] Fused | Category:fuse-projections | {{.*}}fused: 3 projections of one input are one linear of 96 rows
// REMARK-DAG: [Passed] Fused | Category:fuse-projections | {{.*}}fused: gate, silu and up are one gated_linear of 128 rows
// REMARK-DAG: [Missed] NotFused | Category:fuse-projections | {{.*}}2 projections of one input stay apart, because some have a bias and some have none
// REMARK-DAG: [Missed] NotFused | Category:fuse-projections | {{.*}}because the weight q has other users, so a joined one would be a second copy of it
// REMARK-DAG: [Missed] NotFused | Category:fuse-projections | {{.*}}because a result of the program has to be a buffer of its own
// REMARK-DAG: [Missed] NotFused | Category:fuse-projections | {{.*}}gate and up stay two linears, because gate, activation or up is read by something else as well
// REMARK-DAG: [Missed] NotFused | Category:fuse-projections | {{.*}}because an operand is not a weight of the checkpoint

// Query, key and value of different widths: one linear, whose columns the readers take.
// CHECK-LABEL: func.func @qkv
func.func @qkv(%x: tensor<?x?x64xf32>) -> (tensor<?x4x?x16xf32>, tensor<?x?x16xf32>) {
  %wq = transformer.weight ["q"] [load 0] : tensor<64x64xf32>
  %wk = transformer.weight ["k"] [load 0] : tensor<16x64xf32>
  %wv = transformer.weight ["v"] [load 0, transpose [1, 0]] : tensor<16x64xf32>
  %bq = transformer.weight ["bq"] [load 0] : tensor<64xf32>
  %bk = transformer.weight ["bk"] [load 0] : tensor<16xf32>
  %bv = transformer.weight ["bv"] [load 0] : tensor<16xf32>
  // CHECK: %[[W:.*]] = transformer.weight ["q", "k", "v"] [load 0, load 1, load 2, transpose [1, 0], concat [0, 3]] : tensor<96x64xf32>
  // CHECK: %[[B:.*]] = transformer.weight ["bq", "bk", "bv"] [load 0, load 1, load 2, concat [0, 3]] : tensor<96xf32>
  // CHECK: %[[QKV:.*]] = transformer.linear %{{.*}}, %[[W]], %[[B]] : (tensor<?x?x64xf32>, tensor<96x64xf32>, tensor<96xf32>) -> tensor<?x?x96xf32>
  // CHECK: %[[Q:.*]] = tensor.extract_slice %[[QKV]][0, 0, 0] [%{{.*}}, %{{.*}}, 64] [1, 1, 1]
  // CHECK: %[[K:.*]] = tensor.extract_slice %[[QKV]][0, 0, 64] [%{{.*}}, %{{.*}}, 16] [1, 1, 1]
  // CHECK: %[[V:.*]] = tensor.extract_slice %[[QKV]][0, 0, 80] [%{{.*}}, %{{.*}}, 16] [1, 1, 1]
  // CHECK-NOT: transformer.linear
  %q = transformer.linear %x, %wq, %bq : (tensor<?x?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x?x64xf32>
  %k = transformer.linear %x, %wk, %bk : (tensor<?x?x64xf32>, tensor<16x64xf32>, tensor<16xf32>) -> tensor<?x?x16xf32>
  %v = transformer.linear %x, %wv, %bv : (tensor<?x?x64xf32>, tensor<16x64xf32>, tensor<16xf32>) -> tensor<?x?x16xf32>
  // CHECK: transformer.split_heads %[[Q]]
  %h = transformer.split_heads %q {heads = 4} : (tensor<?x?x64xf32>) -> tensor<?x4x?x16xf32>
  // CHECK: arith.addf %[[K]], %[[V]]
  %s = arith.addf %k, %v : tensor<?x?x16xf32>
  return %h, %s : tensor<?x4x?x16xf32>, tensor<?x?x16xf32>
}

// Whichever operand of the product the gate is.
// CHECK-LABEL: func.func @gated
func.func @gated(%x: tensor<?x32xf32>) -> (tensor<?x64xf32>, index) {
  %wg = transformer.weight ["gate"] [load 0] : tensor<64x32xf32>
  %wu = transformer.weight ["up"] [load 0] : tensor<64x32xf32>
  // CHECK: %[[W:.*]] = transformer.weight ["gate", "up"] [load 0, load 1, concat [0, 2]] : tensor<128x32xf32>
  // CHECK: %[[Y:.*]] = transformer.gated_linear silu %{{.*}}, %[[W]] : (tensor<?x32xf32>, tensor<128x32xf32>) -> tensor<?x64xf32>
  // CHECK-NEXT: return %[[Y]]
  %up = transformer.linear %x, %wu : (tensor<?x32xf32>, tensor<64x32xf32>) -> tensor<?x64xf32>
  %gate = transformer.linear %x, %wg : (tensor<?x32xf32>, tensor<64x32xf32>) -> tensor<?x64xf32>
  %a = transformer.activation silu %gate : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %c0 = arith.constant 0 : index
  %d = tensor.dim %x, %c0 : tensor<?x32xf32>
  %y = arith.mulf %up, %a : tensor<?x64xf32>
  return %y, %d : tensor<?x64xf32>, index
}

// CHECK-LABEL: func.func @bias_in_one
func.func @bias_in_one(%x: tensor<?x32xf32>, %r: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %wa = transformer.weight ["a"] [load 0] : tensor<8x32xf32>
  %wb = transformer.weight ["b"] [load 0] : tensor<8x32xf32>
  %bb = transformer.weight ["bb"] [load 0] : tensor<8xf32>
  // CHECK-COUNT-2: transformer.linear
  %a = transformer.linear %x, %wa : (tensor<?x32xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>
  %b = transformer.linear %x, %wb, %bb : (tensor<?x32xf32>, tensor<8x32xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %s = arith.addf %a, %b : tensor<?x8xf32>
  return %s : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @weight_of_others
func.func @weight_of_others(%x: tensor<?x32xf32>, %z: tensor<?x32xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %wa = transformer.weight ["q"] [load 0] : tensor<8x32xf32>
  %wb = transformer.weight ["k"] [load 0] : tensor<8x32xf32>
  // CHECK-COUNT-3: transformer.linear
  %a = transformer.linear %x, %wa : (tensor<?x32xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>
  %b = transformer.linear %x, %wb : (tensor<?x32xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>
  %c = transformer.linear %z, %wa : (tensor<?x32xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>
  %s = arith.addf %a, %b : tensor<?x8xf32>
  return %s, %c : tensor<?x8xf32>, tensor<?x8xf32>
}

// CHECK-LABEL: func.func @returned
func.func @returned(%x: tensor<?x32xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %wa = transformer.weight ["a"] [load 0] : tensor<8x32xf32>
  %wb = transformer.weight ["b"] [load 0] : tensor<8x32xf32>
  // CHECK-COUNT-2: transformer.linear
  %a = transformer.linear %x, %wa : (tensor<?x32xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>
  %b = transformer.linear %x, %wb : (tensor<?x32xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>
  %n = arith.negf %b : tensor<?x8xf32>
  return %a, %n : tensor<?x8xf32>, tensor<?x8xf32>
}

// The gate is needed by itself: what is left is two linears of one x, which are joined.
// CHECK-LABEL: func.func @gate_read_twice
func.func @gate_read_twice(%x: tensor<?x32xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %wa = transformer.weight ["a"] [load 0] : tensor<8x32xf32>
  %wb = transformer.weight ["b"] [load 0] : tensor<8x32xf32>
  // CHECK-NOT: gated_linear
  // CHECK: transformer.linear {{.*}} -> tensor<?x16xf32>
  // CHECK: arith.mulf
  %a = transformer.linear %x, %wa : (tensor<?x32xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>
  %b = transformer.linear %x, %wb : (tensor<?x32xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>
  %g = transformer.activation gelu %a : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %m = arith.mulf %g, %b : tensor<?x8xf32>
  %n = arith.negf %g : tensor<?x8xf32>
  return %m, %n : tensor<?x8xf32>, tensor<?x8xf32>
}

// CHECK-LABEL: func.func @computed_weight
func.func @computed_weight(%x: tensor<?x32xf32>, %w: tensor<8x32xf32>) -> tensor<?x8xf32> {
  %wb = transformer.weight ["b"] [load 0] : tensor<8x32xf32>
  // CHECK-COUNT-2: transformer.linear
  %a = transformer.linear %x, %w : (tensor<?x32xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>
  %b = transformer.linear %x, %wb : (tensor<?x32xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>
  %s = arith.addf %a, %b : tensor<?x8xf32>
  return %s : tensor<?x8xf32>
}

// Nothing to fuse, and nothing to say.
// CHECK-LABEL: func.func @two_inputs
func.func @two_inputs(%x: tensor<?x32xf32>, %y: tensor<?x32xf32>) -> tensor<?x8xf32> {
  %wa = transformer.weight ["a"] [load 0] : tensor<8x32xf32>
  %wb = transformer.weight ["b"] [load 0] : tensor<8x32xf32>
  // CHECK-COUNT-2: transformer.linear
  %a = transformer.linear %x, %wa : (tensor<?x32xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>
  %b = transformer.linear %y, %wb : (tensor<?x32xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>
  %s = arith.addf %a, %b : tensor<?x8xf32>
  return %s : tensor<?x8xf32>
}
