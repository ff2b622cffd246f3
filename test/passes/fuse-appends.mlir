// RUN: ingot-opt %s --fuse-appends | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --fuse-appends --remarks-filter-passed=fuse-appends --remarks-filter-missed=fuse-appends -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: ingot-opt %s --fuse-appends="alternatives=sm_80" | FileCheck %s --check-prefix=OLDER
// RUN: ingot-opt %s --fuse-appends --select-kernels | FileCheck %s --check-prefix=SELECT

// The rotations and appends in front of an attention of few tokens are part of it: it reads the caches as they are
// then. Not: where pairs are neighbours, for a kernel that rotates otherwise; where the rotated queries go
// elsewhere, too; where there are more tokens than the kernel is for.

// REMARK: [Passed] Fused | Category:fuse-appends | {{.*}}attention takes rope, cache_append
// REMARK: [Missed] NotFused | Category:fuse-appends | {{.*}}rope, cache_append stays in front of attention, because neighbouring elements are rotated
// REMARK: [Missed] NotFused | Category:fuse-appends | {{.*}}rope, cache_append stays in front of attention, because it makes what is needed elsewhere, too
// REMARK-NOT: fuse-appends

// CHECK: exec.kernel @rope_cache_append_attention for @cuda sizes(d0 in [0, 8], d1 in [1, 8], d2 in [1, 4])
// CHECK-SAME: (%[[X:[a-z0-9]+]]: !exec.buffer<[d0, 256] x bf16>, %[[C:[a-z0-9]+]]: !exec.buffer<[d0, 16] x f32>, %[[S:[a-z0-9]+]]: !exec.buffer<[d0, 16] x f32>, %[[KC:[a-z0-9]+]]: !exec.buffer<[9, 2, 16, 32] x bf16>,
// CHECK-SAME: -> (!exec.buffer<[9, 2, 16, 32] x bf16> updates %[[KC]], !exec.buffer<[9, 2, 16, 32] x bf16> updates %{{.*}}, !exec.buffer<[d0, 128] x bf16>)
// CHECK: %[[KR:.*]] = transformer.rope %{{.*}}, %[[C]], %[[S]] {heads = 2
// CHECK: %[[K:.*]] = transformer.cache_append %[[KC]], %[[KR]]
// CHECK: %[[V:.*]] = transformer.cache_append
// CHECK: %[[Q:.*]] = transformer.rope %{{.*}}, %[[C]], %[[S]] {heads = 4
// CHECK: %[[Y:.*]] = transformer.attention by flash %[[Q]], %[[K]], %[[V]]
// CHECK: exec.yield %[[K]], %[[V]], %[[Y]]
// CHECK-LABEL: exec.program @fused
// CHECK: exec.launch @rope_cache_append_attention sizes(T, B, NB) ins(
// CHECK-NOT: exec.launch
// CHECK-LABEL: exec.program @interleaved
// CHECK: exec.launch @append_interleaved
// CHECK: exec.launch @attention
// CHECK-LABEL: exec.program @needed
// CHECK: exec.launch @append
// CHECK: exec.launch @attention
// CHECK-LABEL: exec.program @many
// CHECK: exec.launch @append
// CHECK: exec.launch @attention
// OLDER-NOT: exec.kernel @rope_cache_append_attention
// OLDER-LABEL: exec.program @fused
// OLDER: exec.launch @append
// OLDER: exec.launch @attention
// SELECT: exec.kernel @rope_cache_append_attention
// SELECT-SAME: description = "rope, cache_append, attention, packed, paged, heads=4/2 D=32, bf16
// SELECT-SAME: family = "cuda.attention_decode"

