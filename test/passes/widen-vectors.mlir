// RUN: ingot-opt %s --widen-vectors --split-input-file | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --widen-vectors --convert-transformer-to-exec="target-kind=cuda target-arch=sm_90a" --split-input-file | FileCheck %s --check-prefix=EXEC

// Vectors are stored in f32 and rounded where they are read; matrices stay.

// CHECK-LABEL: func.func @forward
// CHECK: %[[W:.*]] = transformer.weight ["w"] [load 0] : tensor<8x4xbf16>
// CHECK: %[[WIDE:.*]] = transformer.weight ["b"] [load 0] : tensor<8xf32>
// CHECK: %[[B:.*]] = arith.truncf %[[WIDE]] : tensor<8xf32> to tensor<8xbf16>
// CHECK: transformer.linear %{{.*}}, %[[W]], %[[B]]

// The rounding is part of the kernel, which gets the wide vector.
// EXEC: exec.weight @{{.*}}b from {{.*}} : tensor<8xf32>
// EXEC: exec.kernel @linear
// EXEC: arith.truncf %{{.*}} : tensor<8xf32> to tensor<8xbf16>
// EXEC: transformer.linear
// EXEC: exec.program
// EXEC-COUNT-1: exec.launch @linear
// EXEC-NOT: exec.launch
// EXEC: exec.output
module attributes {transformer.sizes = {T = [1, 64]}, 
                   transformer.sources = {"w" = {shape = [8, 4], init = "zeros", aliases = []},
                                          "b" = {shape = [8], init = "zeros", aliases = []}}} {
  func.func @forward(%x: tensor<?x4xbf16> {transformer.name = "x", transformer.sizes = ["T"]})
      -> (tensor<?x8xbf16> {transformer.name = "y"}) attributes {transformer.program} {
    %w = transformer.weight ["w"] [load 0] : tensor<8x4xbf16>
    %b = transformer.weight ["b"] [load 0] : tensor<8xbf16>
    %y = transformer.linear %x, %w, %b : (tensor<?x4xbf16>, tensor<8x4xbf16>, tensor<8xbf16>) -> tensor<?x8xbf16>
    return %y : tensor<?x8xbf16>
  }
}

// -----

// Nothing is rounded in f32.

// CHECK-LABEL: func.func @forward
// CHECK: transformer.weight ["g"] [load 0] : tensor<4xf32>
// CHECK-NOT: arith.truncf
module attributes {transformer.sizes = {T = [1, 64]}, 
                   transformer.sources = {"g" = {shape = [4], init = "ones", aliases = []}}} {
  func.func @forward(%x: tensor<?x4xf32> {transformer.name = "x", transformer.sizes = ["T"]})
      -> (tensor<?x4xf32> {transformer.name = "y"}) attributes {transformer.program} {
    %g = transformer.weight ["g"] [load 0] : tensor<4xf32>
    %y = transformer.rms_norm %x, %g {eps = 1.0e-5 : f64} : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}
