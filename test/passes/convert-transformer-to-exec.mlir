// RUN: ingot-opt %s --convert-transformer-to-exec --split-input-file | FileCheck %s --enable-var-scope

// Elementwise ops join the kernel that makes what they read; two equal layers share one kernel.

// CHECK-LABEL: module {
// CHECK: exec.target @host kind("host") arch("x86-64-v3")
// CHECK-NEXT: exec.device @host0 : @host
// CHECK-NEXT: exec.source @a [16, 16] init(normal, 2.000000e-02)
// CHECK-NEXT: exec.source @b [16] init(zeros) {aliases = ["bias"]}
// CHECK-NEXT: exec.weight @w.a from [@a] recipe [#exec.step<load [0]>] on @host0 : tensor<16x16xf32>
// CHECK-NEXT: exec.weight @w.b from [@b]

// CHECK: exec.kernel @linear_activation_addf for @host sizes(d0 in [1, 8], d1 in [1, 512])
// CHECK-SAME: (%[[X:.*]]: !exec.buffer<[d0, d1, 16] x f32>, %[[W:.*]]: !exec.buffer<[16, 16] x f32>, %[[B:.*]]: !exec.buffer<[16] x f32>) -> (!exec.buffer<[d0, d1, 16] x f32>)
// CHECK-NEXT: %[[L:.*]] = transformer.linear %[[X]], %[[W]], %[[B]]
// CHECK-NEXT: %[[A:.*]] = transformer.activation gelu %[[L]]
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[A]], %[[X]]
// CHECK-NEXT: exec.yield %[[S]]
// CHECK-NOT: exec.kernel

