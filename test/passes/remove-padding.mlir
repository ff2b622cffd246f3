// RUN: ingot-opt %s --split-input-file --remove-padding --canonicalize --cse | FileCheck %s --enable-var-scope

// From the ids to the pooled result everything is packed; nothing unpacks.
module attributes {transformer.sizes = {B = [1, 8], S = [1, 64]}} {
  // CHECK-LABEL: func.func @encoder
  // CHECK-SAME: %[[IDS:[a-z0-9_]+]]: tensor<?x?xi32>
  // CHECK-SAME: %[[MASK:[a-z0-9_]+]]: tensor<?x?xi1>
  // CHECK-SAME: transformer.unpadding = {flops_per_pair = 32 : i64, flops_per_token = 768 : i64, packed_ops = 11 : i64, padded_ops = 0 : i64}
  func.func @encoder(%ids: tensor<?x?xi32> {transformer.name = "ids", transformer.sizes = ["B", "S"]},
                     %mask: tensor<?x?xi1> {transformer.name = "mask", transformer.sizes = ["B", "S"]})
      -> (tensor<?x8xf32> {transformer.name = "y"}) attributes {transformer.program} {
    // CHECK-DAG: %[[CU:.*]] = transformer.cu_seqlens %[[MASK]] {rows = 8 : i64}
    // CHECK-DAG: %[[I:.*]] = transformer.token_indices %[[MASK]], %[[CU]]
    // CHECK: %[[PIDS:.*]] = transformer.pack %[[IDS]], %[[I]] : (tensor<?x?xi32>, tensor<?xi32>) -> tensor<?xi32>
    %table = transformer.weight ["e"] [load 0] : tensor<50x8xf32>
    %pos = transformer.weight ["p"] [load 0] : tensor<64x8xf32>
    %wqkv = transformer.weight ["w"] [load 0] : tensor<24x8xf32>
    %g = transformer.weight ["g"] [load 0] : tensor<8xf32>
    %wo = transformer.weight ["o"] [load 0] : tensor<24x8xf32>
    // CHECK: transformer.packed_positions %[[CU]], %[[I]] {offset = 2 : i64}
    %p = transformer.positions %mask {offset = 2 : i64, padding_position = 1 : i64} : (tensor<?x?xi1>) -> tensor<?x?xi32>
    %counted = transformer.positions %mask : (tensor<?x?xi1>) -> tensor<?x?xi32>
    // CHECK: transformer.embedding %{{.*}}, %[[PIDS]] : (tensor<50x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
    %0 = transformer.embedding %table, %ids : (tensor<50x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
    %1 = transformer.embedding %pos, %p : (tensor<64x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
    // CHECK: arith.addf %{{.*}} : tensor<?x8xf32>
    %2 = arith.addf %0, %1 : tensor<?x?x8xf32>
    // CHECK: %[[QKV:.*]] = transformer.linear %{{.*}} : (tensor<?x8xf32>, tensor<24x8xf32>) -> tensor<?x24xf32>
    %qkv = transformer.linear %2, %wqkv : (tensor<?x?x8xf32>, tensor<24x8xf32>) -> tensor<?x?x24xf32>
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %b = tensor.dim %qkv, %c0 : tensor<?x?x24xf32>
    %s = tensor.dim %qkv, %c1 : tensor<?x?x24xf32>
    // CHECK: tensor.extract_slice %[[QKV]][0, 8] [%{{.*}}, 8] [1, 1] : tensor<?x24xf32> to tensor<?x8xf32>
    %q = tensor.extract_slice %qkv[0, 0, 0] [%b, %s, 8] [1, 1, 1] : tensor<?x?x24xf32> to tensor<?x?x8xf32>
    %k = tensor.extract_slice %qkv[0, 0, 8] [%b, %s, 8] [1, 1, 1] : tensor<?x?x24xf32> to tensor<?x?x8xf32>
    %v = tensor.extract_slice %qkv[0, 0, 16] [%b, %s, 8] [1, 1, 1] : tensor<?x?x24xf32> to tensor<?x?x8xf32>
    // CHECK: transformer.attention %{{.*}} cu_seqlens(%[[CU]]) {{.*}} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<9xi32>) -> tensor<?x8xf32>
    %a = transformer.attention %q, %k, %v query_positions(%counted) key_positions(%counted) key_valid(%mask)
        {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64}
        : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?xi32>, tensor<?x?xi32>, tensor<?x?xi1>) -> tensor<?x?x8xf32>
    // CHECK: transformer.add_rms_norm %{{.*}} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<8xf32>)
    %sum, %n = transformer.add_rms_norm %a, %2, %g {eps = 1.0e-6 : f64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<8xf32>) -> (tensor<?x?x8xf32>, tensor<?x?x8xf32>)
    %m = transformer.linear %n, %wo : (tensor<?x?x8xf32>, tensor<24x8xf32>) -> tensor<?x?x24xf32>
    %mq = tensor.extract_slice %m[0, 0, 0] [%b, %s, 8] [1, 1, 1] : tensor<?x?x24xf32> to tensor<?x?x8xf32>
    // CHECK-NOT: transformer.unpack
    // CHECK: transformer.packed_mean_pool %{{.*}}, %[[CU]] like %[[MASK]]
    %y = transformer.mean_pool %mq, %mask : (tensor<?x?x8xf32>, tensor<?x?xi1>) -> tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}

// -----

// An attention that stays padded has unpack and pack around it, and so has an op that isn't tokenwise.
module attributes {transformer.sizes = {B = [1, 8], S = [1, 64]}} {
  // CHECK-LABEL: func.func @math
  // CHECK-SAME: padded_ops = 1 : i64
  func.func @math(%ids: tensor<?x?xi32> {transformer.name = "ids", transformer.sizes = ["B", "S"]},
                  %mask: tensor<?x?xi1> {transformer.name = "mask", transformer.sizes = ["B", "S"]})
      -> (tensor<?x?x8xf32> {transformer.name = "y"}) attributes {transformer.program} {
    %table = transformer.weight ["e"] [load 0] : tensor<50x8xf32>
    // CHECK: %[[S:.*]] = transformer.token_slots
    // CHECK: %[[POS:.*]] = transformer.positions
    %counted = transformer.positions %mask : (tensor<?x?xi1>) -> tensor<?x?xi32>
    // CHECK: %[[E:.*]] = transformer.embedding %{{.*}} -> tensor<?x8xf32>
    %0 = transformer.embedding %table, %ids : (tensor<50x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
    // CHECK: %[[U:.*]] = transformer.unpack %[[E]], %[[S]]
    // CHECK: %[[A:.*]] = transformer.attention by math %[[U]], %[[U]], %[[U]] query_positions(%[[POS]])
    %a = transformer.attention by math %0, %0, %0 query_positions(%counted) key_positions(%counted) key_valid(%mask)
        {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64}
        : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?xi32>, tensor<?x?xi32>, tensor<?x?xi1>) -> tensor<?x?x8xf32>
    // CHECK: %[[P:.*]] = transformer.pack %[[A]]
    // CHECK: arith.addf %[[P]], %[[E]] : tensor<?x8xf32>
    %1 = arith.addf %a, %0 : tensor<?x?x8xf32>
    // CHECK: %[[Y:.*]] = transformer.unpack
    // CHECK: return %[[Y]]
    return %1 : tensor<?x?x8xf32>
  }
}

// -----

// Of the valid tokens those that are no padding id are counted; nothing works on the padded batch.
module attributes {transformer.sizes = {B = [1, 8], S = [1, 64]}} {
  // CHECK-LABEL: func.func @counted
  func.func @counted(%ids: tensor<?x?xi32> {transformer.name = "ids", transformer.sizes = ["B", "S"]},
                     %mask: tensor<?x?xi1> {transformer.name = "mask", transformer.sizes = ["B", "S"]})
      -> (tensor<?x8xf32> {transformer.name = "y"}) attributes {transformer.program} {
    %table = transformer.weight ["e"] [load 0] : tensor<50x8xf32>
    %q = transformer.positions %mask : (tensor<?x?xi1>) -> tensor<?x?xi32>
    %e = transformer.embedding %table, %q : (tensor<50x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %b = tensor.dim %ids, %c0 : tensor<?x?xi32>
    %s = tensor.dim %ids, %c1 : tensor<?x?xi32>
    %pad = arith.constant 1 : i32
    %pads = tensor.splat %pad[%b, %s] : tensor<?x?xi32>
    // CHECK: %[[CU:.*]] = transformer.cu_seqlens
    // CHECK: %[[IDS:.*]] = transformer.pack %{{.*}} : (tensor<?x?xi32>, tensor<?xi32>) -> tensor<?xi32>
    // CHECK: %[[REAL:.*]] = arith.cmpi ne, %[[IDS]], %{{.*}} : tensor<?xi32>
    %real = arith.cmpi ne, %ids, %pads : tensor<?x?xi32>
    %counted = arith.andi %mask, %real : tensor<?x?xi1>
    // CHECK: transformer.packed_positions %[[CU]], %[[REAL]] counted %[[REAL]] {offset = 2 : i64, padding_position = 1 : i64}
    // CHECK-NOT: transformer.positions
    %p = transformer.positions %counted {offset = 2, padding_position = 1} : (tensor<?x?xi1>) -> tensor<?x?xi32>
    %0 = transformer.embedding %table, %p : (tensor<50x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
    %1 = arith.addf %0, %e : tensor<?x?x8xf32>
    %y = transformer.mean_pool %1, %mask : (tensor<?x?x8xf32>, tensor<?x?xi1>) -> tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}

// -----

// A mask that is not part of the one that the batch is packed by says nothing about packed tokens.
module attributes {transformer.sizes = {B = [1, 8], S = [1, 64]}} {
  // CHECK-LABEL: func.func @other_mask
  func.func @other_mask(%ids: tensor<?x?xi32> {transformer.name = "ids", transformer.sizes = ["B", "S"]},
                        %mask: tensor<?x?xi1> {transformer.name = "mask", transformer.sizes = ["B", "S"]},
                        %other: tensor<?x?xi1> {transformer.name = "other", transformer.sizes = ["B", "S"]})
      -> (tensor<?x8xf32> {transformer.name = "y"}, tensor<?x8xf32> {transformer.name = "z"}) attributes {transformer.program} {
    %table = transformer.weight ["e"] [load 0] : tensor<50x8xf32>
    %0 = transformer.embedding %table, %ids : (tensor<50x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
    %y = transformer.mean_pool %0, %mask : (tensor<?x?x8xf32>, tensor<?x?xi1>) -> tensor<?x8xf32>
    // CHECK: %[[P:.*]] = transformer.positions
    // CHECK: transformer.pack %[[P]]
    %p = transformer.positions %other : (tensor<?x?xi1>) -> tensor<?x?xi32>
    %1 = transformer.embedding %table, %p : (tensor<50x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
    %z = transformer.mean_pool %1, %mask : (tensor<?x?x8xf32>, tensor<?x?xi1>) -> tensor<?x8xf32>
    return %y, %z : tensor<?x8xf32>, tensor<?x8xf32>
  }
}

// -----

// A step: rows have their new tokens in front. The cache, attention and the last token are packed.
module attributes {transformer.sizes = {B = [1, 8], NB = [1, 4], S = [1, 64]}} {
  // CHECK-LABEL: func.func @step
  // CHECK-SAME: %[[IDS:[a-z0-9_]+]]: tensor<?x?xi32>
  // CHECK-SAME: %[[N:[a-z0-9_]+]]: tensor<?xi32>
  // CHECK-SAME: %[[PAST:[a-z0-9_]+]]: tensor<?xi32>
  func.func @step(%ids: tensor<?x?xi32> {transformer.name = "input_ids", transformer.sizes = ["B", "S"]},
                  %n: tensor<?xi32> {transformer.name = "num_tokens", transformer.sizes = ["B"]},
                  %past: tensor<?xi32> {transformer.name = "past", transformer.sizes = ["B"]},
                  %bt: tensor<?x?xi32> {transformer.name = "block_table", transformer.sizes = ["B", "NB"]},
                  %cache: tensor<9x1x16x8xf32> {transformer.state = "kv"})
      -> (tensor<?x50xf32> {transformer.name = "logits"}, tensor<9x1x16x8xf32> {transformer.state = "kv"})
      attributes {transformer.program} {
    // CHECK: %[[M:.*]] = transformer.length_mask %[[N]], %[[IDS]]
    // CHECK: %[[CU:.*]] = transformer.cu_seqlens %[[M]]
    %table = transformer.weight ["e"] [load 0] : tensor<50x8xf32>
    %freq = arith.constant dense<[1.0, 0.5, 0.25, 0.125]> : tensor<4xf32>
    // CHECK: %[[POS:.*]] = transformer.packed_positions %[[CU]], %{{.*}} past %[[PAST]]
    %p = transformer.token_positions %past, %ids : (tensor<?xi32>, tensor<?x?xi32>) -> tensor<?x?xi32>
    // CHECK: transformer.rope_table %[[POS]], %{{.*}} -> (tensor<?x4xf32>, tensor<?x4xf32>)
    %cos, %sin = transformer.rope_table %p, %freq : (tensor<?x?xi32>, tensor<4xf32>) -> (tensor<?x?x4xf32>, tensor<?x?x4xf32>)
    %0 = transformer.embedding %table, %ids : (tensor<50x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
    // CHECK: transformer.rope %{{.*}} : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
    %q = transformer.rope %0, %cos, %sin {heads = 1 : i64} : (tensor<?x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x8xf32>
    // CHECK: %[[C:.*]] = transformer.cache_append %{{.*}} cu_seqlens(%[[CU]])
    %c = transformer.cache_append %cache, %q, %bt, %past, %n : (tensor<9x1x16x8xf32>, tensor<?x?x8xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x1x16x8xf32>
    // CHECK: transformer.attention %{{.*}}, %[[C]], %[[C]] cu_seqlens(%[[CU]]) block_table(%{{.*}}) past(%[[PAST]])
    %a = transformer.attention %q, %c, %c block_table(%bt) past(%past)
        {heads = 1 : i64, kv_heads = 1 : i64, scale = 0.5 : f64, causal}
        : (tensor<?x?x8xf32>, tensor<9x1x16x8xf32>, tensor<9x1x16x8xf32>, tensor<?x?xi32>, tensor<?xi32>) -> tensor<?x?x8xf32>
    %one = arith.constant 1 : i32
    %c0 = arith.constant 0 : index
    %b = tensor.dim %n, %c0 : tensor<?xi32>
    %ones = tensor.splat %one[%b] : tensor<?xi32>
    %index = arith.subi %n, %ones : tensor<?xi32>
    // CHECK-NOT: transformer.unpack
    // CHECK: transformer.packed_token %{{.*}}, %[[CU]] like %[[M]] {last}
    %last = transformer.select_token %a, %index : (tensor<?x?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
    %logits = transformer.linear %last, %table : (tensor<?x8xf32>, tensor<50x8xf32>) -> tensor<?x50xf32>
    return %logits, %c : tensor<?x50xf32>, tensor<9x1x16x8xf32>
  }
}

// -----

// Nothing says which tokens are valid: nothing happens.
module attributes {transformer.sizes = {B = [1, 8], S = [1, 64]}} {
  // CHECK-LABEL: func.func @no_mask
  func.func @no_mask(%ids: tensor<?x?xi32> {transformer.name = "ids", transformer.sizes = ["B", "S"]})
      -> (tensor<?x?x8xf32> {transformer.name = "y"}) attributes {transformer.program} {
    %table = transformer.weight ["e"] [load 0] : tensor<50x8xf32>
    // CHECK-NOT: pack
    // CHECK: transformer.embedding %{{.*}} -> tensor<?x?x8xf32>
    %0 = transformer.embedding %table, %ids : (tensor<50x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
    return %0 : tensor<?x?x8xf32>
  }
}

// -----

// Positions of another mask, a bias and probabilities keep attention padded.
module attributes {transformer.sizes = {B = [1, 8], S = [1, 64]}} {
  // CHECK-LABEL: func.func @other_mask
  func.func @other_mask(%ids: tensor<?x?xi32> {transformer.name = "ids", transformer.sizes = ["B", "S"]},
                        %mask: tensor<?x?xi1> {transformer.name = "mask", transformer.sizes = ["B", "S"]},
                        %other: tensor<?x?xi1> {transformer.name = "other", transformer.sizes = ["B", "S"]},
                        %bias: tensor<1x2x?x?xf32> {transformer.name = "bias", transformer.sizes = ["S", "S"]})
      -> (tensor<?x?x8xf32> {transformer.name = "y"}) attributes {transformer.program} {
    %table = transformer.weight ["e"] [load 0] : tensor<50x8xf32>
    %counted = transformer.positions %mask : (tensor<?x?xi1>) -> tensor<?x?xi32>
    %others = transformer.positions %other : (tensor<?x?xi1>) -> tensor<?x?xi32>
    %0 = transformer.embedding %table, %ids : (tensor<50x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
    // CHECK: transformer.attention %{{.*}} key_valid
    %a = transformer.attention %0, %0, %0 query_positions(%others) key_positions(%others) key_valid(%mask)
        {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64}
        : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?xi32>, tensor<?x?xi32>, tensor<?x?xi1>) -> tensor<?x?x8xf32>
    // CHECK: transformer.attention %{{.*}} bias
    %c = transformer.attention %a, %a, %a query_positions(%counted) key_positions(%counted) key_valid(%mask) bias(%bias)
        {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64}
        : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?xi32>, tensor<?x?xi32>, tensor<?x?xi1>, tensor<1x2x?x?xf32>) -> tensor<?x?x8xf32>
    return %c : tensor<?x?x8xf32>
  }
}
