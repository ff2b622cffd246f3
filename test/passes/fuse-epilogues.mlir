// RUN: ingot-opt %s --convert-transformer-to-exec --split-input-file | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --convert-transformer-to-exec=fuse-epilogues=false --split-input-file | FileCheck %s --check-prefix=DISABLED --implicit-check-not=linear_ --implicit-check-not=matmul_
// RUN: ingot-opt %s --convert-transformer-to-exec --split-input-file --remarks-filter-passed=fuse-epilogues --remarks-filter-missed=fuse-epilogues -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Bias, activation and residual: one kernel, and nothing in memory between them.

// REMARK: [Passed] Fused | Category:fuse-epilogues | {{.*}}activation is an epilogue of linear
// REMARK: [Passed] Fused | Category:fuse-epilogues | {{.*}}addf is an epilogue of linear
// CHECK-LABEL: exec.kernel @linear_activation_addf
// CHECK: transformer.linear %{{.*}}, %{{.*}}, %{{.*}} :
// CHECK-NEXT: transformer.activation gelu
// CHECK-NEXT: arith.addf
// CHECK-NEXT: exec.yield
// CHECK-NOT: exec.kernel
// CHECK: exec.program @bias_activation_residual
// CHECK-COUNT-1: exec.launch
// CHECK-NOT: exec.launch
// DISABLED: exec.kernel @linear for
// DISABLED: exec.kernel @activation for
// DISABLED: exec.kernel @addf for
module attributes {transformer.sizes = {B = [1, 8]},
                   transformer.sources = {"w" = {shape = [16, 16], init = "zeros", aliases = []},
                                          "b" = {shape = [16], init = "zeros", aliases = []}}} {
  func.func @bias_activation_residual(%x: tensor<?x16xf32> {transformer.name = "x", transformer.sizes = ["B"]})
      -> (tensor<?x16xf32> {transformer.name = "y"}) attributes {transformer.program} {
    %w = transformer.weight ["w"] [load 0] : tensor<16x16xf32>
    %b = transformer.weight ["b"] [load 0] : tensor<16xf32>
    %0 = transformer.linear %x, %w, %b : (tensor<?x16xf32>, tensor<16x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
    %1 = transformer.activation gelu %0 : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %2 = arith.addf %1, %x : tensor<?x16xf32>
    return %2 : tensor<?x16xf32>
  }
}

// -----

// A gated layer, and the widening of its result for the caller.

// REMARK: [Passed] Fused | Category:fuse-epilogues | {{.*}}extf is an epilogue of gated_linear
// CHECK-LABEL: exec.kernel @gated_linear_extf
// CHECK-NOT: exec.kernel
// DISABLED: exec.kernel @gated_linear for
// DISABLED: exec.kernel @extf for
module attributes {transformer.sizes = {B = [1, 8]},
                   transformer.sources = {"w" = {shape = [32, 16], init = "zeros", aliases = []}}} {
  func.func @gated(%x: tensor<?x16xf32> {transformer.name = "x", transformer.sizes = ["B"]})
      -> (tensor<?x16xf32> {transformer.name = "y"}) attributes {transformer.program} {
    %w = transformer.weight ["w"] [load 0] : tensor<32x16xbf16>
    %n = arith.truncf %x : tensor<?x16xf32> to tensor<?x16xbf16>
    %0 = transformer.gated_linear silu %n, %w : (tensor<?x16xbf16>, tensor<32x16xbf16>) -> tensor<?x16xbf16>
    %1 = arith.extf %0 : tensor<?x16xbf16> to tensor<?x16xf32>
    return %1 : tensor<?x16xf32>
  }
}

// -----

// What something else reads, too, has to be in memory: another op, or the caller.

// REMARK: [Missed] NotFused | Category:fuse-epilogues | {{.*}}activation is no epilogue of linear, because what it reads is needed elsewhere, too
// REMARK-NOT: fuse-epilogues
// CHECK-LABEL: exec.kernel @linear for
// CHECK: exec.kernel @activation for
// CHECK: exec.program @read_twice
// CHECK-COUNT-2: exec.launch
// DISABLED: exec.program @read_twice
module attributes {transformer.sizes = {B = [1, 8]},
                   transformer.sources = {"w" = {shape = [16, 16], init = "zeros", aliases = []}}} {
  func.func @read_twice(%x: tensor<?x16xf32> {transformer.name = "x", transformer.sizes = ["B"]})
      -> (tensor<?x16xf32> {transformer.name = "y"}, tensor<?x16xf32> {transformer.name = "z"}) attributes {transformer.program} {
    %w = transformer.weight ["w"] [load 0] : tensor<16x16xf32>
    %0 = transformer.linear %x, %w : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
    %1 = transformer.activation gelu %0 : (tensor<?x16xf32>) -> tensor<?x16xf32>
    return %0, %1 : tensor<?x16xf32>, tensor<?x16xf32>
  }
}

// -----

// Not element by element: a norm reads the row, heads are read in another order, rows are taken apart.
// There is nothing to fuse, and nothing to say.

// CHECK-LABEL: exec.kernel @linear for
// CHECK: exec.kernel @rms_norm for
// CHECK: exec.kernel @split_heads for
// CHECK: exec.program @other_order
// CHECK-COUNT-3: exec.launch
// DISABLED: exec.program @other_order
module attributes {transformer.sizes = {B = [1, 8], S = [1, 16]},
                   transformer.sources = {"w" = {shape = [16, 16], init = "zeros", aliases = []},
                                          "g" = {shape = [16], init = "zeros", aliases = []}}} {
  func.func @other_order(%x: tensor<?x?x16xf32> {transformer.name = "x", transformer.sizes = ["B", "S"]})
      -> (tensor<?x2x?x8xf32> {transformer.name = "y"}) attributes {transformer.program} {
    %w = transformer.weight ["w"] [load 0] : tensor<16x16xf32>
    %g = transformer.weight ["g"] [load 0] : tensor<16xf32>
    %0 = transformer.linear %x, %w : (tensor<?x?x16xf32>, tensor<16x16xf32>) -> tensor<?x?x16xf32>
    %1 = transformer.rms_norm %0, %g {eps = 1.0e-5} : (tensor<?x?x16xf32>, tensor<16xf32>) -> tensor<?x?x16xf32>
    %2 = transformer.split_heads %1 {heads = 2 : i64} : (tensor<?x?x16xf32>) -> tensor<?x2x?x8xf32>
    return %2 : tensor<?x2x?x8xf32>
  }
}
