// RUN: ingot-opt %s --fuse-launches --split-input-file | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --fuse-launches --split-input-file --remarks-filter-passed=fuse-launches -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// A norm looks up itself what three launches look up and add for it alone.

// REMARK: [Passed] Fused | Category:fuse-launches | {{.*}}embedding, addf does embedding itself
// REMARK: [Passed] Fused | Category:fuse-launches | {{.*}}add_layer_norm does embedding itself
// REMARK: [Passed] Fused | Category:fuse-launches | {{.*}}embedding, add_layer_norm does embedding, addf itself
// REMARK-NOT: Fused
// CHECK-NOT: exec.kernel @{{lookup|norm}}
// CHECK-LABEL: exec.kernel @embedding_addf_add_layer_norm for @cuda
// CHECK-SAME: -> (!exec.buffer<[d0, 8] x f32>)
// CHECK: %[[W:.*]] = transformer.embedding
// CHECK: %[[T:.*]] = transformer.embedding
// CHECK: %[[SUM:.*]] = arith.addf %[[W]], %[[T]]
// CHECK: %[[P:.*]] = transformer.embedding
// CHECK: transformer.add_layer_norm %[[P]], %[[SUM]]
// CHECK-LABEL: exec.program @alone
// CHECK-NOT: exec.buffer on @cuda0 : !exec.buffer<[T, 8]
// CHECK: %[[Y:.*]] = exec.buffer
// CHECK-NEXT: exec.launch @embedding_addf_add_layer_norm sizes(T) {{.*}} outs(%[[Y]] :
// CHECK-NOT: exec.launch
exec.target @cuda kind("cuda") arch("sm_90a")
exec.device @cuda0 : @cuda
exec.kernel @lookup for @cuda sizes(d0 in [1, 64])
    (%table: !exec.buffer<[30, 8] x f32>, %ids: !exec.buffer<[d0] x i32>) -> (!exec.buffer<[d0, 8] x f32>) {
  %0 = transformer.embedding %table, %ids : (tensor<30x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  exec.yield %0 : tensor<?x8xf32>
}
exec.kernel @lookup_add for @cuda sizes(d0 in [1, 64])
    (%x: !exec.buffer<[d0, 8] x f32>, %table: !exec.buffer<[30, 8] x f32>, %ids: !exec.buffer<[d0] x i32>) -> (!exec.buffer<[d0, 8] x f32>) {
  %0 = transformer.embedding %table, %ids : (tensor<30x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  %1 = arith.addf %x, %0 : tensor<?x8xf32>
  exec.yield %1 : tensor<?x8xf32>
}
exec.kernel @norm for @cuda sizes(d0 in [1, 64])
    (%x: !exec.buffer<[d0, 8] x f32>, %y: !exec.buffer<[d0, 8] x f32>, %g: !exec.buffer<[8] x f32>, %b: !exec.buffer<[8] x f32>) -> (!exec.buffer<[d0, 8] x f32>) {
  %sum, %normed = transformer.add_layer_norm %x, %y weight(%g) bias(%b) {eps = 1.0e-5} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  exec.yield %normed : tensor<?x8xf32>
}
exec.program @alone symbols(T in [1, 64]) {
  %ids = exec.input "ids" on @cuda0 : !exec.buffer<[T] x i32>
  %types = exec.input "types" on @cuda0 : !exec.buffer<[T] x i32>
  %positions = exec.input "positions" on @cuda0 : !exec.buffer<[T] x i32>
  %table = exec.input "table" on @cuda0 : !exec.buffer<[30, 8] x f32>
  %g = exec.input "g" on @cuda0 : !exec.buffer<[8] x f32>
  %b = exec.input "b" on @cuda0 : !exec.buffer<[8] x f32>
  %w = exec.buffer on @cuda0 : !exec.buffer<[T, 8] x f32>
  exec.launch @lookup sizes(T) ins(%table, %ids : !exec.buffer<[30, 8] x f32>, !exec.buffer<[T] x i32>) outs(%w : !exec.buffer<[T, 8] x f32>)
  %p = exec.buffer on @cuda0 : !exec.buffer<[T, 8] x f32>
  exec.launch @lookup sizes(T) ins(%table, %positions : !exec.buffer<[30, 8] x f32>, !exec.buffer<[T] x i32>) outs(%p : !exec.buffer<[T, 8] x f32>)
  %s = exec.buffer on @cuda0 : !exec.buffer<[T, 8] x f32>
  exec.launch @lookup_add sizes(T) ins(%w, %table, %types : !exec.buffer<[T, 8] x f32>, !exec.buffer<[30, 8] x f32>, !exec.buffer<[T] x i32>) outs(%s : !exec.buffer<[T, 8] x f32>)
  %y = exec.buffer on @cuda0 : !exec.buffer<[T, 8] x f32>
  exec.launch @norm sizes(T) ins(%p, %s, %g, %b : !exec.buffer<[T, 8] x f32>, !exec.buffer<[T, 8] x f32>, !exec.buffer<[8] x f32>, !exec.buffer<[8] x f32>) outs(%y : !exec.buffer<[T, 8] x f32>)
  exec.output "y" %y : !exec.buffer<[T, 8] x f32>
}

// -----

// Not: what is read twice (a residual); what is a result; what other families read; where the rows' numbers are
// overwritten in between; rows that are computed.

// REMARK-NOT: does embedding itself
// CHECK-LABEL: exec.program @twice
// CHECK-COUNT-3: exec.launch
// CHECK-LABEL: exec.program @result
// CHECK-COUNT-2: exec.launch
// CHECK-LABEL: exec.program @product
// CHECK-COUNT-2: exec.launch
// CHECK-LABEL: exec.program @overwritten
// CHECK: exec.launch @lookup
// CHECK: exec.copy
// CHECK: exec.launch @negate
// CHECK-LABEL: exec.program @computed
// CHECK-COUNT-2: exec.launch
exec.target @cuda kind("cuda") arch("sm_90a")
exec.device @cuda0 : @cuda
exec.kernel @lookup for @cuda sizes(d0 in [1, 64])
    (%table: !exec.buffer<[30, 64] x f32>, %ids: !exec.buffer<[d0] x i32>) -> (!exec.buffer<[d0, 64] x f32>) {
  %0 = transformer.embedding %table, %ids : (tensor<30x64xf32>, tensor<?xi32>) -> tensor<?x64xf32>
  exec.yield %0 : tensor<?x64xf32>
}
exec.kernel @normed_lookup for @cuda sizes(d0 in [1, 64])
    (%table: !exec.buffer<[30, 64] x f32>, %ids: !exec.buffer<[d0] x i32>, %g: !exec.buffer<[64] x f32>) -> (!exec.buffer<[d0, 64] x f32>) {
  %0 = transformer.embedding %table, %ids : (tensor<30x64xf32>, tensor<?xi32>) -> tensor<?x64xf32>
  %1 = transformer.rms_norm %0, %g {eps = 1.0e-5} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  exec.yield %1 : tensor<?x64xf32>
}
exec.kernel @negate for @cuda sizes(d0 in [1, 64]) (%x: !exec.buffer<[d0, 64] x f32>) -> (!exec.buffer<[d0, 64] x f32>) {
  %0 = arith.negf %x : tensor<?x64xf32>
  exec.yield %0 : tensor<?x64xf32>
}
exec.kernel @linear for @cuda sizes(d0 in [1, 64]) (%x: !exec.buffer<[d0, 64] x f32>, %w: !exec.buffer<[64, 64] x f32>) -> (!exec.buffer<[d0, 64] x f32>) {
  %0 = transformer.linear %x, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  exec.yield %0 : tensor<?x64xf32>
}
exec.program @twice symbols(T in [1, 64]) {
  %ids = exec.input "ids" on @cuda0 : !exec.buffer<[T] x i32>
  %table = exec.input "table" on @cuda0 : !exec.buffer<[30, 64] x f32>
  %w = exec.input "w" on @cuda0 : !exec.buffer<[64, 64] x f32>
  %x = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x f32>
  exec.launch @lookup sizes(T) ins(%table, %ids : !exec.buffer<[30, 64] x f32>, !exec.buffer<[T] x i32>) outs(%x : !exec.buffer<[T, 64] x f32>)
  %a = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x f32>
  exec.launch @negate sizes(T) ins(%x : !exec.buffer<[T, 64] x f32>) outs(%a : !exec.buffer<[T, 64] x f32>)
  %b = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x f32>
  exec.launch @linear sizes(T) ins(%x, %w : !exec.buffer<[T, 64] x f32>, !exec.buffer<[64, 64] x f32>) outs(%b : !exec.buffer<[T, 64] x f32>)
  exec.output "a" %a : !exec.buffer<[T, 64] x f32>
  exec.output "b" %b : !exec.buffer<[T, 64] x f32>
}
exec.program @result symbols(T in [1, 64]) {
  %ids = exec.input "ids" on @cuda0 : !exec.buffer<[T] x i32>
  %table = exec.input "table" on @cuda0 : !exec.buffer<[30, 64] x f32>
  %x = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x f32>
  exec.launch @lookup sizes(T) ins(%table, %ids : !exec.buffer<[30, 64] x f32>, !exec.buffer<[T] x i32>) outs(%x : !exec.buffer<[T, 64] x f32>)
  %a = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x f32>
  exec.launch @negate sizes(T) ins(%x : !exec.buffer<[T, 64] x f32>) outs(%a : !exec.buffer<[T, 64] x f32>)
  exec.output "x" %x : !exec.buffer<[T, 64] x f32>
  exec.output "a" %a : !exec.buffer<[T, 64] x f32>
}
exec.program @product symbols(T in [1, 64]) {
  %ids = exec.input "ids" on @cuda0 : !exec.buffer<[T] x i32>
  %table = exec.input "table" on @cuda0 : !exec.buffer<[30, 64] x f32>
  %w = exec.input "w" on @cuda0 : !exec.buffer<[64, 64] x f32>
  %x = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x f32>
  exec.launch @lookup sizes(T) ins(%table, %ids : !exec.buffer<[30, 64] x f32>, !exec.buffer<[T] x i32>) outs(%x : !exec.buffer<[T, 64] x f32>)
  %a = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x f32>
  exec.launch @linear sizes(T) ins(%x, %w : !exec.buffer<[T, 64] x f32>, !exec.buffer<[64, 64] x f32>) outs(%a : !exec.buffer<[T, 64] x f32>)
  exec.output "a" %a : !exec.buffer<[T, 64] x f32>
}
exec.program @overwritten symbols(T in [1, 64]) {
  %ids = exec.input "ids" on @cuda0 : !exec.buffer<[T] x i32>
  %others = exec.input "others" on @cuda0 : !exec.buffer<[T] x i32>
  %table = exec.input "table" on @cuda0 : !exec.buffer<[30, 64] x f32>
  %x = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x f32>
  exec.launch @lookup sizes(T) ins(%table, %ids : !exec.buffer<[30, 64] x f32>, !exec.buffer<[T] x i32>) outs(%x : !exec.buffer<[T, 64] x f32>)
  exec.copy %others to %ids : !exec.buffer<[T] x i32>
  %a = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x f32>
  exec.launch @negate sizes(T) ins(%x : !exec.buffer<[T, 64] x f32>) outs(%a : !exec.buffer<[T, 64] x f32>)
  exec.output "a" %a : !exec.buffer<[T, 64] x f32>
}
exec.program @computed symbols(T in [1, 64]) {
  %ids = exec.input "ids" on @cuda0 : !exec.buffer<[T] x i32>
  %table = exec.input "table" on @cuda0 : !exec.buffer<[30, 64] x f32>
  %g = exec.input "g" on @cuda0 : !exec.buffer<[64] x f32>
  %x = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x f32>
  exec.launch @normed_lookup sizes(T) ins(%table, %ids, %g : !exec.buffer<[30, 64] x f32>, !exec.buffer<[T] x i32>, !exec.buffer<[64] x f32>) outs(%x : !exec.buffer<[T, 64] x f32>)
  %a = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x f32>
  exec.launch @negate sizes(T) ins(%x : !exec.buffer<[T, 64] x f32>) outs(%a : !exec.buffer<[T, 64] x f32>)
  exec.output "a" %a : !exec.buffer<[T, 64] x f32>
}
