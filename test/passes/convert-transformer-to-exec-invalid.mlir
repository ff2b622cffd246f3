// RUN: ingot-opt %s --convert-transformer-to-exec --split-input-file --verify-diagnostics

module {
  // expected-error @+1 {{expects a module of programs: func.func with 'transformer.program'}}
  func.func @f() {
    return
  }
}

// -----

module attributes {transformer.sizes = {B = [1, 8]}} {
  // expected-error @+1 {{expects the names of 2 dynamic dimensions in 'transformer.sizes' of argument 0, got 0}}
  func.func @f(%x: tensor<?x?xf32> {transformer.name = "x"}) attributes {transformer.program} {
    return
  }
}

// -----

module {
  // expected-error @+1 {{expects bounds [min, max] of size "B" in 'transformer.sizes' of the module}}
  func.func @f(%x: tensor<?xf32> {transformer.name = "x", transformer.sizes = ["B"]}) attributes {transformer.program} {
    return
  }
}

// -----

// A size that is no product of symbols.
module attributes {transformer.sizes = {B = [1, 8]}} {
  func.func @f(%x: tensor<?xf32> {transformer.name = "x", transformer.sizes = ["B"]})
      -> (tensor<?xf32> {transformer.name = "y"}) attributes {transformer.program} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %d = tensor.dim %x, %c0 : tensor<?xf32>
    %e = arith.addi %d, %c1 : index
    %f = arith.constant 0.0 : f32
    // expected-error @+1 {{expects dimensions that are products of the program's sizes}}
    %s = tensor.splat %f[%e] : tensor<?xf32>
    return %s : tensor<?xf32>
  }
}

// -----

module {
  func.func @f(%x: tensor<4xf32> {transformer.name = "x"}) -> (tensor<4xf32> {transformer.name = "y"})
      attributes {transformer.program} {
    %c0 = arith.constant 0 : index
    // expected-error @+1 {{expects ranked tensors as results in a program}}
    %e = tensor.extract %x[%c0] : tensor<4xf32>
    %s = tensor.splat %e : tensor<4xf32>
    return %s : tensor<4xf32>
  }
}

// -----

module {
  // expected-error @+1 {{expects ranked tensors as results, got 'f32' as result 1}}
  func.func @f(%x: tensor<4xf32> {transformer.name = "x"})
      -> (tensor<4xf32> {transformer.name = "y"}, f32 {transformer.name = "z"}) attributes {transformer.program} {
    %z = arith.constant 1.0 : f32
    return %x, %z : tensor<4xf32>, f32
  }
}

// -----

// A state that is read behind its update: its old bytes are gone.
module attributes {transformer.sizes = {B = [1, 8], S = [1, 512], NB = [1, 32]}} {
  func.func @f(%k: tensor<9x2x4x8xf32> {transformer.state = "k"},
               %x: tensor<?x2x?x8xf32> {transformer.name = "x", transformer.sizes = ["B", "S"]},
               %table: tensor<?x?xi32> {transformer.name = "t", transformer.sizes = ["B", "NB"]},
               %past: tensor<?xi32> {transformer.name = "past", transformer.sizes = ["B"]})
      -> (tensor<?x2x?x8xf32> {transformer.name = "y"}, tensor<9x2x4x8xf32> {transformer.state = "k"})
      attributes {transformer.program} {
    %new = transformer.cache_append %k, %x, %table, %past, %past
        : (tensor<9x2x4x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x2x4x8xf32>
    // expected-error @+1 {{reads a state after it was updated}}
    %c = transformer.cache_gather %k, %table : (tensor<9x2x4x8xf32>, tensor<?x?xi32>) -> tensor<?x2x?x8xf32>
    return %c, %new : tensor<?x2x?x8xf32>, tensor<9x2x4x8xf32>
  }
}
