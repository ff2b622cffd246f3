// RUN: ingot-opt %s --specialize-decode --split-input-file | FileCheck %s --enable-var-scope

// The generation loop's program stands there twice: as it is, and with a size of its own, which is 1,
// for the tokens of a row.

// CHECK: module attributes {transformer.generation = {decode_program = "decode", program = "step"}
// CHECK-SAME: transformer.sizes = {B = [1, 4], NB = [1, 8], S = [1, 64], S1 = [1, 1]}
module attributes {transformer.generation = {program = "step"},
                   transformer.sizes = {B = [1, 4], S = [1, 64], NB = [1, 8]}} {
  // CHECK: func.func @forward
  func.func @forward(%ids: tensor<?x?xi32> {transformer.name = "input_ids", transformer.sizes = ["B", "S"]})
      -> (tensor<?x?xi32> {transformer.name = "y"}) attributes {transformer.program} {
    return %ids : tensor<?x?xi32>
  }
  // CHECK: func.func @step({{.*}}["B", "S"]{{.*}}["B", "NB"]
  // CHECK: func.func @decode({{.*}}"input_ids", transformer.sizes = ["B", "S1"]{{.*}}["B", "NB"]{{.*}}transformer.program
  // CHECK-NEXT: arith.addi
  // CHECK-NOT: func.func
  func.func @step(%ids: tensor<?x?xi32> {transformer.name = "input_ids", transformer.sizes = ["B", "S"]},
                  %table: tensor<?x?xi32> {transformer.name = "block_table", transformer.sizes = ["B", "NB"]})
      -> (tensor<?x?xi32> {transformer.name = "y"}) attributes {transformer.program} {
    %0 = arith.addi %ids, %ids : tensor<?x?xi32>
    return %0 : tensor<?x?xi32>
  }
}

// -----

// Nothing generates.

// CHECK-LABEL: module attributes {transformer.sizes = {B = [1, 4], S = [1, 64]}}
// CHECK-NOT: @decode
module attributes {transformer.sizes = {B = [1, 4], S = [1, 64]}} {
  func.func @step(%ids: tensor<?x?xi32> {transformer.name = "input_ids", transformer.sizes = ["B", "S"]})
      -> (tensor<?x?xi32> {transformer.name = "y"}) attributes {transformer.program} {
    return %ids : tensor<?x?xi32>
  }
}

// -----

// The program has a decode program already.

// CHECK-LABEL: module attributes {transformer.generation = {decode_program = "one"}
// CHECK-NOT: @decode
module attributes {transformer.generation = {decode_program = "one"}, transformer.sizes = {B = [1, 4], S = [1, 64]}} {
  func.func @step(%ids: tensor<?x?xi32> {transformer.name = "input_ids", transformer.sizes = ["B", "S"]})
      -> (tensor<?x?xi32> {transformer.name = "y"}) attributes {transformer.program} {
    return %ids : tensor<?x?xi32>
  }
}
