// RUN: ingot-opt %s --split-input-file --verify-diagnostics

func.func @mark_tokens_c1(%m: tensor<4x9xi1>, %ids: tensor<2x?xi32>, %n: tensor<2xi32>, %p: tensor<3xi32>, %s: tensor<2xi32>) {
  // expected-error @+1 {{C1: dimension 0 of past must be dimension 0 of ids: expected 2, got 3}}
  %0 = transformer.mark_tokens %m, %ids, %n, %p, %s : (tensor<4x9xi1>, tensor<2x?xi32>, tensor<2xi32>, tensor<3xi32>, tensor<2xi32>) -> tensor<4x9xi1>
  return
}

// -----

func.func @sample_c1_slot(%x: tensor<2x97xf32>, %seen: tensor<4x97xi1>, %slot: tensor<3xi32>, %t: tensor<2xf32>, %k: tensor<2xi32>, %p: tensor<2xf32>,
    %q: tensor<2xf32>, %r: tensor<2xf32>, %seed: tensor<2xi64>, %draw: tensor<2xi64>) {
  // expected-error @+1 {{C1: dimension 0 of slot must be dimension 0 of logits: expected 2, got 3}}
  %0 = transformer.sample %x seen(%seen, %slot) temperature(%t) top_k(%k) top_p(%p) min_p(%q) repetition_penalty(%r) random(%seed, %draw)
    : (tensor<2x97xf32>, tensor<4x97xi1>, tensor<3xi32>, tensor<2xf32>, tensor<2xi32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<2xi32>
  return
}

// -----

func.func @sample_c1_temperature(%x: tensor<2x97xf32>, %seen: tensor<4x97xi1>, %slot: tensor<2xi32>, %t: tensor<1xf32>, %k: tensor<2xi32>, %p: tensor<2xf32>,
    %q: tensor<2xf32>, %r: tensor<2xf32>, %seed: tensor<2xi64>, %draw: tensor<2xi64>) {
  // expected-error @+1 {{C1: dimension 0 of temperature must be dimension 0 of logits: expected 2, got 1}}
  %0 = transformer.sample %x seen(%seen, %slot) temperature(%t) top_k(%k) top_p(%p) min_p(%q) repetition_penalty(%r) random(%seed, %draw)
    : (tensor<2x97xf32>, tensor<4x97xi1>, tensor<2xi32>, tensor<1xf32>, tensor<2xi32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<2xi32>
  return
}

// -----

func.func @sample_c2(%x: tensor<?x97xf32>, %seen: tensor<4x98xi1>, %slot: tensor<?xi32>, %t: tensor<?xf32>, %k: tensor<?xi32>, %p: tensor<?xf32>,
    %q: tensor<?xf32>, %r: tensor<?xf32>, %seed: tensor<?xi64>, %draw: tensor<?xi64>) {
  // expected-error @+1 {{C2: dimension 1 of seen must be dimension 1 of logits: expected 97, got 98}}
  %0 = transformer.sample %x seen(%seen, %slot) temperature(%t) top_k(%k) top_p(%p) min_p(%q) repetition_penalty(%r) random(%seed, %draw)
    : (tensor<?x97xf32>, tensor<4x98xi1>, tensor<?xi32>, tensor<?xf32>, tensor<?xi32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xi64>, tensor<?xi64>) -> tensor<?xi32>
  return
}

// -----

func.func @sample_c3(%x: tensor<?x?xf32>, %seen: tensor<4x?xi1>, %slot: tensor<?xi32>, %t: tensor<?xf32>, %k: tensor<?xi32>, %p: tensor<?xf32>,
    %q: tensor<?xf32>, %r: tensor<?xf32>, %seed: tensor<?xi64>, %draw: tensor<?xi64>) {
  // expected-error @+1 {{C3: the last axis of logits must be static and in [1, 4194304], got}}
  %0 = transformer.sample %x seen(%seen, %slot) temperature(%t) top_k(%k) top_p(%p) min_p(%q) repetition_penalty(%r) random(%seed, %draw)
    : (tensor<?x?xf32>, tensor<4x?xi1>, tensor<?xi32>, tensor<?xf32>, tensor<?xi32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xi64>, tensor<?xi64>) -> tensor<?xi32>
  return
}

// -----

func.func @sample_c3_large(%x: tensor<?x4194305xf32>, %seen: tensor<4x4194305xi1>, %slot: tensor<?xi32>, %t: tensor<?xf32>, %k: tensor<?xi32>, %p: tensor<?xf32>,
    %q: tensor<?xf32>, %r: tensor<?xf32>, %seed: tensor<?xi64>, %draw: tensor<?xi64>) {
  // expected-error @+1 {{C3: the last axis of logits must be static and in [1, 4194304], got}}
  %0 = transformer.sample %x seen(%seen, %slot) temperature(%t) top_k(%k) top_p(%p) min_p(%q) repetition_penalty(%r) random(%seed, %draw)
    : (tensor<?x4194305xf32>, tensor<4x4194305xi1>, tensor<?xi32>, tensor<?xf32>, tensor<?xi32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xi64>, tensor<?xi64>) -> tensor<?xi32>
  return
}
