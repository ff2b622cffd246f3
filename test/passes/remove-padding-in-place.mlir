// RUN: ingot-opt %s --remove-padding --canonicalize --cse --convert-transformer-to-exec --select-kernels --plan-memory --verify-exec | FileCheck %s --enable-var-scope

// What is unpacked to be returned is unpacked last, over the packed tokens themselves: one buffer of the
// batch's size, though its tokens are read by two.
module attributes {transformer.sizes = {B = [1, 8], S = [1, 64]},
                   transformer.limits = [{symbols = ["B", "S"], max = 256}]} {
  // CHECK: exec.kernel @[[UNPACK:unpack.*]] for @host
  // CHECK-SAME: in_place = [array<i64: 0>]
  // CHECK: exec.program @encoder
  // CHECK: %[[X:.*]] = exec.buffer {{.*}}offset = [[OFFSET:[0-9]+]] : i64{{.*}} : !exec.buffer<[T, 8] x f32>
  // CHECK: exec.launch {{.*}} outs(%[[X]] :
  // CHECK: exec.launch @packed_mean_pool{{.*}} ins(%[[X]],
  // CHECK: %[[Y:.*]] = exec.buffer {{.*}}offset = [[OFFSET]] : i64{{.*}} : !exec.buffer<[B, S, 8] x f32>
  // CHECK: exec.launch @[[UNPACK]]{{.*}} ins(%[[X]], {{.*}} outs(%[[Y]] :
  // CHECK: exec.output "y" %[[Y]]
  func.func @encoder(%ids: tensor<?x?xi32> {transformer.name = "ids", transformer.sizes = ["B", "S"]},
                     %mask: tensor<?x?xi1> {transformer.name = "mask", transformer.sizes = ["B", "S"]})
      -> (tensor<?x?x8xf32> {transformer.name = "y"}, tensor<?x8xf32> {transformer.name = "pooled"})
      attributes {transformer.program} {
    %table = arith.constant dense<0.5> : tensor<50x8xf32>
    %0 = transformer.embedding %table, %ids : (tensor<50x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
    %1 = transformer.mean_pool %0, %mask : (tensor<?x?x8xf32>, tensor<?x?xi1>) -> tensor<?x8xf32>
    return %0, %1 : tensor<?x?x8xf32>, tensor<?x8xf32>
  }
}
