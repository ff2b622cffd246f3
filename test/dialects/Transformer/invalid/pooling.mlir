// RUN: ingot-opt %s --split-input-file --verify-diagnostics

func.func @select_token_c1(%x: tensor<2x?x4xf32>, %i: tensor<3xi32>) {
  // expected-error @+1 {{C1: dimension 0 of index must be dimension 0 of x: expected 2, got 3}}
  %0 = transformer.select_token %x, %i : (tensor<2x?x4xf32>, tensor<3xi32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @mean_pool_c1(%x: tensor<?x5x4xf32>, %m: tensor<?x6xi1>) {
  // expected-error @+1 {{C1: dimension 1 of mask must be dimension 1 of x: expected 5, got 6}}
  %0 = transformer.mean_pool %x, %m : (tensor<?x5x4xf32>, tensor<?x6xi1>) -> tensor<?x4xf32>
  return
}

// -----

func.func @first_token_mask(%m: tensor<?x6xi32>) {
  // expected-error @+1 {{operand #0 must be 2D tensor of 1-bit signless integer values}}
  %0 = transformer.first_token %m : (tensor<?x6xi32>) -> tensor<?xi32>
  return
}
