// RUN: ingot-opt %s --fuse-launches --split-input-file | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --fuse-launches --split-input-file --remarks-filter-passed=fuse-launches --remarks-filter-missed=fuse-launches -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// What a step does between its projections and attention is one launch: k is rotated and stored, v stored, q
// rotated. The rotated k is in no buffer.

// REMARK: [Passed] Fused | Category:fuse-launches | {{.*}}cache_append stores what rope makes
// REMARK: [Passed] Fused | Category:fuse-launches | {{.*}}cache_append shares the launch of rope, cache_append
// REMARK: [Passed] Fused | Category:fuse-launches | {{.*}}rope shares the launch of rope, cache_append
// CHECK-NOT: exec.kernel @rope for
// CHECK-NOT: exec.kernel @append for
// CHECK-LABEL: exec.kernel @rope_cache_append
// CHECK-SAME: sizes(d0 in [1, 8], d1 in [1, 8], d2 in [1, 4])
// CHECK-SAME: (%[[KIN:[a-z0-9]+]]: !exec.buffer<[d0, 32] x f32>, %[[COS:[a-z0-9]+]]: !exec.buffer<[d0, 8] x f32>, %[[SIN:[a-z0-9]+]]: !exec.buffer<[d0, 8] x f32>, %[[KC:[a-z0-9]+]]: !exec.buffer<[9, 2, 16, 16] x f32>,
// CHECK-SAME: -> (!exec.buffer<[9, 2, 16, 16] x f32> updates %[[KC]], !exec.buffer<[9, 2, 16, 16] x f32> updates %{{.*}}, !exec.buffer<[d0, 64] x f32>)
// CHECK: %[[K:.*]] = transformer.rope %[[KIN]], %[[COS]], %[[SIN]] {heads = 2
// CHECK: transformer.cache_append %[[KC]], %[[K]]
// CHECK: transformer.cache_append
// CHECK: transformer.rope %{{.*}}, %[[COS]], %[[SIN]] {heads = 4
// CHECK-LABEL: exec.program @step
// CHECK-NOT: exec.buffer on @cuda0 : !exec.buffer<[T, 32]
// CHECK: exec.launch @rope_cache_append{{.*}} sizes(T, B, NB) ins(
// CHECK-NOT: exec.launch
exec.target @cuda kind("cuda") arch("sm_90a")
exec.device @cuda0 : @cuda
exec.state @kc on @cuda0 : tensor<9x2x16x16xf32>
exec.state @vc on @cuda0 : tensor<9x2x16x16xf32>
exec.kernel @rope for @cuda sizes(d0 in [1, 8])
    (%x: !exec.buffer<[d0, 32] x f32>, %c: !exec.buffer<[d0, 8] x f32>, %s: !exec.buffer<[d0, 8] x f32>) -> (!exec.buffer<[d0, 32] x f32>) {
  %0 = transformer.rope %x, %c, %s {heads = 2 : i64} : (tensor<?x32xf32>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x32xf32>
  exec.yield %0 : tensor<?x32xf32>
}
exec.kernel @rope_q for @cuda sizes(d0 in [1, 8])
    (%x: !exec.buffer<[d0, 64] x f32>, %c: !exec.buffer<[d0, 8] x f32>, %s: !exec.buffer<[d0, 8] x f32>) -> (!exec.buffer<[d0, 64] x f32>) {
  %0 = transformer.rope %x, %c, %s {heads = 4 : i64} : (tensor<?x64xf32>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x64xf32>
  exec.yield %0 : tensor<?x64xf32>
}
exec.kernel @append for @cuda sizes(d0 in [1, 8], d1 in [1, 8], d2 in [1, 4])
    (%cache: !exec.buffer<[9, 2, 16, 16] x f32>, %x: !exec.buffer<[d0, 32] x f32>, %table: !exec.buffer<[d1, d2] x i32>,
     %past: !exec.buffer<[d1] x i32>, %cu: !exec.buffer<[9] x i32>) -> (!exec.buffer<[9, 2, 16, 16] x f32> updates %cache) {
  %0 = transformer.cache_append %cache, %x, %table, %past cu_seqlens(%cu)
    : (tensor<9x2x16x16xf32>, tensor<?x32xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<9xi32>) -> tensor<9x2x16x16xf32>
  exec.yield %0 : tensor<9x2x16x16xf32>
}
exec.program @step symbols(T in [1, 8], B in [1, 8], NB in [1, 4]) {
  %q = exec.input "q" on @cuda0 : !exec.buffer<[T, 64] x f32>
  %k = exec.input "k" on @cuda0 : !exec.buffer<[T, 32] x f32>
  %v = exec.input "v" on @cuda0 : !exec.buffer<[T, 32] x f32>
  %c = exec.input "c" on @cuda0 : !exec.buffer<[T, 8] x f32>
  %s = exec.input "s" on @cuda0 : !exec.buffer<[T, 8] x f32>
  %table = exec.input "table" on @cuda0 : !exec.buffer<[B, NB] x i32>
  %past = exec.input "past" on @cuda0 : !exec.buffer<[B] x i32>
  %cu = exec.input "cu" on @cuda0 : !exec.buffer<[9] x i32>
  %kc = exec.get @kc : !exec.buffer<[9, 2, 16, 16] x f32>
  %kr = exec.buffer on @cuda0 : !exec.buffer<[T, 32] x f32>
  exec.launch @rope sizes(T) ins(%k, %c, %s : !exec.buffer<[T, 32] x f32>, !exec.buffer<[T, 8] x f32>, !exec.buffer<[T, 8] x f32>) outs(%kr : !exec.buffer<[T, 32] x f32>)
  exec.launch @append sizes(T, B, NB) ins(%kc, %kr, %table, %past, %cu : !exec.buffer<[9, 2, 16, 16] x f32>, !exec.buffer<[T, 32] x f32>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>, !exec.buffer<[9] x i32>)
  %vc = exec.get @vc : !exec.buffer<[9, 2, 16, 16] x f32>
  exec.launch @append sizes(T, B, NB) ins(%vc, %v, %table, %past, %cu : !exec.buffer<[9, 2, 16, 16] x f32>, !exec.buffer<[T, 32] x f32>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>, !exec.buffer<[9] x i32>)
  %qr = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x f32>
  exec.launch @rope_q sizes(T) ins(%q, %c, %s : !exec.buffer<[T, 64] x f32>, !exec.buffer<[T, 8] x f32>, !exec.buffer<[T, 8] x f32>) outs(%qr : !exec.buffer<[T, 64] x f32>)
  exec.output "qr" %qr : !exec.buffer<[T, 64] x f32>
}

// -----

// A launch moves ahead of one that it has nothing to do with; equal pairs are one kernel. What depends on another
// (the third launch) stays.

// CHECK-NOT: exec.kernel @{{sqrt|exp}} for
// CHECK: exec.kernel @sqrt_exp for
// CHECK-NOT: exec.kernel @sqrt_exp_
// CHECK: exec.kernel @big for
// CHECK-LABEL: exec.program @ahead
// CHECK: exec.launch @sqrt_exp sizes(B)
// CHECK: exec.launch @big
// CHECK: exec.launch @sqrt_exp sizes(B)
// CHECK-NOT: exec.launch
exec.target @cuda kind("cuda") arch("sm_90a")
exec.device @cuda0 : @cuda
exec.kernel @exp for @cuda sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 64] x f32>) -> (!exec.buffer<[d0, 64] x f32>) {
  %0 = math.exp %x : tensor<?x64xf32>
  exec.yield %0 : tensor<?x64xf32>
}
exec.kernel @sqrt for @cuda sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 64] x f32>) -> (!exec.buffer<[d0, 64] x f32>) {
  %0 = math.sqrt %x : tensor<?x64xf32>
  exec.yield %0 : tensor<?x64xf32>
}
exec.kernel @big for @cuda sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 64] x f32>, %w: !exec.buffer<[64, 64] x f32>) -> (!exec.buffer<[d0, 64] x f32>) {
  %0 = transformer.linear %x, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  exec.yield %0 : tensor<?x64xf32>
}
exec.program @ahead symbols(B in [1, 8]) {
  %x = exec.input "x" on @cuda0 : !exec.buffer<[B, 64] x f32>
  %w = exec.input "w" on @cuda0 : !exec.buffer<[64, 64] x f32>
  %a = exec.buffer on @cuda0 : !exec.buffer<[B, 64] x f32>
  exec.launch @sqrt sizes(B) ins(%x : !exec.buffer<[B, 64] x f32>) outs(%a : !exec.buffer<[B, 64] x f32>)
  %y = exec.buffer on @cuda0 : !exec.buffer<[B, 64] x f32>
  exec.launch @big sizes(B) ins(%x, %w : !exec.buffer<[B, 64] x f32>, !exec.buffer<[64, 64] x f32>) outs(%y : !exec.buffer<[B, 64] x f32>)
  %b = exec.buffer on @cuda0 : !exec.buffer<[B, 64] x f32>
  exec.launch @exp sizes(B) ins(%x : !exec.buffer<[B, 64] x f32>) outs(%b : !exec.buffer<[B, 64] x f32>)
  %c = exec.buffer on @cuda0 : !exec.buffer<[B, 64] x f32>
  exec.launch @sqrt sizes(B) ins(%b : !exec.buffer<[B, 64] x f32>) outs(%c : !exec.buffer<[B, 64] x f32>)
  %d = exec.buffer on @cuda0 : !exec.buffer<[B, 64] x f32>
  exec.launch @exp sizes(B) ins(%b : !exec.buffer<[B, 64] x f32>) outs(%d : !exec.buffer<[B, 64] x f32>)
  exec.output "a" %a : !exec.buffer<[B, 64] x f32>
  exec.output "c" %c : !exec.buffer<[B, 64] x f32>
  exec.output "d" %d : !exec.buffer<[B, 64] x f32>
  exec.output "y" %y : !exec.buffer<[B, 64] x f32>
}

