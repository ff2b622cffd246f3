// RUN: ingot-opt %s --allow-unregistered-dialect | FileCheck %s --enable-var-scope

// Sizes have one form: symbols sorted, factor and divisor reduced, constants folded.

// CHECK: #exec.size<B * S * 384>
"test.size"() {size = #exec.size<384 * S * B>} : () -> ()
// CHECK: #exec.size<S * 3 ceildiv 2>
"test.size"() {size = #exec.size<S * 12 ceildiv 8>} : () -> ()
// CHECK: #exec.size<S * 4>
"test.size"() {size = #exec.size<S * 8 ceildiv 2>} : () -> ()
// CHECK: #exec.size<3>
"test.size"() {size = #exec.size<5 ceildiv 2>} : () -> ()
// CHECK: #exec.size<0>
"test.size"() {size = #exec.size<0 * S ceildiv 7>} : () -> ()
// CHECK: !exec.buffer<[] x i1>
"test.type"() {type = !exec.buffer<[] x i1>} : () -> ()
