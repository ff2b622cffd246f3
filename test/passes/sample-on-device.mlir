// RUN: ingot-opt %s --sample-on-device --split-input-file | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --sample-on-device --specialize-decode --split-input-file | FileCheck %s --check-prefix=DECODE

// The generation loop's program gets ports for options, state for the tokens that it was fed, and tokens.

// CHECK: module attributes {transformer.generation = {program = "step", sampling = {tokens = "tokens"}}
// DECODE: transformer.generation = {decode_program = "decode", program = "step", sampling = {tokens = "tokens"}}
module attributes {transformer.generation = {program = "step"},
                   transformer.sizes = {B = [1, 4], S = [1, 64]}} {
  // CHECK-LABEL: func.func @step
  // CHECK-SAME: %[[IDS:[a-z0-9]+]]: tensor<?x?xi32> {transformer.name = "input_ids"
  // CHECK-SAME: %[[NUM:[a-z0-9]+]]: tensor<?xi32> {transformer.name = "num_tokens"
  // CHECK-SAME: %[[PAST:[a-z0-9]+]]: tensor<?xi32> {transformer.name = "past_tokens"
  // CHECK-SAME: %[[SLOT:[a-z0-9]+]]: tensor<?xi32> {transformer.name = "slot", transformer.optional = 0 : i64, transformer.range = [0, 3], transformer.sizes = ["B"]}
  // CHECK-SAME: %[[T:[a-z0-9]+]]: tensor<?xf32> {transformer.name = "temperature", transformer.optional = 0 : i64, transformer.sizes = ["B"]}
  // CHECK-SAME: %[[K:[a-z0-9]+]]: tensor<?xi32> {transformer.name = "top_k", transformer.optional = 0 : i64
  // CHECK-SAME: %[[P:[a-z0-9]+]]: tensor<?xf32> {transformer.name = "top_p", transformer.optional = 1 : i64
  // CHECK-SAME: %[[Q:[a-z0-9]+]]: tensor<?xf32> {transformer.name = "min_p", transformer.optional = 0 : i64
  // CHECK-SAME: %[[R:[a-z0-9]+]]: tensor<?xf32> {transformer.name = "repetition_penalty", transformer.optional = 1 : i64
  // CHECK-SAME: %[[SEED:[a-z0-9]+]]: tensor<?xi64> {transformer.name = "seed", transformer.optional = 0 : i64
  // CHECK-SAME: %[[DRAW:[a-z0-9]+]]: tensor<?xi64> {transformer.name = "draw", transformer.optional = 0 : i64
  // CHECK-SAME: %[[SEEN:[a-z0-9]+]]: tensor<4x9xi1> {transformer.state = "sampling.seen"}
  // CHECK-SAME: -> (tensor<?x9xf32> {transformer.name = "logits"}, tensor<?xi32> {transformer.name = "tokens"}, tensor<4x9xi1> {transformer.state = "sampling.seen"})
  // CHECK: %[[LOGITS:.*]] = arith.addf
  // CHECK: %[[MARKED:.*]] = transformer.mark_tokens %[[SEEN]], %[[IDS]], %[[NUM]], %[[PAST]], %[[SLOT]]
  // CHECK: %[[TOKENS:.*]] = transformer.sample %[[LOGITS]] seen(%[[MARKED]], %[[SLOT]]) temperature(%[[T]]) top_k(%[[K]]) top_p(%[[P]]) min_p(%[[Q]]) repetition_penalty(%[[R]]) random(%[[SEED]], %[[DRAW]])
  // CHECK: return %[[LOGITS]], %[[TOKENS]], %[[MARKED]]
  // DECODE: func.func @decode({{.*}}"draw"
  // DECODE: transformer.sample
  func.func @step(%ids: tensor<?x?xi32> {transformer.name = "input_ids", transformer.sizes = ["B", "S"]},
                  %num: tensor<?xi32> {transformer.name = "num_tokens", transformer.sizes = ["B"]},
                  %past: tensor<?xi32> {transformer.name = "past_tokens", transformer.sizes = ["B"]},
                  %x: tensor<?x9xf32> {transformer.name = "x", transformer.sizes = ["B"]})
      -> (tensor<?x9xf32> {transformer.name = "logits"}) attributes {transformer.program} {
    %0 = arith.addf %x, %x : tensor<?x9xf32>
    return %0 : tensor<?x9xf32>
  }
}

// -----

// A port of that name is there already.

// CHECK-NOT: sampling
// CHECK-NOT: transformer.sample
// CHECK: return
module attributes {transformer.generation = {program = "step"},
                   transformer.sizes = {B = [1, 4], S = [1, 64]}} {
  func.func @step(%ids: tensor<?x?xi32> {transformer.name = "input_ids", transformer.sizes = ["B", "S"]},
                  %num: tensor<?xi32> {transformer.name = "num_tokens", transformer.sizes = ["B"]},
                  %past: tensor<?xi32> {transformer.name = "past_tokens", transformer.sizes = ["B"]},
                  %x: tensor<?x9xf32> {transformer.name = "seed", transformer.sizes = ["B"]})
      -> (tensor<?x9xf32> {transformer.name = "logits"}) attributes {transformer.program} {
    return %x : tensor<?x9xf32>
  }
}

// -----

// Nothing generates.

// CHECK-LABEL: func.func @forward
// CHECK-NOT: transformer.sample
// CHECK: return
module attributes {transformer.sizes = {B = [1, 4], S = [1, 64]}} {
  func.func @forward(%x: tensor<?x9xf32> {transformer.name = "x", transformer.sizes = ["B"]})
      -> (tensor<?x9xf32> {transformer.name = "logits"}) attributes {transformer.program} {
    return %x : tensor<?x9xf32>
  }
}