// -----

// Not: what the program gives out as well; what is read while it is overwritten; a launch whose size is read in
// between; kernels of other families; kernels of a host.

// REMARK: [Missed] NotFused | Category:fuse-launches | {{.*}}cache_append has no launch with rope, because it appends what is needed elsewhere, too
// REMARK: [Missed] NotFused | Category:fuse-launches | {{.*}}cache_append has no launch with cache_append, because it overwrites what that reads or writes
// CHECK-LABEL: exec.program @needed
// CHECK: exec.launch @rope
// CHECK: exec.launch @append
// CHECK: exec.launch @append
// CHECK-LABEL: exec.program @sized
// CHECK: exec.launch @ids
// CHECK: exec.read_size
// CHECK: exec.launch @negate
// CHECK-LABEL: exec.program @products
// CHECK: exec.launch @linear
// CHECK: exec.launch @linear
// CHECK-LABEL: exec.program @on_host
// CHECK: exec.launch @host_negate
// CHECK: exec.launch @host_negate
exec.target @cuda kind("cuda") arch("sm_90a")
exec.device @cuda0 : @cuda
exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.state @kc on @cuda0 : tensor<9x2x16x16xf32>
exec.kernel @rope for @cuda sizes(d0 in [1, 8])
    (%x: !exec.buffer<[d0, 32] x f32>, %c: !exec.buffer<[d0, 8] x f32>, %s: !exec.buffer<[d0, 8] x f32>) -> (!exec.buffer<[d0, 32] x f32>) {
  %0 = transformer.rope %x, %c, %s {heads = 2 : i64} : (tensor<?x32xf32>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x32xf32>
  exec.yield %0 : tensor<?x32xf32>
}
exec.kernel @append for @cuda sizes(d0 in [1, 8], d1 in [1, 8], d2 in [1, 4])
    (%cache: !exec.buffer<[9, 2, 16, 16] x f32>, %x: !exec.buffer<[d0, 32] x f32>, %table: !exec.buffer<[d1, d2] x i32>,
     %past: !exec.buffer<[d1] x i32>, %cu: !exec.buffer<[9] x i32>) -> (!exec.buffer<[9, 2, 16, 16] x f32> updates %cache) {
  %0 = transformer.cache_append %cache, %x, %table, %past cu_seqlens(%cu)
    : (tensor<9x2x16x16xf32>, tensor<?x32xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<9xi32>) -> tensor<9x2x16x16xf32>
  exec.yield %0 : tensor<9x2x16x16xf32>
}
exec.kernel @ids for @cuda sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0] x i32>) -> (!exec.buffer<[4] x i32>) {
  %0 = arith.constant dense<1> : tensor<4xi32>
  exec.yield %0 : tensor<4xi32>
}
exec.kernel @negate for @cuda sizes(d0 in [0, 8]) (%x: !exec.buffer<[8] x f32>, %y: !exec.buffer<[d0] x f32>) -> (!exec.buffer<[8] x f32>) {
  %0 = arith.negf %x : tensor<8xf32>
  exec.yield %0 : tensor<8xf32>
}
exec.kernel @linear for @cuda sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 64] x f32>, %w: !exec.buffer<[64, 64] x f32>) -> (!exec.buffer<[d0, 64] x f32>) {
  %0 = transformer.linear %x, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  exec.yield %0 : tensor<?x64xf32>
}
exec.kernel @host_negate for @host sizes() (%x: !exec.buffer<[8] x f32>) -> (!exec.buffer<[8] x f32>) {
  %0 = arith.negf %x : tensor<8xf32>
  exec.yield %0 : tensor<8xf32>
}
exec.program @needed symbols(T in [1, 8], B in [1, 8], NB in [1, 4]) {
  %k = exec.input "k" on @cuda0 : !exec.buffer<[T, 32] x f32>
  %c = exec.input "c" on @cuda0 : !exec.buffer<[T, 8] x f32>
  %s = exec.input "s" on @cuda0 : !exec.buffer<[T, 8] x f32>
  %table = exec.input "table" on @cuda0 : !exec.buffer<[B, NB] x i32>
  %past = exec.input "past" on @cuda0 : !exec.buffer<[B] x i32>
  %cu = exec.input "cu" on @cuda0 : !exec.buffer<[9] x i32>
  %kc = exec.get @kc : !exec.buffer<[9, 2, 16, 16] x f32>
  %kr = exec.buffer on @cuda0 : !exec.buffer<[T, 32] x f32>
  exec.launch @rope sizes(T) ins(%k, %c, %s : !exec.buffer<[T, 32] x f32>, !exec.buffer<[T, 8] x f32>, !exec.buffer<[T, 8] x f32>) outs(%kr : !exec.buffer<[T, 32] x f32>)
  exec.launch @append sizes(T, B, NB) ins(%kc, %kr, %table, %past, %cu : !exec.buffer<[9, 2, 16, 16] x f32>, !exec.buffer<[T, 32] x f32>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>, !exec.buffer<[9] x i32>)
  exec.launch @append sizes(T, B, NB) ins(%kc, %k, %table, %past, %cu : !exec.buffer<[9, 2, 16, 16] x f32>, !exec.buffer<[T, 32] x f32>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>, !exec.buffer<[9] x i32>)
  exec.output "kr" %kr : !exec.buffer<[T, 32] x f32>
}
exec.program @sized symbols(B in [1, 8], T in [0, 8] within B) {
  %i = exec.input "i" on @cuda0 : !exec.buffer<[B] x i32>
  %x = exec.input "x" on @cuda0 : !exec.buffer<[8] x f32>
  %n = exec.buffer on @cuda0 : !exec.buffer<[4] x i32>
  exec.launch @ids sizes(B) ins(%i : !exec.buffer<[B] x i32>) outs(%n : !exec.buffer<[4] x i32>)
  exec.read_size "T" from %n[0] : !exec.buffer<[4] x i32>
  %t = exec.buffer on @cuda0 : !exec.buffer<[T] x f32>
  %y = exec.buffer on @cuda0 : !exec.buffer<[8] x f32>
  exec.launch @negate sizes(T) ins(%x, %t : !exec.buffer<[8] x f32>, !exec.buffer<[T] x f32>) outs(%y : !exec.buffer<[8] x f32>)
  exec.output "y" %y : !exec.buffer<[8] x f32>
}
exec.program @products symbols(B in [1, 8]) {
  %x = exec.input "x" on @cuda0 : !exec.buffer<[B, 64] x f32>
  %w = exec.input "w" on @cuda0 : !exec.buffer<[64, 64] x f32>
  %a = exec.buffer on @cuda0 : !exec.buffer<[B, 64] x f32>
  exec.launch @linear sizes(B) ins(%x, %w : !exec.buffer<[B, 64] x f32>, !exec.buffer<[64, 64] x f32>) outs(%a : !exec.buffer<[B, 64] x f32>)
  %b = exec.buffer on @cuda0 : !exec.buffer<[B, 64] x f32>
  exec.launch @linear sizes(B) ins(%x, %w : !exec.buffer<[B, 64] x f32>, !exec.buffer<[64, 64] x f32>) outs(%b : !exec.buffer<[B, 64] x f32>)
  exec.output "a" %a : !exec.buffer<[B, 64] x f32>
  exec.output "b" %b : !exec.buffer<[B, 64] x f32>
}
exec.program @on_host symbols() {
  %x = exec.input "x" on @host0 : !exec.buffer<[8] x f32>
  %a = exec.buffer on @host0 : !exec.buffer<[8] x f32>
  exec.launch @host_negate sizes() ins(%x : !exec.buffer<[8] x f32>) outs(%a : !exec.buffer<[8] x f32>)
  %b = exec.buffer on @host0 : !exec.buffer<[8] x f32>
  exec.launch @host_negate sizes() ins(%x : !exec.buffer<[8] x f32>) outs(%b : !exec.buffer<[8] x f32>)
  exec.output "a" %a : !exec.buffer<[8] x f32>
  exec.output "b" %b : !exec.buffer<[8] x f32>
}
