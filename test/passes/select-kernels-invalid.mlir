// RUN: ingot-opt %s --select-kernels --verify-diagnostics

// A target for which there is no kernel family.
exec.target @npu kind("npu") arch("v1")
exec.device @npu0 : @npu
// expected-error @+1 {{unsupported: no kernel family of target 'npu' (v1) takes kernel @k: arith.negf on f32[d0, 16], f32[d0, 16]; the target has no families}}
exec.kernel @k for @npu sizes(d0 in [1, 8]) (%x: !exec.buffer<[d0, 16] x f32>) -> (!exec.buffer<[d0, 16] x f32>) {
  %0 = arith.negf %x : tensor<?x16xf32>
  exec.yield %0 : tensor<?x16xf32>
}
exec.program @p symbols(B in [1, 8]) {
  %x = exec.input "x" on @npu0 : !exec.buffer<[B, 16] x f32>
  %y = exec.buffer on @npu0 : !exec.buffer<[B, 16] x f32>
  exec.launch @k sizes(B) ins(%x : !exec.buffer<[B, 16] x f32>) outs(%y : !exec.buffer<[B, 16] x f32>)
  exec.output "y" %y : !exec.buffer<[B, 16] x f32>
}
