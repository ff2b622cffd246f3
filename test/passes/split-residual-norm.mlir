// RUN: ingot-opt %s --split-residual-norm --split-input-file | FileCheck %s
// RUN: ingot-opt %s --split-residual-norm --split-input-file --remarks-filter-passed=split-residual-norm --remarks-filter-missed=split-residual-norm -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: ingot-opt %s --split-residual-norm=most-rows=4 --split-input-file | FileCheck %s --check-prefix=FEW

// REMARK: [Passed] Fused | Category:split-residual-norm | {{.*}}the residual addition is the linear layer's in front
// REMARK: [Passed] Fused | Category:split-residual-norm | {{.*}}the residual addition is the linear layer's in front
// REMARK: [Missed] NotFused | Category:split-residual-norm | {{.*}}because what is added is made by no linear layer
// REMARK: [Missed] NotFused | Category:split-residual-norm | {{.*}}because what is added is read elsewhere, too
// REMARK: [Missed] NotFused | Category:split-residual-norm | {{.*}}because the normalized rows are not those of one linear layer alone

// Between two linear layers, and where a token of each row is taken of both addends: that of the sum, then.
// Of more rows than `most-rows` nothing changes.

module attributes {transformer.sizes = {B = [1, 8], S = [1, 64], S1 = [1, 1]},
                   transformer.generation = {program = "step", decode_program = "decode"}} {
  // CHECK-LABEL: func.func @step
  // CHECK: transformer.add_rms_norm
  func.func @step(%ids: tensor<?x?xi32> {transformer.name = "input_ids", transformer.sizes = ["B", "S"]},
      %a: tensor<?x8xbf16>, %r: tensor<?x8xbf16>, %w: tensor<8x8xbf16>, %g: tensor<8xbf16>) -> tensor<?x8xbf16> {
    %x = transformer.linear %a, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
    %s, %n = transformer.add_rms_norm %x, %r, %g {eps = 1.0e-5 : f64}
      : (tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>)
    %y = transformer.linear %n, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
    return %y : tensor<?x8xbf16>
  }
  // CHECK-LABEL: func.func @decode
  // CHECK: %[[X:.*]] = transformer.linear
  // CHECK-NEXT: %[[S:.*]] = arith.addf %[[X]], %arg2 : tensor<?x8xbf16>
  // CHECK-NEXT: %[[N:.*]] = transformer.rms_norm %[[S]], %arg4 {eps = 1.000000e-05 : f64}
  // CHECK-NEXT: %[[Y:.*]] = transformer.linear %[[N]]
  // CHECK-NEXT: %[[S2:.*]] = arith.addf %[[Y]], %[[S]] : tensor<?x8xbf16>
  // CHECK-NEXT: %[[T:.*]] = transformer.packed_token %[[S2]], %arg5 {last}
  // CHECK-NEXT: %[[N2:.*]] = transformer.rms_norm %[[T]]
  // CHECK-NEXT: transformer.linear %[[N2]]
  // FEW-LABEL: func.func @decode
  // FEW: transformer.add_rms_norm
  // FEW-NOT: transformer.rms_norm
  func.func @decode(%ids: tensor<?x?xi32> {transformer.name = "input_ids", transformer.sizes = ["B", "S1"]},
      %a: tensor<?x8xbf16>, %r: tensor<?x8xbf16>, %w: tensor<8x8xbf16>, %g: tensor<8xbf16>, %cu: tensor<9xi32>)
      -> tensor<8x8xbf16> {
    %x = transformer.linear %a, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
    %s, %n = transformer.add_rms_norm %x, %r, %g {eps = 1.0e-5 : f64}
      : (tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>)
    %y = transformer.linear %n, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
    %st = transformer.packed_token %s, %cu {last} : (tensor<?x8xbf16>, tensor<9xi32>) -> tensor<8x8xbf16>
    %yt = transformer.packed_token %y, %cu {last} : (tensor<?x8xbf16>, tensor<9xi32>) -> tensor<8x8xbf16>
    %s2, %n2 = transformer.add_rms_norm %yt, %st, %g {eps = 1.0e-5 : f64}
      : (tensor<8x8xbf16>, tensor<8x8xbf16>, tensor<8xbf16>) -> (tensor<8x8xbf16>, tensor<8x8xbf16>)
    %z = transformer.linear %n2, %w : (tensor<8x8xbf16>, tensor<8x8xbf16>) -> tensor<8x8xbf16>
    return %z : tensor<8x8xbf16>
  }
}

// -----

// Not: what is added comes from elsewhere, or goes elsewhere, too; several readers of the normalized rows.

module attributes {transformer.sizes = {B = [1, 8], S1 = [1, 1]}, transformer.generation = {decode_program = "decode"}} {
  // CHECK-LABEL: func.func @decode
  // CHECK-COUNT-3: transformer.add_rms_norm
  // CHECK-NOT: arith.addf
  func.func @decode(%ids: tensor<?x?xi32> {transformer.name = "input_ids", transformer.sizes = ["B", "S1"]},
      %a: tensor<?x8xbf16>, %r: tensor<?x8xbf16>, %w: tensor<8x8xbf16>, %g: tensor<8xbf16>)
      -> (tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>) {
    %s, %n = transformer.add_rms_norm %a, %r, %g {eps = 1.0e-5 : f64}
      : (tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>)
    %x = transformer.linear %n, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
    %s2, %n2 = transformer.add_rms_norm %x, %s, %g {eps = 1.0e-5 : f64}
      : (tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>)
    %y = transformer.linear %n2, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
    %s3, %n3 = transformer.add_rms_norm %y, %s2, %g {eps = 1.0e-5 : f64}
      : (tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<8xbf16>) -> (tensor<?x8xbf16>, tensor<?x8xbf16>)
    %z = transformer.linear %n3, %w : (tensor<?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x8xbf16>
    return %x, %n3, %z : tensor<?x8xbf16>, tensor<?x8xbf16>, tensor<?x8xbf16>
  }
}
