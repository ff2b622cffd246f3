// RUN: ingot-opt %s --widen-after-unpack --split-input-file | FileCheck %s --enable-var-scope

// CHECK-LABEL: func.func @forward(
// CHECK-SAME: %[[X:.*]]: tensor<?x8xf16>, %[[SLOTS:.*]]: tensor<?x?xi32>
// CHECK-NEXT: %[[Y:.*]] = transformer.unpack %[[X]], %[[SLOTS]] : (tensor<?x8xf16>, tensor<?x?xi32>) -> tensor<?x?x8xf16>
// CHECK-NEXT: %[[WIDE:.*]] = arith.extf %[[Y]] : tensor<?x?x8xf16> to tensor<?x?x8xf32>
// CHECK-NEXT: return %[[WIDE]]
func.func @forward(%x: tensor<?x8xf16>, %slots: tensor<?x?xi32>) -> tensor<?x?x8xf32> {
  %0 = arith.extf %x : tensor<?x8xf16> to tensor<?x8xf32>
  %1 = transformer.unpack %0, %slots : (tensor<?x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
  return %1 : tensor<?x?x8xf32>
}

// -----

// What is widened is needed by another, too.

// CHECK-LABEL: func.func @shared(
// CHECK: %[[WIDE:.*]] = arith.extf %{{.*}} : tensor<?x8xf16> to tensor<?x8xf32>
// CHECK: transformer.unpack %{{.*}} -> tensor<?x?x8xf16>
// CHECK: arith.negf %[[WIDE]]
func.func @shared(%x: tensor<?x8xf16>, %slots: tensor<?x?xi32>) -> (tensor<?x?x8xf32>, tensor<?x8xf32>) {
  %0 = arith.extf %x : tensor<?x8xf16> to tensor<?x8xf32>
  %1 = transformer.unpack %0, %slots : (tensor<?x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
  %2 = arith.negf %0 : tensor<?x8xf32>
  return %1, %2 : tensor<?x?x8xf32>, tensor<?x8xf32>
}

// -----

// Nothing is widened.

// CHECK-LABEL: func.func @narrow(
// CHECK-NEXT: transformer.unpack
// CHECK-NEXT: return
func.func @narrow(%x: tensor<?x8xf32>, %slots: tensor<?x?xi32>) -> tensor<?x?x8xf32> {
  %0 = transformer.unpack %x, %slots : (tensor<?x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
  return %0 : tensor<?x?x8xf32>
}
