// RUN: ingot-opt %s --decompose-transformer --canonicalize --cse | FileCheck %s

// Every op of floating-point tensors decomposes for narrow types; nothing transformer is left.

// CHECK-LABEL: func.func @bf16
// CHECK-NOT: transformer.
func.func @bf16(%x: tensor<?x?x16xbf16>, %w: tensor<16xbf16>, %wl: tensor<16x16xbf16>, %c: tensor<?x?x4xf32>,
    %cache: tensor<9x2x4x8xbf16>, %table: tensor<?x?xi32>, %n: tensor<?xi32>, %mask: tensor<?x?xi1>,
    %seen: tensor<?x?x?xi1>, %ids: tensor<?x?xi32>) -> tensor<?x16xbf16> {
  %e = transformer.embedding %wl, %ids : (tensor<16x16xbf16>, tensor<?x?xi32>) -> tensor<?x?x16xbf16>
  %0 = transformer.rms_norm %e, %w {eps = 1.0e-5} : (tensor<?x?x16xbf16>, tensor<16xbf16>) -> tensor<?x?x16xbf16>
  %1 = transformer.layer_norm %0 weight(%w) bias(%w) {eps = 1.0e-5} : (tensor<?x?x16xbf16>, tensor<16xbf16>, tensor<16xbf16>) -> tensor<?x?x16xbf16>
  %2 = transformer.linear %1, %wl, %w : (tensor<?x?x16xbf16>, tensor<16x16xbf16>, tensor<16xbf16>) -> tensor<?x?x16xbf16>
  %3 = transformer.activation silu %2 : (tensor<?x?x16xbf16>) -> tensor<?x?x16xbf16>
  %q = transformer.split_heads %3 {heads = 2} : (tensor<?x?x16xbf16>) -> tensor<?x2x?x8xbf16>
  %r = transformer.rope %q, %c, %c : (tensor<?x2x?x8xbf16>, tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x2x?x8xbf16>
  %new = transformer.cache_append %cache, %r, %table, %n, %n : (tensor<9x2x4x8xbf16>, tensor<?x2x?x8xbf16>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x2x4x8xbf16>
  %k = transformer.cache_gather %new, %table : (tensor<9x2x4x8xbf16>, tensor<?x?xi32>) -> tensor<?x2x?x8xbf16>
  %k1 = transformer.repeat_kv %k {repeats = 1} : (tensor<?x2x?x8xbf16>) -> tensor<?x2x?x8xbf16>
  %s = transformer.matmul %r, %k1 {transpose_rhs} : (tensor<?x2x?x8xbf16>, tensor<?x2x?x8xbf16>) -> tensor<?x2x?x?xbf16>
  %h = transformer.apply_mask %s, %seen : (tensor<?x2x?x?xbf16>, tensor<?x?x?xi1>) -> tensor<?x2x?x?xbf16>
  %p = transformer.softmax %h : (tensor<?x2x?x?xbf16>) -> tensor<?x2x?x?xbf16>
  %a = transformer.matmul %p, %k1 : (tensor<?x2x?x?xbf16>, tensor<?x2x?x8xbf16>) -> tensor<?x2x?x8xbf16>
  %m = transformer.merge_heads %a : (tensor<?x2x?x8xbf16>) -> tensor<?x?x16xbf16>
  %mean = transformer.mean_pool %m, %mask : (tensor<?x?x16xbf16>, tensor<?x?xi1>) -> tensor<?x16xbf16>
  %t = transformer.select_token %m, %n : (tensor<?x?x16xbf16>, tensor<?xi32>) -> tensor<?x16xbf16>
  %sum = arith.addf %mean, %t : tensor<?x16xbf16>
  %l = transformer.l2_normalize %sum : (tensor<?x16xbf16>) -> tensor<?x16xbf16>
  // CHECK: return %{{.*}} : tensor<?x16xbf16>
  return %l : tensor<?x16xbf16>
}