// CHECK: exec.program @forward symbols(B in [1, 8], S in [1, 512]) limits(B * S <= 2048)
// CHECK-NEXT: %[[IN:.*]] = exec.input "x" on @host0 : !exec.buffer<[B, S, 16] x f32>
// CHECK-NEXT: %[[WA:.*]] = exec.get @w.a
// CHECK-NEXT: %[[WB:.*]] = exec.get @w.b
// CHECK-NEXT: %[[B0:.*]] = exec.buffer on @host0 : !exec.buffer<[B, S, 16] x f32>
// CHECK-NEXT: exec.launch @linear_activation_addf sizes(B, S) ins(%[[IN]], %[[WA]], %[[WB]] : {{.*}}) outs(%[[B0]] : {{.*}})
// CHECK-NEXT: %[[B1:.*]] = exec.buffer
// CHECK-NEXT: exec.launch @linear_activation_addf sizes(B, S) ins(%[[B0]], %[[WA]], %[[WB]] : {{.*}}) outs(%[[B1]] : {{.*}})
// CHECK-NEXT: exec.output "y" %[[B1]]
module attributes {
  transformer.sizes = {B = [1, 8], S = [1, 512], NB = [1, 4]},
  transformer.limits = [{symbols = ["B", "S"], max = 2048}, {symbols = ["B", "NB"], max = 4}],
  transformer.sources = {"a" = {shape = [16, 16], init = "normal", std = 0.02, aliases = []},
                         "b" = {shape = [16], init = "zeros", aliases = ["bias"]}}} {
  func.func @forward(%x: tensor<?x?x16xf32> {transformer.name = "x", transformer.sizes = ["B", "S"]})
      -> (tensor<?x?x16xf32> {transformer.name = "y"}) attributes {transformer.program} {
    %w = transformer.weight ["a"] [load 0] : tensor<16x16xf32>
    %b = transformer.weight ["b"] [load 0] : tensor<16xf32>
    %0 = transformer.linear %x, %w, %b : (tensor<?x?x16xf32>, tensor<16x16xf32>, tensor<16xf32>) -> tensor<?x?x16xf32>
    %1 = transformer.activation gelu %0 : (tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
    %2 = arith.addf %1, %x : tensor<?x?x16xf32>
    %3 = transformer.linear %2, %w, %b : (tensor<?x?x16xf32>, tensor<16x16xf32>, tensor<16xf32>) -> tensor<?x?x16xf32>
    %4 = transformer.activation gelu %3 : (tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
    %5 = arith.addf %4, %2 : tensor<?x?x16xf32>
    return %5 : tensor<?x?x16xf32>
  }
}

// -----

// Scores: the scale is a splat of the scores' own sizes, and is copied into the kernel; the mask is
// read in another order, which an epilogue may. Softmax starts a kernel.

// CHECK-LABEL: exec.kernel @matmul_mulf_apply_mask
// CHECK: transformer.matmul
// CHECK: tensor.splat
// CHECK: arith.mulf
// CHECK: transformer.apply_mask
// CHECK: exec.kernel @softmax
// CHECK: exec.program
module attributes {transformer.sizes = {B = [1, 8], S = [1, 512]}} {
  func.func @scores(%q: tensor<?x12x?x32xf32> {transformer.name = "q", transformer.sizes = ["B", "S"]},
                    %mask: tensor<?x?x?xi1> {transformer.name = "mask", transformer.sizes = ["B", "S", "S"]})
      -> (tensor<?x12x?x?xf32> {transformer.name = "p"}) attributes {transformer.program} {
    %s = transformer.matmul %q, %q {transpose_rhs} : (tensor<?x12x?x32xf32>, tensor<?x12x?x32xf32>) -> tensor<?x12x?x?xf32>
    %c0 = arith.constant 0 : index
    %c2 = arith.constant 2 : index
    %c3 = arith.constant 3 : index
    %b = tensor.dim %s, %c0 : tensor<?x12x?x?xf32>
    %m = tensor.dim %s, %c2 : tensor<?x12x?x?xf32>
    %n = tensor.dim %s, %c3 : tensor<?x12x?x?xf32>
    %scale = arith.constant 0.125 : f32
    %splat = tensor.splat %scale[%b, %m, %n] : tensor<?x12x?x?xf32>
    %scaled = arith.mulf %s, %splat : tensor<?x12x?x?xf32>
    %masked = transformer.apply_mask %scaled, %mask : (tensor<?x12x?x?xf32>, tensor<?x?x?xi1>) -> tensor<?x12x?x?xf32>
    %p = transformer.softmax %masked : (tensor<?x12x?x?xf32>) -> tensor<?x12x?x?xf32>
    return %p : tensor<?x12x?x?xf32>
  }
}

// -----

// What is used twice is made once: the activation doesn't join its producer. What has another
// iteration space doesn't either.

// CHECK-LABEL: exec.kernel @linear for
// CHECK: exec.kernel @activation
// CHECK: exec.program @shared
module attributes {transformer.sizes = {B = [1, 8]}} {
  func.func @shared(%x: tensor<?x16xf32> {transformer.name = "x", transformer.sizes = ["B"]},
                    %w: tensor<16x16xf32> {transformer.name = "w"})
      -> (tensor<?x16xf32> {transformer.name = "y"}, tensor<?x16xf32> {transformer.name = "z"})
      attributes {transformer.program} {
    %0 = transformer.linear %x, %w : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
    %1 = transformer.activation silu %0 : (tensor<?x16xf32>) -> tensor<?x16xf32>
    return %0, %1 : tensor<?x16xf32>, tensor<?x16xf32>
  }
}

// -----

// Reshapes are views of the same bytes; a table is a constant; an output that is no arena buffer is
// copied.

// CHECK-LABEL: exec.constant @c0 on @host0 = dense<{{.*}}> : tensor<2x2xf32>
// CHECK: exec.kernel @negf for @host sizes(d0 in [1, 8], d1 in [1, 512])(%{{.*}}: !exec.buffer<[d0 * d1, 4] x f32>)
// CHECK: exec.program @views
// CHECK: %[[X:.*]] = exec.input
// CHECK: %[[C:.*]] = exec.get @c0
// CHECK: %[[V:.*]] = exec.view %[[X]] : !exec.buffer<[B, S, 4] x f32> to !exec.buffer<[B * S, 4] x f32>
// CHECK: %[[N:.*]] = exec.buffer
// CHECK: exec.launch @negf sizes(B, S) ins(%[[V]] : {{.*}}) outs(%[[N]] : {{.*}})
// CHECK: %[[E:.*]] = exec.view %[[N]] : !exec.buffer<[B * S, 4] x f32> to !exec.buffer<[B, S, 4] x f32>
// CHECK: exec.output "y" %[[E]]
// CHECK: exec.output "x" %[[X]]
// CHECK: %[[T:.*]] = exec.buffer on @host0 : !exec.buffer<[2, 2] x f32>
// CHECK: exec.copy %[[C]] to %[[T]]
// CHECK: exec.output "table" %[[T]]
module attributes {transformer.sizes = {B = [1, 8], S = [1, 512]}} {
  func.func @views(%x: tensor<?x?x4xf32> {transformer.name = "x", transformer.sizes = ["B", "S"]})
      -> (tensor<?x?x4xf32> {transformer.name = "y"}, tensor<?x?x4xf32> {transformer.name = "x"},
          tensor<2x2xf32> {transformer.name = "table"}) attributes {transformer.program} {
    %table = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
    %0 = tensor.collapse_shape %x [[0, 1], [2]] : tensor<?x?x4xf32> into tensor<?x4xf32>
    %1 = arith.negf %0 : tensor<?x4xf32>
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %b = tensor.dim %x, %c0 : tensor<?x?x4xf32>
    %s = tensor.dim %x, %c1 : tensor<?x?x4xf32>
    %2 = tensor.expand_shape %1 [[0, 1], [2]] output_shape [%b, %s, 4] : tensor<?x4xf32> into tensor<?x?x4xf32>
    return %2, %x, %table : tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<2x2xf32>
  }
}

// -----

// State is updated in place; sizes are products (C = NB * 4). Ports keep range, fill and names.

// CHECK-LABEL: module attributes {exec.generation = {block_size = 4 : i64}, exec.model = {type = "llama"}}
// CHECK: exec.state @kv.k.0 on @host0 : tensor<9x2x4x8xf32>
// CHECK: exec.kernel @cache_append
// CHECK-SAME: (%[[CACHE:[^:]*]]: !exec.buffer<[9, 2, 4, 8] x f32>
// CHECK-SAME: -> (!exec.buffer<[9, 2, 4, 8] x f32> updates %[[CACHE]])
// CHECK: exec.kernel @cache_gather
// CHECK-SAME: -> (!exec.buffer<[d0, 2, d1 * 4, 8] x f32>)
// CHECK: exec.program @step
// CHECK: %[[K:.*]] = exec.get @kv.k.0
// CHECK: %[[TABLE:.*]] = exec.input "block_table" on @host0 range [0, 8] : !exec.buffer<[B, NB] x i32>
// CHECK: exec.input "past" on @host0 fill 0 : !exec.buffer<[B] x i32>
// CHECK-NOT: exec.buffer on
// CHECK: exec.launch @cache_append {{.*}}ins(%[[K]], {{.*}})
// CHECK-NEXT: %[[G:.*]] = exec.buffer on @host0 : !exec.buffer<[B, 2, NB * 4, 8] x f32>
// CHECK-NEXT: exec.launch @cache_gather sizes(B, NB) ins(%[[K]], %[[TABLE]] : {{.*}}) outs(%[[G]] : {{.*}})
// CHECK-NEXT: exec.output "context" %[[G]]
// CHECK-NOT: exec.copy
module attributes {transformer.sizes = {B = [1, 8], S = [1, 512], NB = [1, 32]},
                   transformer.model = {type = "llama"}, transformer.generation = {block_size = 4}} {
  func.func @step(%k: tensor<9x2x4x8xf32> {transformer.state = "kv.k.0"},
                  %x: tensor<?x2x?x8xf32> {transformer.name = "x", transformer.sizes = ["B", "S"]},
                  %table: tensor<?x?xi32> {transformer.name = "block_table", transformer.sizes = ["B", "NB"], transformer.range = [0, 8]},
                  %past: tensor<?xi32> {transformer.name = "past", transformer.sizes = ["B"], transformer.optional = 0},
                  %num: tensor<?xi32> {transformer.name = "num", transformer.sizes = ["B"]})
      -> (tensor<?x2x?x8xf32> {transformer.name = "context"}, tensor<9x2x4x8xf32> {transformer.state = "kv.k.0"})
      attributes {transformer.program} {
    %new = transformer.cache_append %k, %x, %table, %past, %num
        : (tensor<9x2x4x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<9x2x4x8xf32>
    %c = transformer.cache_gather %new, %table : (tensor<9x2x4x8xf32>, tensor<?x?xi32>) -> tensor<?x2x?x8xf32>
    return %c, %new : tensor<?x2x?x8xf32>, tensor<9x2x4x8xf32>
  }
}

// -----

// A new value of a state that isn't made in place is copied into it at the end.

// CHECK-LABEL: exec.program @accumulate
// CHECK: %[[S:.*]] = exec.get @sum
// CHECK: %[[N:.*]] = exec.buffer
// CHECK: exec.launch @addf sizes() ins(%[[S]], %{{.*}} : {{.*}}) outs(%[[N]]
// CHECK: %[[T:.*]] = exec.get @sum
// CHECK: exec.copy %[[N]] to %[[T]]
module {
  func.func @accumulate(%sum: tensor<4xf32> {transformer.state = "sum"},
                        %x: tensor<4xf32> {transformer.name = "x"})
      -> (tensor<4xf32> {transformer.state = "sum"}) attributes {transformer.program} {
    %0 = arith.addf %sum, %x : tensor<4xf32>
    return %0 : tensor<4xf32>
  }
}

// -----

// Columns of a tensor are copied into the kernels that read them, which get the wide buffer: no copy and
// no kernel. Columns that are a result, or are taken of a range of rows as well, are a kernel.

// CHECK: exec.kernel @extract_slice
// CHECK: exec.kernel @addf for @host sizes(d0 in [1, 8])
// CHECK-SAME: (%[[WIDE:.*]]: !exec.buffer<[d0, 12] x f32>) -> (!exec.buffer<[d0, 4] x f32>)
// CHECK-DAG: tensor.extract_slice %[[WIDE]][0, 0] [%{{.*}}, 4] [1, 1]
// CHECK-DAG: tensor.extract_slice %[[WIDE]][0, 4] [%{{.*}}, 4] [1, 1]
// CHECK: arith.addf
// CHECK: exec.program @columns
// CHECK: exec.launch @extract_slice sizes(B) ins(%[[QKV:[0-9]*]] :
// CHECK: exec.launch @addf sizes(B) ins(%[[QKV]] :
// CHECK-NOT: exec.launch
module attributes {transformer.sizes = {B = [1, 8]}} {
  func.func @columns(%qkv: tensor<?x12xf32> {transformer.name = "qkv", transformer.sizes = ["B"]})
      -> (tensor<?x4xf32> {transformer.name = "sum"}, tensor<?x4xf32> {transformer.name = "v"})
      attributes {transformer.program} {
    %c0 = arith.constant 0 : index
    %b = tensor.dim %qkv, %c0 : tensor<?x12xf32>
    %q = tensor.extract_slice %qkv[0, 0] [%b, 4] [1, 1] : tensor<?x12xf32> to tensor<?x4xf32>
    %k = tensor.extract_slice %qkv[0, 4] [%b, 4] [1, 1] : tensor<?x12xf32> to tensor<?x4xf32>
    %v = tensor.extract_slice %qkv[0, 8] [%b, 4] [1, 1] : tensor<?x12xf32> to tensor<?x4xf32>
    %s = arith.addf %q, %k : tensor<?x4xf32>
    return %s, %v : tensor<?x4xf32>, tensor<?x4xf32>
  }
}