exec.target @cuda kind("cuda") arch("sm_90a")
exec.device @cuda0 : @cuda
exec.state @kc on @cuda0 : tensor<9x2x16x32xbf16>
exec.state @vc on @cuda0 : tensor<9x2x16x32xbf16>
exec.kernel @append for @cuda sizes(d0 in [0, 8], d1 in [1, 8], d2 in [1, 4])
    (%x: !exec.buffer<[d0, 256] x bf16>, %c: !exec.buffer<[d0, 16] x f32>, %s: !exec.buffer<[d0, 16] x f32>,
     %kc: !exec.buffer<[9, 2, 16, 32] x bf16>, %table: !exec.buffer<[d1, d2] x i32>, %past: !exec.buffer<[d1] x i32>,
     %cu: !exec.buffer<[9] x i32>, %vc: !exec.buffer<[9, 2, 16, 32] x bf16>)
    -> (!exec.buffer<[9, 2, 16, 32] x bf16> updates %kc, !exec.buffer<[9, 2, 16, 32] x bf16> updates %vc, !exec.buffer<[d0, 128] x bf16>) {
  %zero = arith.constant 0 : index
  %d = tensor.dim %x, %zero : tensor<?x256xbf16>
  %k = tensor.extract_slice %x[0, 128] [%d, 64] [1, 1] : tensor<?x256xbf16> to tensor<?x64xbf16>
  %kr = transformer.rope %k, %c, %s {heads = 2 : i64} : (tensor<?x64xbf16>, tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x64xbf16>
  %0 = transformer.cache_append %kc, %kr, %table, %past cu_seqlens(%cu)
    : (tensor<9x2x16x32xbf16>, tensor<?x64xbf16>, tensor<?x?xi32>, tensor<?xi32>, tensor<9xi32>) -> tensor<9x2x16x32xbf16>
  %v = tensor.extract_slice %x[0, 192] [%d, 64] [1, 1] : tensor<?x256xbf16> to tensor<?x64xbf16>
  %1 = transformer.cache_append %vc, %v, %table, %past cu_seqlens(%cu)
    : (tensor<9x2x16x32xbf16>, tensor<?x64xbf16>, tensor<?x?xi32>, tensor<?xi32>, tensor<9xi32>) -> tensor<9x2x16x32xbf16>
  %q = tensor.extract_slice %x[0, 0] [%d, 128] [1, 1] : tensor<?x256xbf16> to tensor<?x128xbf16>
  %qr = transformer.rope %q, %c, %s {heads = 4 : i64} : (tensor<?x128xbf16>, tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x128xbf16>
  exec.yield %0, %1, %qr : tensor<9x2x16x32xbf16>, tensor<9x2x16x32xbf16>, tensor<?x128xbf16>
}
exec.kernel @append_interleaved for @cuda sizes(d0 in [0, 8], d1 in [1, 8], d2 in [1, 4])
    (%x: !exec.buffer<[d0, 256] x bf16>, %c: !exec.buffer<[d0, 16] x f32>, %s: !exec.buffer<[d0, 16] x f32>,
     %kc: !exec.buffer<[9, 2, 16, 32] x bf16>, %table: !exec.buffer<[d1, d2] x i32>, %past: !exec.buffer<[d1] x i32>,
     %cu: !exec.buffer<[9] x i32>, %vc: !exec.buffer<[9, 2, 16, 32] x bf16>)
    -> (!exec.buffer<[9, 2, 16, 32] x bf16> updates %kc, !exec.buffer<[9, 2, 16, 32] x bf16> updates %vc, !exec.buffer<[d0, 128] x bf16>) {
  %zero = arith.constant 0 : index
  %d = tensor.dim %x, %zero : tensor<?x256xbf16>
  %k = tensor.extract_slice %x[0, 128] [%d, 64] [1, 1] : tensor<?x256xbf16> to tensor<?x64xbf16>
  %kr = transformer.rope %k, %c, %s {heads = 2 : i64, interleaved} : (tensor<?x64xbf16>, tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x64xbf16>
  %0 = transformer.cache_append %kc, %kr, %table, %past cu_seqlens(%cu)
    : (tensor<9x2x16x32xbf16>, tensor<?x64xbf16>, tensor<?x?xi32>, tensor<?xi32>, tensor<9xi32>) -> tensor<9x2x16x32xbf16>
  %v = tensor.extract_slice %x[0, 192] [%d, 64] [1, 1] : tensor<?x256xbf16> to tensor<?x64xbf16>
  %1 = transformer.cache_append %vc, %v, %table, %past cu_seqlens(%cu)
    : (tensor<9x2x16x32xbf16>, tensor<?x64xbf16>, tensor<?x?xi32>, tensor<?xi32>, tensor<9xi32>) -> tensor<9x2x16x32xbf16>
  %q = tensor.extract_slice %x[0, 0] [%d, 128] [1, 1] : tensor<?x256xbf16> to tensor<?x128xbf16>
  %qr = transformer.rope %q, %c, %s {heads = 4 : i64, interleaved} : (tensor<?x128xbf16>, tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x128xbf16>
  exec.yield %0, %1, %qr : tensor<9x2x16x32xbf16>, tensor<9x2x16x32xbf16>, tensor<?x128xbf16>
}
exec.kernel @append_many for @cuda sizes(d0 in [0, 65], d1 in [1, 8], d2 in [1, 4])
    (%x: !exec.buffer<[d0, 256] x bf16>, %c: !exec.buffer<[d0, 16] x f32>, %s: !exec.buffer<[d0, 16] x f32>,
     %kc: !exec.buffer<[9, 2, 16, 32] x bf16>, %table: !exec.buffer<[d1, d2] x i32>, %past: !exec.buffer<[d1] x i32>,
     %cu: !exec.buffer<[9] x i32>, %vc: !exec.buffer<[9, 2, 16, 32] x bf16>)
    -> (!exec.buffer<[9, 2, 16, 32] x bf16> updates %kc, !exec.buffer<[9, 2, 16, 32] x bf16> updates %vc, !exec.buffer<[d0, 128] x bf16>) {
  %zero = arith.constant 0 : index
  %d = tensor.dim %x, %zero : tensor<?x256xbf16>
  %k = tensor.extract_slice %x[0, 128] [%d, 64] [1, 1] : tensor<?x256xbf16> to tensor<?x64xbf16>
  %kr = transformer.rope %k, %c, %s {heads = 2 : i64} : (tensor<?x64xbf16>, tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x64xbf16>
  %0 = transformer.cache_append %kc, %kr, %table, %past cu_seqlens(%cu)
    : (tensor<9x2x16x32xbf16>, tensor<?x64xbf16>, tensor<?x?xi32>, tensor<?xi32>, tensor<9xi32>) -> tensor<9x2x16x32xbf16>
  %v = tensor.extract_slice %x[0, 192] [%d, 64] [1, 1] : tensor<?x256xbf16> to tensor<?x64xbf16>
  %1 = transformer.cache_append %vc, %v, %table, %past cu_seqlens(%cu)
    : (tensor<9x2x16x32xbf16>, tensor<?x64xbf16>, tensor<?x?xi32>, tensor<?xi32>, tensor<9xi32>) -> tensor<9x2x16x32xbf16>
  %q = tensor.extract_slice %x[0, 0] [%d, 128] [1, 1] : tensor<?x256xbf16> to tensor<?x128xbf16>
  %qr = transformer.rope %q, %c, %s {heads = 4 : i64} : (tensor<?x128xbf16>, tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x128xbf16>
  exec.yield %0, %1, %qr : tensor<9x2x16x32xbf16>, tensor<9x2x16x32xbf16>, tensor<?x128xbf16>
}
exec.kernel @attention for @cuda sizes(d0 in [0, 8], d1 in [1, 8], d2 in [1, 4])
    (%q: !exec.buffer<[d0, 128] x bf16>, %k: !exec.buffer<[9, 2, 16, 32] x bf16>, %v: !exec.buffer<[9, 2, 16, 32] x bf16>,
     %cu: !exec.buffer<[9] x i32>, %table: !exec.buffer<[d1, d2] x i32>, %past: !exec.buffer<[d1] x i32>)
    -> (!exec.buffer<[d0, 128] x bf16>) {
  %0 = transformer.attention by flash %q, %k, %v cu_seqlens(%cu) block_table(%table) past(%past)
    {causal, heads = 4 : i64, kv_heads = 2 : i64, scale = 0.125 : f64}
    : (tensor<?x128xbf16>, tensor<9x2x16x32xbf16>, tensor<9x2x16x32xbf16>, tensor<9xi32>, tensor<?x?xi32>, tensor<?xi32>) -> tensor<?x128xbf16>
  exec.yield %0 : tensor<?x128xbf16>
}
exec.kernel @attention_many for @cuda sizes(d0 in [0, 65], d1 in [1, 8], d2 in [1, 4])
    (%q: !exec.buffer<[d0, 128] x bf16>, %k: !exec.buffer<[9, 2, 16, 32] x bf16>, %v: !exec.buffer<[9, 2, 16, 32] x bf16>,
     %cu: !exec.buffer<[9] x i32>, %table: !exec.buffer<[d1, d2] x i32>, %past: !exec.buffer<[d1] x i32>)
    -> (!exec.buffer<[d0, 128] x bf16>) {
  %0 = transformer.attention by flash %q, %k, %v cu_seqlens(%cu) block_table(%table) past(%past)
    {causal, heads = 4 : i64, kv_heads = 2 : i64, scale = 0.125 : f64}
    : (tensor<?x128xbf16>, tensor<9x2x16x32xbf16>, tensor<9x2x16x32xbf16>, tensor<9xi32>, tensor<?x?xi32>, tensor<?xi32>) -> tensor<?x128xbf16>
  exec.yield %0 : tensor<?x128xbf16>
}
exec.program @fused symbols(T in [1, 8], B in [1, 8], NB in [1, 4]) {
  %x = exec.input "x" on @cuda0 : !exec.buffer<[T, 256] x bf16>
  %c = exec.input "c" on @cuda0 : !exec.buffer<[T, 16] x f32>
  %s = exec.input "s" on @cuda0 : !exec.buffer<[T, 16] x f32>
  %table = exec.input "table" on @cuda0 : !exec.buffer<[B, NB] x i32>
  %past = exec.input "past" on @cuda0 : !exec.buffer<[B] x i32>
  %cu = exec.input "cu" on @cuda0 : !exec.buffer<[9] x i32>
  %kc = exec.get @kc : !exec.buffer<[9, 2, 16, 32] x bf16>
  %vc = exec.get @vc : !exec.buffer<[9, 2, 16, 32] x bf16>
  %q = exec.buffer on @cuda0 : !exec.buffer<[T, 128] x bf16>
  exec.launch @append sizes(T, B, NB)
      ins(%x, %c, %s, %kc, %table, %past, %cu, %vc : !exec.buffer<[T, 256] x bf16>, !exec.buffer<[T, 16] x f32>, !exec.buffer<[T, 16] x f32>, !exec.buffer<[9, 2, 16, 32] x bf16>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>, !exec.buffer<[9] x i32>, !exec.buffer<[9, 2, 16, 32] x bf16>)
      outs(%q : !exec.buffer<[T, 128] x bf16>)
  %y = exec.buffer on @cuda0 : !exec.buffer<[T, 128] x bf16>
  exec.launch @attention sizes(T, B, NB)
      ins(%q, %kc, %vc, %cu, %table, %past : !exec.buffer<[T, 128] x bf16>, !exec.buffer<[9, 2, 16, 32] x bf16>, !exec.buffer<[9, 2, 16, 32] x bf16>, !exec.buffer<[9] x i32>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>)
      outs(%y : !exec.buffer<[T, 128] x bf16>)
  exec.output "y" %y : !exec.buffer<[T, 128] x bf16>
}
exec.program @interleaved symbols(T in [1, 8], B in [1, 8], NB in [1, 4]) {
  %x = exec.input "x" on @cuda0 : !exec.buffer<[T, 256] x bf16>
  %c = exec.input "c" on @cuda0 : !exec.buffer<[T, 16] x f32>
  %s = exec.input "s" on @cuda0 : !exec.buffer<[T, 16] x f32>
  %table = exec.input "table" on @cuda0 : !exec.buffer<[B, NB] x i32>
  %past = exec.input "past" on @cuda0 : !exec.buffer<[B] x i32>
  %cu = exec.input "cu" on @cuda0 : !exec.buffer<[9] x i32>
  %kc = exec.get @kc : !exec.buffer<[9, 2, 16, 32] x bf16>
  %vc = exec.get @vc : !exec.buffer<[9, 2, 16, 32] x bf16>
  %q = exec.buffer on @cuda0 : !exec.buffer<[T, 128] x bf16>
  exec.launch @append_interleaved sizes(T, B, NB)
      ins(%x, %c, %s, %kc, %table, %past, %cu, %vc : !exec.buffer<[T, 256] x bf16>, !exec.buffer<[T, 16] x f32>, !exec.buffer<[T, 16] x f32>, !exec.buffer<[9, 2, 16, 32] x bf16>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>, !exec.buffer<[9] x i32>, !exec.buffer<[9, 2, 16, 32] x bf16>)
      outs(%q : !exec.buffer<[T, 128] x bf16>)
  %y = exec.buffer on @cuda0 : !exec.buffer<[T, 128] x bf16>
  exec.launch @attention sizes(T, B, NB)
      ins(%q, %kc, %vc, %cu, %table, %past : !exec.buffer<[T, 128] x bf16>, !exec.buffer<[9, 2, 16, 32] x bf16>, !exec.buffer<[9, 2, 16, 32] x bf16>, !exec.buffer<[9] x i32>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>)
      outs(%y : !exec.buffer<[T, 128] x bf16>)
  exec.output "y" %y : !exec.buffer<[T, 128] x bf16>
}
exec.program @needed symbols(T in [1, 8], B in [1, 8], NB in [1, 4]) {
  %x = exec.input "x" on @cuda0 : !exec.buffer<[T, 256] x bf16>
  %c = exec.input "c" on @cuda0 : !exec.buffer<[T, 16] x f32>
  %s = exec.input "s" on @cuda0 : !exec.buffer<[T, 16] x f32>
  %table = exec.input "table" on @cuda0 : !exec.buffer<[B, NB] x i32>
  %past = exec.input "past" on @cuda0 : !exec.buffer<[B] x i32>
  %cu = exec.input "cu" on @cuda0 : !exec.buffer<[9] x i32>
  %kc = exec.get @kc : !exec.buffer<[9, 2, 16, 32] x bf16>
  %vc = exec.get @vc : !exec.buffer<[9, 2, 16, 32] x bf16>
  %q = exec.buffer on @cuda0 : !exec.buffer<[T, 128] x bf16>
  exec.launch @append sizes(T, B, NB)
      ins(%x, %c, %s, %kc, %table, %past, %cu, %vc : !exec.buffer<[T, 256] x bf16>, !exec.buffer<[T, 16] x f32>, !exec.buffer<[T, 16] x f32>, !exec.buffer<[9, 2, 16, 32] x bf16>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>, !exec.buffer<[9] x i32>, !exec.buffer<[9, 2, 16, 32] x bf16>)
      outs(%q : !exec.buffer<[T, 128] x bf16>)
  %y = exec.buffer on @cuda0 : !exec.buffer<[T, 128] x bf16>
  exec.launch @attention sizes(T, B, NB)
      ins(%q, %kc, %vc, %cu, %table, %past : !exec.buffer<[T, 128] x bf16>, !exec.buffer<[9, 2, 16, 32] x bf16>, !exec.buffer<[9, 2, 16, 32] x bf16>, !exec.buffer<[9] x i32>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>)
      outs(%y : !exec.buffer<[T, 128] x bf16>)
  exec.output "y" %y : !exec.buffer<[T, 128] x bf16>
  exec.output "q" %q : !exec.buffer<[T, 128] x bf16>
}
exec.program @many symbols(T in [1, 65], B in [1, 8], NB in [1, 4]) {
  %x = exec.input "x" on @cuda0 : !exec.buffer<[T, 256] x bf16>
  %c = exec.input "c" on @cuda0 : !exec.buffer<[T, 16] x f32>
  %s = exec.input "s" on @cuda0 : !exec.buffer<[T, 16] x f32>
  %table = exec.input "table" on @cuda0 : !exec.buffer<[B, NB] x i32>
  %past = exec.input "past" on @cuda0 : !exec.buffer<[B] x i32>
  %cu = exec.input "cu" on @cuda0 : !exec.buffer<[9] x i32>
  %kc = exec.get @kc : !exec.buffer<[9, 2, 16, 32] x bf16>
  %vc = exec.get @vc : !exec.buffer<[9, 2, 16, 32] x bf16>
  %q = exec.buffer on @cuda0 : !exec.buffer<[T, 128] x bf16>
  exec.launch @append_many sizes(T, B, NB)
      ins(%x, %c, %s, %kc, %table, %past, %cu, %vc : !exec.buffer<[T, 256] x bf16>, !exec.buffer<[T, 16] x f32>, !exec.buffer<[T, 16] x f32>, !exec.buffer<[9, 2, 16, 32] x bf16>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>, !exec.buffer<[9] x i32>, !exec.buffer<[9, 2, 16, 32] x bf16>)
      outs(%q : !exec.buffer<[T, 128] x bf16>)
  %y = exec.buffer on @cuda0 : !exec.buffer<[T, 128] x bf16>
  exec.launch @attention_many sizes(T, B, NB)
      ins(%q, %kc, %vc, %cu, %table, %past : !exec.buffer<[T, 128] x bf16>, !exec.buffer<[9, 2, 16, 32] x bf16>, !exec.buffer<[9, 2, 16, 32] x bf16>, !exec.buffer<[9] x i32>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>)
      outs(%y : !exec.buffer<[T, 128] x bf16>)
  exec.output "y" %y : !exec.buffer<[T, 128] x bf16>
}
