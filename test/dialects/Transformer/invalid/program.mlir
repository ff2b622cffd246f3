// RUN: ingot-opt %s --split-input-file --verify-diagnostics

// expected-error @+1 {{transformer.sizes: size 'B' must be [min, max], got [8, 1]}}
module attributes {transformer.sizes = {B = [8, 1]}} {
  func.func private @f()
}

// -----

// expected-error @+1 {{transformer.sizes on a module must be a dictionary, got 1 : i64}}
module attributes {transformer.sizes = 1} {
  func.func private @f()
}

// -----

// expected-error @+1 {{transformer.limits: "S" is not a size in transformer.sizes}}
module attributes {transformer.sizes = {B = [1, 8]}, transformer.limits = [{symbols = ["B", "S"], max = 4}]} {
  func.func private @f()
}

// -----

// expected-error @+1 {{transformer.limits: expected {symbols = ["B", ...], max = positive}, got {max = 4 : i64}}}
module attributes {transformer.limits = [{max = 4}]} {
  func.func private @f()
}

// -----

// expected-error @+1 {{transformer.sources: source 'a' needs a shape of sizes, got {shape = [-1]}}}
module attributes {transformer.sources = {"a" = {shape = [-1]}}} {
  func.func private @f()
}

// -----

// expected-error @+1 {{transformer.sources: source 'a' has init "random"; expected "normal", "ones" or "zeros"}}
module attributes {transformer.sources = {"a" = {shape = [1], init = "random"}}} {
  func.func private @f()
}

// -----

// expected-error @+1 {{transformer.sources: source 'a' has std 1 : i64; expected a number}}
module attributes {transformer.sources = {"a" = {shape = [1], std = 1}}} {
  func.func private @f()
}

// -----

// expected-error @+1 {{transformer.sources: source 'a' has aliases [1]; expected strings}}
module attributes {transformer.sources = {"a" = {shape = [1], aliases = [1]}}} {
  func.func private @f()
}

// -----

// expected-error @+1 {{unknown attribute 'transformer.colour' on 'builtin.module'}}
module attributes {transformer.colour = 1} {
  func.func private @f()
}

// -----

// expected-error @+1 {{transformer.program must be a unit attribute of a function}}
module attributes {transformer.program} {}

// -----

module attributes {transformer.sizes = {B = [1, 8]}} {
  // expected-error @+1 {{transformer.sizes must name each dynamic dimension of 'tensor<?x?xi32>', got ["B"]}}
  func.func private @f(%x: tensor<?x?xi32> {transformer.sizes = ["B"]})
}

// -----

module attributes {transformer.sizes = {B = [1, 8]}} {
  // expected-error @+1 {{transformer.sizes: "S" is not a size of the module}}
  func.func private @f(%x: tensor<?x?xi32> {transformer.sizes = ["B", "S"]})
}

// -----

module attributes {transformer.sizes = {B = [1, 8]}} {
  // expected-error @+1 {{transformer.range must be [min, max] on an integer tensor, got [0, 1] on 'tensor<4xf32>'}}
  func.func private @f(%x: tensor<4xf32> {transformer.range = [0, 1]})
}

// -----

module attributes {transformer.sizes = {B = [1, 8]}} {
  // expected-error @+1 {{transformer.range must be [min, max] on an integer tensor, got [2, 1] on 'tensor<4xi32>'}}
  func.func private @f(%x: tensor<4xi32> {transformer.range = [2, 1]})
}

// -----

module attributes {transformer.sizes = {B = [1, 8]}} {
  // expected-error @+1 {{transformer.optional must be an integer on a tensor, got "one" on 'tensor<4xi32>'}}
  func.func private @f(%x: tensor<4xi32> {transformer.optional = "one"})
}

// -----

module attributes {transformer.sizes = {B = [1, 8]}} {
  // expected-error @+1 {{transformer.name must be a name, got ""}}
  func.func private @f(%x: tensor<4xi32> {transformer.name = ""})
}

// -----

module attributes {transformer.sizes = {B = [1, 8]}} {
  // expected-error @+1 {{unknown attribute 'transformer.colour' on a program's argument}}
  func.func private @f(%x: tensor<4xi32> {transformer.colour = 1})
}

// -----

// expected-error @+1 {{unknown attribute 'transformer.range' on a program's result}}
func.func private @f() -> (tensor<4xi32> {transformer.range = [0, 1]})
