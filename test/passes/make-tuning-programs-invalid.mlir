// RUN: ingot-opt %s --make-tuning-programs -verify-diagnostics

// expected-error @below {{no kernel of this model offers a choice on this target, so there is nothing to measure}}
module {
  exec.target @host kind("host") arch("x86-64-v3")
  exec.device @host0 : @host
  exec.kernel @negate for @host sizes(d0 in [0, 512])
      (%x: !exec.buffer<[d0, 8] x f32>) -> (!exec.buffer<[d0, 8] x f32>) {
    %0 = arith.negf %x : tensor<?x8xf32>
    exec.yield %0 : tensor<?x8xf32>
  }
}
