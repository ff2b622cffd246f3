// RUN: ingot-opt %s --split-input-file --remove-padding=packed-input --canonicalize --cse --verify-diagnostics | FileCheck %s --enable-var-scope

// Tokens and offsets come in, tokens and all rows go out; neither pack nor unpack is left.
module attributes {transformer.sizes = {B = [1, 8], S = [1, 64]},
                   transformer.limits = [{symbols = ["B", "S"], max = 256}]} {
  // CHECK: transformer.sizes = {B = [1, 8], S = [1, 64], T = [1, 256]}
  // CHECK-LABEL: func.func @encoder
  // CHECK-SAME: %[[IDS:[a-z0-9_]+]]: tensor<?xi32> {transformer.name = "ids", transformer.range = [0, 49], transformer.sizes = ["T"]}
  // CHECK-SAME: %[[CU:[a-z0-9_]+]]: tensor<9xi32> {transformer.name = "cu_seqlens", transformer.offsets = {max_step = 64 : i64, to = "T"}}
  // CHECK-SAME: -> (tensor<?x8xf32> {transformer.name = "y"}, tensor<?x8xf32> {transformer.name = "pooled"})
  func.func @encoder(%ids: tensor<?x?xi32> {transformer.name = "ids", transformer.sizes = ["B", "S"], transformer.range = [0, 49]},
                     %m: tensor<?x?xi32> {transformer.name = "mask", transformer.sizes = ["B", "S"], transformer.optional = 1})
      -> (tensor<?x?x8xf32> {transformer.name = "y"}, tensor<?x8xf32> {transformer.name = "pooled"})
      attributes {transformer.program} {
    %table = transformer.weight ["e"] [load 0] : tensor<50x8xf32>
    %mask = arith.trunci %m : tensor<?x?xi32> to tensor<?x?xi1>
    // CHECK: %[[P:.*]] = transformer.packed_positions %[[CU]], %[[IDS]]
    %p = transformer.positions %mask : (tensor<?x?xi1>) -> tensor<?x?xi32>
    // CHECK: transformer.embedding %{{.*}}, %[[IDS]]
    %0 = transformer.embedding %table, %ids : (tensor<50x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
    %1 = transformer.embedding %table, %p : (tensor<50x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
    // CHECK-NOT: pack %
    // CHECK: %[[Y:.*]] = arith.addf %{{.*}} : tensor<?x8xf32>
    %2 = arith.addf %0, %1 : tensor<?x?x8xf32>
    // CHECK: transformer.packed_mean_pool %[[Y]], %[[CU]] : (tensor<?x8xf32>, tensor<9xi32>) -> tensor<8x8xf32>
    %y = transformer.mean_pool %2, %mask : (tensor<?x?x8xf32>, tensor<?x?xi1>) -> tensor<?x8xf32>
    // CHECK: return %[[Y]], %{{.*}}
    return %2, %y : tensor<?x?x8xf32>, tensor<?x8xf32>
  }
}

// -----

module attributes {transformer.sizes = {B = [1, 8], S = [1, 64]}} {
  func.func @math(%ids: tensor<?x?xi32> {transformer.name = "ids", transformer.sizes = ["B", "S"]},
                  %mask: tensor<?x?xi1> {transformer.name = "mask", transformer.sizes = ["B", "S"]})
      -> (tensor<?x?x8xf32> {transformer.name = "y"}) attributes {transformer.program} {
    %table = transformer.weight ["e"] [load 0] : tensor<50x8xf32>
    %counted = transformer.positions %mask : (tensor<?x?xi1>) -> tensor<?x?xi32>
    %0 = transformer.embedding %table, %ids : (tensor<50x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
    // expected-error @+1 {{unsupported: transformer.attention needs the padded batch: back end math makes scores of whole rows}}
    %a = transformer.attention by math %0, %0, %0 query_positions(%counted) key_positions(%counted) key_valid(%mask)
        {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64}
        : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?xi32>, tensor<?x?xi32>, tensor<?x?xi1>) -> tensor<?x?x8xf32>
    return %a : tensor<?x?x8xf32>
  }
}

// -----

// Frequencies of a row depend on how long it is: named is what needs the rows, not what leads there.
module attributes {transformer.sizes = {B = [1, 8], S = [1, 64]}} {
  func.func @dynamic_rope(%ids: tensor<?x?xi32> {transformer.name = "ids", transformer.sizes = ["B", "S"]},
                          %m: tensor<?x?xi32> {transformer.name = "mask", transformer.sizes = ["B", "S"]})
      -> (tensor<?x?x8xf32> {transformer.name = "y"}) attributes {transformer.program} {
    %table = transformer.weight ["e"] [load 0] : tensor<50x8xf32>
    %mask = arith.trunci %m : tensor<?x?xi32> to tensor<?x?xi1>
    %p = transformer.positions %mask : (tensor<?x?xi1>) -> tensor<?x?xi32>
    // expected-error @+1 {{unsupported: transformer.dynamic_rope_frequencies needs the padded batch: it has no form for packed tokens}}
    %f = transformer.dynamic_rope_frequencies %p {base = 1.0e+04 : f64, dim = 8 : i64, factor = 2.0 : f64, max_position = 16 : i64} : (tensor<?x?xi32>) -> tensor<?x4xf32>
    %cos, %sin = transformer.rope_table %p, %f : (tensor<?x?xi32>, tensor<?x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x?x4xf32>)
    %0 = transformer.embedding %table, %ids : (tensor<50x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
    %1 = transformer.rope %0, %cos, %sin {heads = 1 : i64} : (tensor<?x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x8xf32>
    return %1 : tensor<?x?x8xf32>
  }
}
