// RUN: ingot-opt %s --canonicalize --cse | FileCheck %s --enable-var-scope

exec.target @host kind("host") arch("x86-64-v3")
exec.device @host0 : @host
exec.constant @c0 on @host0 = dense<[1.0, 0.5]> : tensor<2xf32>

// CHECK-LABEL: exec.program @views
exec.program @views symbols(B in [1, 8], S in [1, 512]) {
  // CHECK: %[[X:.*]] = exec.input
  %x = exec.input "x" on @host0 : !exec.buffer<[B, S, 6] x f32>
  // A view of a view is one view.
  // CHECK-NEXT: %[[V:.*]] = exec.view %[[X]] : !exec.buffer<[B, S, 6] x f32> to !exec.buffer<[B * S, 2, 3] x f32>
  %a = exec.view %x : !exec.buffer<[B, S, 6] x f32> to !exec.buffer<[B * S * 6] x f32>
  %b = exec.view %a : !exec.buffer<[B * S * 6] x f32> to !exec.buffer<[B * S, 2, 3] x f32>
  // CHECK-NEXT: exec.output "b" %[[V]]
  exec.output "b" %b : !exec.buffer<[B * S, 2, 3] x f32>
  // A view to the type of the root is the root.
  %c = exec.view %b : !exec.buffer<[B * S, 2, 3] x f32> to !exec.buffer<[B, S, 6] x f32>
  // CHECK-NEXT: exec.output "c" %[[X]]
  exec.output "c" %c : !exec.buffer<[B, S, 6] x f32>
}

// CHECK-LABEL: exec.program @copies
exec.program @copies symbols(B in [1, 8]) {
  %x = exec.input "x" on @host0 : !exec.buffer<[B, 2] x f32>
  // Two buffers of one type are two buffers; one that nobody uses goes.
  // CHECK: %[[Y:.*]] = exec.buffer
  // CHECK: %[[Z:.*]] = exec.buffer
  // CHECK-NOT: exec.buffer on
  %y = exec.buffer on @host0 : !exec.buffer<[B, 2] x f32>
  %z = exec.buffer on @host0 : !exec.buffer<[B, 2] x f32>
  %unused = exec.buffer on @host0 : !exec.buffer<[B, 2] x f32>
  // A copy to itself goes.
  exec.copy %x to %x : !exec.buffer<[B, 2] x f32>
  // CHECK: exec.copy %{{.*}} to %[[Y]]
  // CHECK-NEXT: exec.copy %[[Y]] to %[[Z]]
  exec.copy %x to %y : !exec.buffer<[B, 2] x f32>
  exec.copy %y to %z : !exec.buffer<[B, 2] x f32>
  exec.output "y" %y : !exec.buffer<[B, 2] x f32>
  exec.output "z" %z : !exec.buffer<[B, 2] x f32>
}
