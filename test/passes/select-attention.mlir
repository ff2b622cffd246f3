// RUN: ingot-opt %s --select-attention | FileCheck %s
// RUN: ingot-opt %s --select-attention="attention=math;efficient:0,2" | FileCheck %s --check-prefix=FORCED
// RUN: ingot-opt %s --select-attention --remarks-filter=select-attention --remark-policy=all -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// One op a layer: f32; bf16; bf16 with a bias; probabilities; a head mask. Their layers are in their
// locations, or where they stand.

// CHECK: transformer.model = {provenance = {
// CHECK-SAME: "attention/forward/0" = "efficient: scores stay on the chip; flash takes f16 or bf16, got 'f32'"
// CHECK-SAME: "attention/forward/1" = "flash:
// CHECK-SAME: "attention/forward/2" = "efficient: scores stay on the chip; flash takes no bias
// CHECK-SAME: "attention/forward/3" = "math: efficient returns no probabilities"
// CHECK-SAME: "attention/forward/4" = "math: efficient takes no head_mask"
// CHECK-SAME: dtype = "f32"
// REMARK-DAG: [Passed] Chosen | {{.*}} Remark="layer 0: {{[a-z]*}}:
// REMARK-DAG: [Missed] Math | {{.*}} Remark="layer 3: attention writes its scores to memory (math) because efficient returns no probabilities"
// REMARK-DAG: [Missed] Math | {{.*}} Remark="layer 4: attention writes its scores to memory (math) because efficient takes no head_mask"
module attributes {transformer.model = {provenance = {dtype = "f32"}}} {
  // CHECK-LABEL: func.func @forward
  // FORCED-LABEL: func.func @forward
  func.func @forward(%x: tensor<2x5x32xf32>, %y: tensor<2x5x32xbf16>, %p: tensor<2x5xi32>, %b: tensor<1x1x5x5xf32>, %h: tensor<4xf32>)
      -> (tensor<2x5x32xf32>, tensor<2x5x32xbf16>, tensor<2x5x32xbf16>, tensor<2x5x32xf32>, tensor<2x4x5x5xf32>) attributes {transformer.program} {
    // CHECK: transformer.attention by efficient
    // FORCED: transformer.attention by efficient
    %0 = transformer.attention %x, %x, %x query_positions(%p) key_positions(%p) {heads = 4, kv_heads = 4, scale = 0.5} : (tensor<2x5x32xf32>, tensor<2x5x32xf32>, tensor<2x5x32xf32>, tensor<2x5xi32>, tensor<2x5xi32>) -> tensor<2x5x32xf32> loc("model.layers.0.self_attn")
    // CHECK: transformer.attention by flash
    // FORCED: transformer.attention by math
    %1 = transformer.attention %y, %y, %y query_positions(%p) key_positions(%p) {heads = 4, kv_heads = 4, scale = 0.5} : (tensor<2x5x32xbf16>, tensor<2x5x32xbf16>, tensor<2x5x32xbf16>, tensor<2x5xi32>, tensor<2x5xi32>) -> tensor<2x5x32xbf16> loc("model.layers.1.self_attn")
    // CHECK: transformer.attention by efficient
    // FORCED: transformer.attention by efficient
    %2 = transformer.attention %y, %y, %y query_positions(%p) key_positions(%p) bias(%b) {heads = 4, kv_heads = 4, scale = 0.5} : (tensor<2x5x32xbf16>, tensor<2x5x32xbf16>, tensor<2x5x32xbf16>, tensor<2x5xi32>, tensor<2x5xi32>, tensor<1x1x5x5xf32>) -> tensor<2x5x32xbf16>
    // CHECK: transformer.attention by math
    // FORCED: transformer.attention by math
    %3, %pr = transformer.attention %x, %x, %x query_positions(%p) key_positions(%p) {heads = 4, kv_heads = 4, scale = 0.5, return_probabilities} : (tensor<2x5x32xf32>, tensor<2x5x32xf32>, tensor<2x5x32xf32>, tensor<2x5xi32>, tensor<2x5xi32>) -> (tensor<2x5x32xf32>, tensor<2x4x5x5xf32>)
    // CHECK: transformer.attention by math
    %4 = transformer.attention %3, %x, %x query_positions(%p) key_positions(%p) head_mask(%h) {heads = 4, kv_heads = 4, scale = 0.5} : (tensor<2x5x32xf32>, tensor<2x5x32xf32>, tensor<2x5x32xf32>, tensor<2x5xi32>, tensor<2x5xi32>, tensor<4xf32>) -> tensor<2x5x32xf32>
    return %0, %1, %2, %4, %pr : tensor<2x5x32xf32>, tensor<2x5x32xbf16>, tensor<2x5x32xbf16>, tensor<2x5x32xf32>, tensor<2x4x5x5xf32>
  }
}
