// RUN: ingot-opt %s --split-input-file --verify-diagnostics --select-attention=attention=flash:0
// RUN: not ingot-opt %s --select-attention=attention=flush 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: not ingot-opt %s --select-attention=attention=math:1-x 2>&1 | FileCheck %s --check-prefix=RANGE
// RUN: not ingot-opt %s --select-attention=attention=math:3-1 2>&1 | FileCheck %s --check-prefix=ORDER
// RUN: not ingot-opt %s --select-attention=attention=math:9 2>&1 | FileCheck %s --check-prefix=LAYER

// NAME: usage: --attention flush: unknown back end 'flush'; expected auto, flash, efficient or math
// RANGE: usage: --attention math:1-x: '1-x' is no range of layers
// ORDER: usage: --attention math:3-1: '3-1' is no range of layers
// LAYER: usage: --attention: there is no layer 9; the model has layers 0 to 0

func.func @type(%x: tensor<2x5x32xf32>, %p: tensor<2x5xi32>) -> tensor<2x5x32xf32> attributes {transformer.program} {
  // expected-error @+1 {{unsupported: --attention flash:0 on layer 0: flash takes f16 or bf16, got 'f32' (q is 'tensor<2x5x32xf32>', k is 'tensor<2x5x32xf32>')}}
  %0 = transformer.attention %x, %x, %x query_positions(%p) key_positions(%p) {heads = 4, kv_heads = 4, scale = 0.5} : (tensor<2x5x32xf32>, tensor<2x5x32xf32>, tensor<2x5x32xf32>, tensor<2x5xi32>, tensor<2x5xi32>) -> tensor<2x5x32xf32>
  return %0 : tensor<2x5x32xf32>
}

// -----

func.func @bias(%x: tensor<2x5x32xf16>, %p: tensor<2x5xi32>, %b: tensor<1x1x5x5xf32>) -> tensor<2x5x32xf16> attributes {transformer.program} {
  // expected-error @+1 {{unsupported: --attention flash:0 on layer 0: flash takes no bias, got one of 'tensor<1x1x5x5xf32>'}}
  %0 = transformer.attention %x, %x, %x query_positions(%p) key_positions(%p) bias(%b) {heads = 4, kv_heads = 4, scale = 0.5} : (tensor<2x5x32xf16>, tensor<2x5x32xf16>, tensor<2x5x32xf16>, tensor<2x5xi32>, tensor<2x5xi32>, tensor<1x1x5x5xf32>) -> tensor<2x5x32xf16>
  return %0 : tensor<2x5x32xf16>
}

// -----

func.func @probabilities(%x: tensor<2x5x32xf16>, %p: tensor<2x5xi32>) -> tensor<2x4x5x5xf16> attributes {transformer.program} {
  // expected-error @+1 {{unsupported: --attention flash:0 on layer 0: flash returns no probabilities}}
  %0:2 = transformer.attention %x, %x, %x query_positions(%p) key_positions(%p) {heads = 4, kv_heads = 4, scale = 0.5, return_probabilities} : (tensor<2x5x32xf16>, tensor<2x5x32xf16>, tensor<2x5x32xf16>, tensor<2x5xi32>, tensor<2x5xi32>) -> (tensor<2x5x32xf16>, tensor<2x4x5x5xf16>)
  return %0#1 : tensor<2x4x5x5xf16>
}

// -----

func.func @parts(%x: tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32> attributes {transformer.program} {
  // expected-error @+1 {{unsupported: --attention flash:0 on layer 0: its attention isn't fused, so that it runs by its parts}}
  %0 = transformer.softmax %x : (tensor<2x4x5x5xf32>) -> tensor<2x4x5x5xf32>
  return %0 : tensor<2x4x5x5xf32>
}
