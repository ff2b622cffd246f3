// RUN: ingot-opt %s --decompose-transformer --canonicalize --cse | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --decompose-transformer --canonicalize --cse \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" \
// RUN:   --cse --canonicalize | FileCheck %s --check-prefix=BUFFER --enable-var-scope

// What the numbers are, run/sampling.test says.

// CHECK-LABEL: func.func @mark
// BUFFER-LABEL: func.func @mark
func.func @mark(%seen: tensor<4x97xi1>, %ids: tensor<?x?xi32>, %n: tensor<?xi32>, %past: tensor<?xi32>, %slot: tensor<?xi32>) -> tensor<4x97xi1> {
  // CHECK: scf.for
  // CHECK: scf.for
  // CHECK: tensor.insert %false
  // CHECK: scf.for
  // CHECK: tensor.insert %true

  // The state is written in place.
  // BUFFER-NOT: memref.alloc
  // BUFFER-NOT: memref.copy
  // BUFFER: return
  %0 = transformer.mark_tokens %seen, %ids, %n, %past, %slot : (tensor<4x97xi1>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<4x97xi1>
  return %0 : tensor<4x97xi1>
}

// CHECK-LABEL: func.func @sample
// BUFFER-LABEL: func.func @sample
func.func @sample(%x: tensor<?x97xf32>, %seen: tensor<4x97xi1>, %slot: tensor<?xi32>, %t: tensor<?xf32>, %k: tensor<?xi32>, %p: tensor<?xf32>,
    %q: tensor<?xf32>, %r: tensor<?xf32>, %seed: tensor<?xi64>, %draw: tensor<?xi64>) -> tensor<?xi32> {
  // CHECK: scf.for
  // CHECK-NOT: transformer.
  // BUFFER: memref.alloc(%{{.*}}) {{.*}}: memref<?xi32>
  // BUFFER-NOT: memref.alloc
  // BUFFER: return
  %0 = transformer.sample %x seen(%seen, %slot) temperature(%t) top_k(%k) top_p(%p) min_p(%q) repetition_penalty(%r) random(%seed, %draw)
    : (tensor<?x97xf32>, tensor<4x97xi1>, tensor<?xi32>, tensor<?xf32>, tensor<?xi32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xi64>, tensor<?xi64>) -> tensor<?xi32>
  return %0 : tensor<?xi32>
}
