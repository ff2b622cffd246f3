// RUN: ingot-opt %s --select-kernels | FileCheck %s

// Outputs that are computed from nothing in common have blocks of their own along y, as many along x as the part that
// may need the most. What is appended is stored in vectors within a head.

exec.target @cuda kind("cuda") arch("sm_90a")
exec.device @cuda0 : @cuda
exec.state @kc on @cuda0 : tensor<9x2x16x16xbf16>
exec.state @vc on @cuda0 : tensor<9x2x16x16xbf16>
// Rotates 8 of the 16 elements of each head of k, and of q.
// CHECK: exec.kernel @step
// CHECK-SAME: config = {parts = [{group = 256 : i64, rows = -1 : i64, vector = {{[0-9]+}} : i64}, {group = 256 : i64, rows = -1 : i64, vector = 8 : i64}, {group = 256 : i64, rows = -1 : i64, vector = {{[0-9]+}} : i64}], threads = 256 : i64}
// CHECK-SAME: description = "rope, cache_append; 3 parts with blocks of their own: rope, cache_append: a thread an element
// CHECK-SAME: grid = [#exec.size<{{.*}}>, #exec.size<3>, #exec.size<1>]
exec.kernel @step for @cuda sizes(d0 in [1, 2048], d1 in [1, 8], d2 in [1, 4])
    (%qkv: !exec.buffer<[d0, 128] x bf16>, %c: !exec.buffer<[d0, 4] x f32>, %s: !exec.buffer<[d0, 4] x f32>,
     %kc: !exec.buffer<[9, 2, 16, 16] x bf16>, %vc: !exec.buffer<[9, 2, 16, 16] x bf16>,
     %table: !exec.buffer<[d1, d2] x i32>, %past: !exec.buffer<[d1] x i32>, %cu: !exec.buffer<[9] x i32>)
    -> (!exec.buffer<[9, 2, 16, 16] x bf16> updates %kc, !exec.buffer<[9, 2, 16, 16] x bf16> updates %vc, !exec.buffer<[d0, 64] x bf16>) {
  %c0 = arith.constant 0 : index
  %t = tensor.dim %qkv, %c0 : tensor<?x128xbf16>
  %q = tensor.extract_slice %qkv[0, 0] [%t, 64] [1, 1] : tensor<?x128xbf16> to tensor<?x64xbf16>
  %k = tensor.extract_slice %qkv[0, 64] [%t, 32] [1, 1] : tensor<?x128xbf16> to tensor<?x32xbf16>
  %v = tensor.extract_slice %qkv[0, 96] [%t, 32] [1, 1] : tensor<?x128xbf16> to tensor<?x32xbf16>
  %0 = transformer.rope %k, %c, %s {heads = 2 : i64} : (tensor<?x32xbf16>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x32xbf16>
  %1 = transformer.cache_append %kc, %0, %table, %past cu_seqlens(%cu)
    : (tensor<9x2x16x16xbf16>, tensor<?x32xbf16>, tensor<?x?xi32>, tensor<?xi32>, tensor<9xi32>) -> tensor<9x2x16x16xbf16>
  %2 = transformer.cache_append %vc, %v, %table, %past cu_seqlens(%cu)
    : (tensor<9x2x16x16xbf16>, tensor<?x32xbf16>, tensor<?x?xi32>, tensor<?xi32>, tensor<9xi32>) -> tensor<9x2x16x16xbf16>
  %3 = transformer.rope %q, %c, %s {heads = 4 : i64, interleaved} : (tensor<?x64xbf16>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x64xbf16>
  exec.yield %1, %2, %3 : tensor<9x2x16x16xbf16>, tensor<9x2x16x16xbf16>, tensor<?x64xbf16>
}

// Rows of different widths share a block's threads; a row alone and a row of a warp go together.
// CHECK: exec.kernel @norms
// CHECK-SAME: config = {parts = [{group = 512 : i64, rows = 1 : i64, vector = 8 : i64}, {group = 32 : i64, rows = 1 : i64, vector = 8 : i64}], threads = 512 : i64}
exec.kernel @norms for @cuda sizes(d0 in [1, 64])
    (%x: !exec.buffer<[d0, 8192] x bf16>, %g: !exec.buffer<[8192] x bf16>, %y: !exec.buffer<[d0, 256] x bf16>, %h: !exec.buffer<[256] x bf16>)
    -> (!exec.buffer<[d0, 8192] x bf16>, !exec.buffer<[d0, 256] x bf16>) {
  %0 = transformer.rms_norm %x, %g {eps = 1.0e-05 : f64} : (tensor<?x8192xbf16>, tensor<8192xbf16>) -> tensor<?x8192xbf16>
  %1 = transformer.rms_norm %y, %h {eps = 1.0e-05 : f64} : (tensor<?x256xbf16>, tensor<256xbf16>) -> tensor<?x256xbf16>
  exec.yield %0, %1 : tensor<?x8192xbf16>, tensor<?x256xbf16>
}

exec.program @p symbols(T in [1, 2048], M in [1, 64], B in [1, 8], NB in [1, 4]) {
  %qkv = exec.input "qkv" on @cuda0 : !exec.buffer<[T, 128] x bf16>
  %c = exec.input "c" on @cuda0 : !exec.buffer<[T, 4] x f32>
  %s = exec.input "s" on @cuda0 : !exec.buffer<[T, 4] x f32>
  %table = exec.input "table" on @cuda0 : !exec.buffer<[B, NB] x i32>
  %past = exec.input "past" on @cuda0 : !exec.buffer<[B] x i32>
  %cu = exec.input "cu" on @cuda0 : !exec.buffer<[9] x i32>
  %kc = exec.get @kc : !exec.buffer<[9, 2, 16, 16] x bf16>
  %vc = exec.get @vc : !exec.buffer<[9, 2, 16, 16] x bf16>
  %q = exec.buffer on @cuda0 : !exec.buffer<[T, 64] x bf16>
  // CHECK: exec.launch @step sizes(T, B, NB) grid({{.*}}, 3, 1)
  exec.launch @step sizes(T, B, NB) ins(%qkv, %c, %s, %kc, %vc, %table, %past, %cu : !exec.buffer<[T, 128] x bf16>, !exec.buffer<[T, 4] x f32>, !exec.buffer<[T, 4] x f32>, !exec.buffer<[9, 2, 16, 16] x bf16>, !exec.buffer<[9, 2, 16, 16] x bf16>, !exec.buffer<[B, NB] x i32>, !exec.buffer<[B] x i32>, !exec.buffer<[9] x i32>) outs(%q : !exec.buffer<[T, 64] x bf16>)
  exec.output "q" %q : !exec.buffer<[T, 64] x bf16>
  %x = exec.input "x" on @cuda0 : !exec.buffer<[M, 8192] x bf16>
  %g = exec.input "g" on @cuda0 : !exec.buffer<[8192] x bf16>
  %y = exec.input "y" on @cuda0 : !exec.buffer<[M, 256] x bf16>
  %h = exec.input "h" on @cuda0 : !exec.buffer<[256] x bf16>
  %a = exec.buffer on @cuda0 : !exec.buffer<[M, 8192] x bf16>
  %b = exec.buffer on @cuda0 : !exec.buffer<[M, 256] x bf16>
  // CHECK: exec.launch @norms sizes(M) grid(M, 2, 1)
  exec.launch @norms sizes(M) ins(%x, %g, %y, %h : !exec.buffer<[M, 8192] x bf16>, !exec.buffer<[8192] x bf16>, !exec.buffer<[M, 256] x bf16>, !exec.buffer<[256] x bf16>) outs(%a, %b : !exec.buffer<[M, 8192] x bf16>, !exec.buffer<[M, 256] x bf16>)
  exec.output "a" %a : !exec.buffer<[M, 8192] x bf16>
  exec.output "b" %b : !exec.buffer<[M, 256] x bf16>
}
