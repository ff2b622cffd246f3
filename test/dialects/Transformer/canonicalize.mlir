// RUN: ingot-opt %s --canonicalize --split-input-file | FileCheck %s --enable-var-scope

// CHECK-LABEL: func.func @activation_linear
// CHECK-SAME: %[[X:.*]]: tensor
func.func @activation_linear(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK-NEXT: return %[[X]]
  %0 = transformer.activation linear %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: func.func @activation_relu_of_relu
func.func @activation_relu_of_relu(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK-NEXT: %[[R:.*]] = transformer.activation relu
  // CHECK-NEXT: return %[[R]]
  %0 = transformer.activation relu %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = transformer.activation relu %0 : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// -----

// Negative: gelu of gelu is not gelu.
// CHECK-LABEL: func.func @activation_gelu_of_gelu
func.func @activation_gelu_of_gelu(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK-COUNT-2: transformer.activation gelu
  %0 = transformer.activation gelu %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = transformer.activation gelu %0 : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: func.func @merge_of_split
// CHECK-SAME: %[[X:.*]]: tensor
func.func @merge_of_split(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  // CHECK-NEXT: return %[[X]]
  %0 = transformer.split_heads %x {heads = 2} : (tensor<?x?x8xf32>) -> tensor<?x2x?x4xf32>
  %1 = transformer.merge_heads %0 : (tensor<?x2x?x4xf32>) -> tensor<?x?x8xf32>
  return %1 : tensor<?x?x8xf32>
}

// -----

// CHECK-LABEL: func.func @split_of_merge
// CHECK-SAME: %[[X:.*]]: tensor
func.func @split_of_merge(%x: tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32> {
  // CHECK-NEXT: return %[[X]]
  %0 = transformer.merge_heads %x : (tensor<?x2x?x4xf32>) -> tensor<?x?x8xf32>
  %1 = transformer.split_heads %0 {heads = 2} : (tensor<?x?x8xf32>) -> tensor<?x2x?x4xf32>
  return %1 : tensor<?x2x?x4xf32>
}

// -----

// Negative: split into other heads than were merged.
// CHECK-LABEL: func.func @split_of_merge_other_heads
func.func @split_of_merge_other_heads(%x: tensor<?x2x?x4xf32>) -> tensor<?x4x?x2xf32> {
  // CHECK: transformer.merge_heads
  // CHECK: transformer.split_heads
  %0 = transformer.merge_heads %x : (tensor<?x2x?x4xf32>) -> tensor<?x?x8xf32>
  %1 = transformer.split_heads %0 {heads = 4} : (tensor<?x?x8xf32>) -> tensor<?x4x?x2xf32>
  return %1 : tensor<?x4x?x2xf32>
}

// -----

// CHECK-LABEL: func.func @repeat_kv_once
// CHECK-SAME: %[[X:.*]]: tensor
func.func @repeat_kv_once(%x: tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32> {
  // CHECK-NEXT: return %[[X]]
  %0 = transformer.repeat_kv %x {repeats = 1} : (tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32>
  return %0 : tensor<?x2x?x4xf32>
}

// -----

// CHECK-LABEL: func.func @repeat_kv_of_repeat_kv
// CHECK-SAME: %[[X:.*]]: tensor
func.func @repeat_kv_of_repeat_kv(%x: tensor<?x2x?x4xf32>) -> tensor<?x12x?x4xf32> {
  // CHECK-NEXT: %[[R:.*]] = transformer.repeat_kv %[[X]] {repeats = 6 : i64}
  // CHECK-NEXT: return %[[R]]
  %0 = transformer.repeat_kv %x {repeats = 2} : (tensor<?x2x?x4xf32>) -> tensor<?x4x?x4xf32>
  %1 = transformer.repeat_kv %0 {repeats = 3} : (tensor<?x4x?x4xf32>) -> tensor<?x12x?x4xf32>
  return %1 : tensor<?x12x?x4xf32>
}

// -----

// CHECK-LABEL: func.func @apply_mask_twice
func.func @apply_mask_twice(%s: tensor<?x2x?x?xf32>, %m: tensor<?x?x?xi1>) -> tensor<?x2x?x?xf32> {
  // CHECK-NEXT: %[[R:.*]] = transformer.apply_mask
  // CHECK-NEXT: return %[[R]]
  %0 = transformer.apply_mask %s, %m : (tensor<?x2x?x?xf32>, tensor<?x?x?xi1>) -> tensor<?x2x?x?xf32>
  %1 = transformer.apply_mask %0, %m : (tensor<?x2x?x?xf32>, tensor<?x?x?xi1>) -> tensor<?x2x?x?xf32>
  return %1 : tensor<?x2x?x?xf32>
}

// -----

// Negative: two masks hide more than one.
// CHECK-LABEL: func.func @apply_two_masks
func.func @apply_two_masks(%s: tensor<?x2x?x?xf32>, %m: tensor<?x?x?xi1>, %n: tensor<?x?x?xi1>) -> tensor<?x2x?x?xf32> {
  // CHECK-COUNT-2: transformer.apply_mask
  %0 = transformer.apply_mask %s, %m : (tensor<?x2x?x?xf32>, tensor<?x?x?xi1>) -> tensor<?x2x?x?xf32>
  %1 = transformer.apply_mask %0, %n : (tensor<?x2x?x?xf32>, tensor<?x?x?xi1>) -> tensor<?x2x?x?xf32>
  return %1 : tensor<?x2x?x?xf32>
}

// -----

// Ops are pure: equal ones are one, unused ones are gone.
// CHECK-LABEL: func.func @unused
func.func @unused(%x: tensor<?x?x8xf32>, %w: tensor<8xf32>) {
  // CHECK-NEXT: return
  %0 = transformer.rms_norm %x, %w {eps = 1.0e-5} : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  %1 = transformer.weight ["w"] [load 0] : tensor<8xf32>
  return
}

// CHECK-LABEL: func.func @pack_of_unpack
// CHECK-SAME: (%[[X:[a-z0-9]*]]: tensor<?x16xf32>
func.func @pack_of_unpack(%x: tensor<?x16xf32>, %mask: tensor<?x?xi1>) -> tensor<?x16xf32> {
  %cu = transformer.cu_seqlens %mask {rows = 8} : (tensor<?x?xi1>) -> tensor<9xi32>
  %i = transformer.token_indices %mask, %cu : (tensor<?x?xi1>, tensor<9xi32>) -> tensor<?xi32>
  %s = transformer.token_slots %mask, %cu : (tensor<?x?xi1>, tensor<9xi32>) -> tensor<?x?xi32>
  %0 = transformer.unpack %x, %s : (tensor<?x16xf32>, tensor<?x?xi32>) -> tensor<?x?x16xf32>
  %1 = transformer.pack %0, %i : (tensor<?x?x16xf32>, tensor<?xi32>) -> tensor<?x16xf32>
  // CHECK: return %[[X]]
  return %1 : tensor<?x16xf32>
}

// Another mask packs other tokens.
// CHECK-LABEL: func.func @pack_of_other_unpack
func.func @pack_of_other_unpack(%x: tensor<?x16xf32>, %mask: tensor<?x?xi1>, %other: tensor<?x?xi1>) -> tensor<?x16xf32> {
  %cu = transformer.cu_seqlens %mask {rows = 8} : (tensor<?x?xi1>) -> tensor<9xi32>
  %i = transformer.token_indices %mask, %cu : (tensor<?x?xi1>, tensor<9xi32>) -> tensor<?xi32>
  %s = transformer.token_slots %other, %cu : (tensor<?x?xi1>, tensor<9xi32>) -> tensor<?x?xi32>
  %0 = transformer.unpack %x, %s : (tensor<?x16xf32>, tensor<?x?xi32>) -> tensor<?x?x16xf32>
  // CHECK: %[[P:.*]] = transformer.pack
  %1 = transformer.pack %0, %i : (tensor<?x?x16xf32>, tensor<?xi32>) -> tensor<?x16xf32>
  // CHECK: return %[[P]]
  return %1 : tensor<?x16xf32>
}
