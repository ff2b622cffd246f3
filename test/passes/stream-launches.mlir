// RUN: ingot-opt %s --select-kernels --stream-launches="most-tokens=4 least-launches=2" --verify-roundtrip | FileCheck %s --enable-var-scope
// RUN: ingot-opt %s --select-kernels --stream-launches="most-tokens=4 least-launches=2" --remarks-filter-passed=stream-launches --remarks-filter-missed=stream-launches --remarks-filter-analyse=stream-launches -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: ingot-opt %s --select-kernels --stream-launches | FileCheck %s --check-prefix=NONE
// RUN: ingot-opt %s --select-kernels --stream-launches="most-tokens=4" --remarks-filter-analyse=stream-launches -o /dev/null 2>&1 | FileCheck %s --check-prefix=SHORT
// RUN: ingot-opt %s --select-kernels="alternatives=sm_80" --stream-launches="most-tokens=4 least-launches=2" | FileCheck %s --check-prefix=NONE
// RUN: ingot-opt %s --select-kernels --stream-launches="most-tokens=4 least-launches=2" --plan-memory --verify-exec -o /dev/null

// Launches of few tokens behind each other are the run of a stream: what one gives the next is exchanged, what is read
// or given outside lies where it lay. A run ends where what it exchanges would be needed outside, where the number of
// tokens is another, and at a launch that is no task.

// REMARK: [Passed] Streamed | Category:stream-launches | {{.*}}@run: 4 launches from @up are one grid, @stream_0, of up to 4 tokens
// REMARK: [Missed] NotStreamed | Category:stream-launches | {{.*}}a run of launches ends in front of @up, because what it reads of the run is needed outside, too
// REMARK: [Passed] Streamed | Category:stream-launches | {{.*}}@outside: 2 launches from @up are one grid, @stream_1, of up to 4 tokens
// REMARK: [Passed] Streamed | Category:stream-launches | {{.*}}@outside: 2 launches from @up are one grid, @stream_1, of up to 4 tokens
// REMARK: [Missed] NotStreamed | Category:stream-launches | {{.*}}@widen stays a launch between others, because its results are no rows of 16-bit elements
// REMARK: [Passed] Streamed | Category:stream-launches | {{.*}}@between: 2 launches from @up are one grid, @stream_1
// REMARK: [Missed] NotStreamed | Category:stream-launches | {{.*}}a run of launches ends in front of @up, because its tokens or its device are others
// REMARK: [Analysis] Small | Category:stream-launches | {{.*}}@small: 2 launches from @small_up stay: they read 2097152 bytes of weights, and a stream is worth it from 16777216
// REMARK: [Passed] Streamed | Category:stream-launches | {{.*}}@few: 2 launches from @up are one grid, @stream_2, of up to 2 tokens
// REMARK-NOT: stream-launches

// SHORT: [Analysis] Short | Category:stream-launches | {{.*}}@run: 4 launches from @up stay: a stream is worth it from 8

// NONE-NOT: exec.stream
// NONE-NOT: exchanged

exec.target @cuda kind("cuda") arch("sm_90a")
exec.device @cuda0 : @cuda
exec.source @s.up [8192, 1024] init(ones)
exec.source @s.down [1024, 8192] init(ones)
exec.source @s.small [1024, 512] init(ones)
exec.source @s.small_down [512, 1024] init(ones)
exec.weight @w.up from [@s.up] recipe [#exec.step<load [0]>] on @cuda0 : tensor<8192x1024xbf16>
exec.weight @w.down from [@s.down] recipe [#exec.step<load [0]>] on @cuda0 : tensor<1024x8192xbf16>
exec.weight @w.small from [@s.small] recipe [#exec.step<load [0]>] on @cuda0 : tensor<1024x512xbf16>
exec.weight @w.small_down from [@s.small_down] recipe [#exec.step<load [0]>] on @cuda0 : tensor<512x1024xbf16>
exec.kernel @up for @cuda sizes(d0 in [1, 16])
    (%x: !exec.buffer<[d0, 1024] x bf16>, %w: !exec.buffer<[8192, 1024] x bf16>) -> (!exec.buffer<[d0, 8192] x bf16>) {
  %0 = transformer.linear %x, %w : (tensor<?x1024xbf16>, tensor<8192x1024xbf16>) -> tensor<?x8192xbf16>
  exec.yield %0 : tensor<?x8192xbf16>
}
exec.kernel @down for @cuda sizes(d0 in [1, 16])
    (%x: !exec.buffer<[d0, 8192] x bf16>, %w: !exec.buffer<[1024, 8192] x bf16>, %r: !exec.buffer<[d0, 1024] x bf16>)
    -> (!exec.buffer<[d0, 1024] x bf16>) {
  %0 = transformer.linear %x, %w : (tensor<?x8192xbf16>, tensor<1024x8192xbf16>) -> tensor<?x1024xbf16>
  %1 = arith.addf %0, %r : tensor<?x1024xbf16>
  exec.yield %1 : tensor<?x1024xbf16>
}
exec.kernel @widen for @cuda sizes(d0 in [1, 16])
    (%x: !exec.buffer<[d0, 1024] x bf16>, %w: !exec.buffer<[8192, 1024] x bf16>) -> (!exec.buffer<[d0, 8192] x f32>) {
  %0 = transformer.linear %x, %w : (tensor<?x1024xbf16>, tensor<8192x1024xbf16>) -> tensor<?x8192xbf16>
  %1 = arith.extf %0 : tensor<?x8192xbf16> to tensor<?x8192xf32>
  exec.yield %1 : tensor<?x8192xf32>
}
exec.kernel @small_up for @cuda sizes(d0 in [1, 16])
    (%x: !exec.buffer<[d0, 512] x bf16>, %w: !exec.buffer<[1024, 512] x bf16>) -> (!exec.buffer<[d0, 1024] x bf16>) {
  %0 = transformer.linear %x, %w : (tensor<?x512xbf16>, tensor<1024x512xbf16>) -> tensor<?x1024xbf16>
  exec.yield %0 : tensor<?x1024xbf16>
}
exec.kernel @small_down for @cuda sizes(d0 in [1, 16])
    (%x: !exec.buffer<[d0, 1024] x bf16>, %w: !exec.buffer<[512, 1024] x bf16>) -> (!exec.buffer<[d0, 512] x bf16>) {
  %0 = transformer.linear %x, %w : (tensor<?x1024xbf16>, tensor<512x1024xbf16>) -> tensor<?x512xbf16>
  exec.yield %0 : tensor<?x512xbf16>
}

// CHECK: exec.stream @stream_0 for @cuda tasks [@up, @down] steps 4 most_tokens 4 blocks 132 shared 232448 {description = "4 launches of 2 kernels as one grid, of up to 4 tokens{{.*}}"}
// CHECK: exec.stream @stream_1 for @cuda tasks [@up, @down] steps 2 most_tokens 4
// CHECK: exec.stream @stream_2 for @cuda tasks [@up, @down] steps 2 most_tokens 2

// K of @down is in two parts: the sums of one are exchanged within the launch.
// CHECK-LABEL: exec.program @run
// CHECK: exec.streamed @stream_0 tokens "T" bytes_per_token 43008
// CHECK-NEXT: exec.launch @up {{.*}} exchanged [-1, -1, 0] part 0
// CHECK: exec.launch @down {{.*}} exchanged [0, -1, -1, 16384] part 18432
// CHECK: exec.launch @up {{.*}} exchanged [16384, -1, 22528] part 0
// CHECK: exec.launch @down {{.*}} exchanged [22528, -1, 16384, -1] part 38912
exec.program @run symbols(T in [1, 16]) {
  %x = exec.input "x" on @cuda0 : !exec.buffer<[T, 1024] x bf16>
  %u = exec.get @w.up : !exec.buffer<[8192, 1024] x bf16>
  %d = exec.get @w.down : !exec.buffer<[1024, 8192] x bf16>
  %h0 = exec.buffer on @cuda0 : !exec.buffer<[T, 8192] x bf16>
  exec.launch @up sizes(T) ins(%x, %u : !exec.buffer<[T, 1024] x bf16>, !exec.buffer<[8192, 1024] x bf16>) outs(%h0 : !exec.buffer<[T, 8192] x bf16>)
  %y0 = exec.buffer on @cuda0 : !exec.buffer<[T, 1024] x bf16>
  exec.launch @down sizes(T) ins(%h0, %d, %x : !exec.buffer<[T, 8192] x bf16>, !exec.buffer<[1024, 8192] x bf16>, !exec.buffer<[T, 1024] x bf16>) outs(%y0 : !exec.buffer<[T, 1024] x bf16>)
  %h1 = exec.buffer on @cuda0 : !exec.buffer<[T, 8192] x bf16>
  exec.launch @up sizes(T) ins(%y0, %u : !exec.buffer<[T, 1024] x bf16>, !exec.buffer<[8192, 1024] x bf16>) outs(%h1 : !exec.buffer<[T, 8192] x bf16>)
  %y1 = exec.buffer on @cuda0 : !exec.buffer<[T, 1024] x bf16>
  exec.launch @down sizes(T) ins(%h1, %d, %y0 : !exec.buffer<[T, 8192] x bf16>, !exec.buffer<[1024, 8192] x bf16>, !exec.buffer<[T, 1024] x bf16>) outs(%y1 : !exec.buffer<[T, 1024] x bf16>)
  exec.output "y" %y1 : !exec.buffer<[T, 1024] x bf16>
}

// CHECK-LABEL: exec.program @outside
// CHECK: exec.streamed @stream_1
// CHECK-NEXT: exec.launch @up {{.*}} exchanged [-1, -1, 0]
// CHECK: exec.launch @down {{.*}} exchanged [0, -1, -1, -1]
// CHECK: exec.streamed @stream_1
// CHECK-NEXT: exec.launch @up {{.*}} exchanged [-1, -1, 0]
// CHECK: exec.launch @down {{.*}} exchanged [0, -1, -1, -1]
exec.program @outside symbols(T in [1, 16]) {
  %x = exec.input "x" on @cuda0 : !exec.buffer<[T, 1024] x bf16>
  %u = exec.get @w.up : !exec.buffer<[8192, 1024] x bf16>
  %d = exec.get @w.down : !exec.buffer<[1024, 8192] x bf16>
  %h0 = exec.buffer on @cuda0 : !exec.buffer<[T, 8192] x bf16>
  exec.launch @up sizes(T) ins(%x, %u : !exec.buffer<[T, 1024] x bf16>, !exec.buffer<[8192, 1024] x bf16>) outs(%h0 : !exec.buffer<[T, 8192] x bf16>)
  %y0 = exec.buffer on @cuda0 : !exec.buffer<[T, 1024] x bf16>
  exec.launch @down sizes(T) ins(%h0, %d, %x : !exec.buffer<[T, 8192] x bf16>, !exec.buffer<[1024, 8192] x bf16>, !exec.buffer<[T, 1024] x bf16>) outs(%y0 : !exec.buffer<[T, 1024] x bf16>)
  %h1 = exec.buffer on @cuda0 : !exec.buffer<[T, 8192] x bf16>
  exec.launch @up sizes(T) ins(%y0, %u : !exec.buffer<[T, 1024] x bf16>, !exec.buffer<[8192, 1024] x bf16>) outs(%h1 : !exec.buffer<[T, 8192] x bf16>)
  %y1 = exec.buffer on @cuda0 : !exec.buffer<[T, 1024] x bf16>
  exec.launch @down sizes(T) ins(%h1, %d, %y0 : !exec.buffer<[T, 8192] x bf16>, !exec.buffer<[1024, 8192] x bf16>, !exec.buffer<[T, 1024] x bf16>) outs(%y1 : !exec.buffer<[T, 1024] x bf16>)
  exec.output "y0" %y0 : !exec.buffer<[T, 1024] x bf16>
  exec.output "y1" %y1 : !exec.buffer<[T, 1024] x bf16>
}

// What follows a launch that is no task of a stream is a run of its own, if it has two launches.
// CHECK-LABEL: exec.program @between
// CHECK: exec.streamed @stream_1
// CHECK-NEXT: exec.launch @up
// CHECK: exec.launch @down {{.*}} exchanged
// CHECK: exec.launch @widen
// CHECK-NOT: exchanged
exec.program @between symbols(T in [1, 16]) {
  %x = exec.input "x" on @cuda0 : !exec.buffer<[T, 1024] x bf16>
  %u = exec.get @w.up : !exec.buffer<[8192, 1024] x bf16>
  %d = exec.get @w.down : !exec.buffer<[1024, 8192] x bf16>
  %h0 = exec.buffer on @cuda0 : !exec.buffer<[T, 8192] x bf16>
  exec.launch @up sizes(T) ins(%x, %u : !exec.buffer<[T, 1024] x bf16>, !exec.buffer<[8192, 1024] x bf16>) outs(%h0 : !exec.buffer<[T, 8192] x bf16>)
  %y0 = exec.buffer on @cuda0 : !exec.buffer<[T, 1024] x bf16>
  exec.launch @down sizes(T) ins(%h0, %d, %x : !exec.buffer<[T, 8192] x bf16>, !exec.buffer<[1024, 8192] x bf16>, !exec.buffer<[T, 1024] x bf16>) outs(%y0 : !exec.buffer<[T, 1024] x bf16>)
  %f = exec.buffer on @cuda0 : !exec.buffer<[T, 8192] x f32>
  exec.launch @widen sizes(T) ins(%x, %u : !exec.buffer<[T, 1024] x bf16>, !exec.buffer<[8192, 1024] x bf16>) outs(%f : !exec.buffer<[T, 8192] x f32>)
  %h1 = exec.buffer on @cuda0 : !exec.buffer<[T, 8192] x bf16>
  exec.launch @up sizes(T) ins(%y0, %u : !exec.buffer<[T, 1024] x bf16>, !exec.buffer<[8192, 1024] x bf16>) outs(%h1 : !exec.buffer<[T, 8192] x bf16>)
  exec.output "f" %f : !exec.buffer<[T, 8192] x f32>
  exec.output "h" %h1 : !exec.buffer<[T, 8192] x bf16>
}

// CHECK-LABEL: exec.program @tokens
// CHECK-NOT: exchanged
exec.program @tokens symbols(T in [1, 16], U in [1, 16]) {
  %x = exec.input "x" on @cuda0 : !exec.buffer<[T, 1024] x bf16>
  %y = exec.input "y" on @cuda0 : !exec.buffer<[U, 1024] x bf16>
  %u = exec.get @w.up : !exec.buffer<[8192, 1024] x bf16>
  %h0 = exec.buffer on @cuda0 : !exec.buffer<[T, 8192] x bf16>
  exec.launch @up sizes(T) ins(%x, %u : !exec.buffer<[T, 1024] x bf16>, !exec.buffer<[8192, 1024] x bf16>) outs(%h0 : !exec.buffer<[T, 8192] x bf16>)
  %h1 = exec.buffer on @cuda0 : !exec.buffer<[U, 8192] x bf16>
  exec.launch @up sizes(U) ins(%y, %u : !exec.buffer<[U, 1024] x bf16>, !exec.buffer<[8192, 1024] x bf16>) outs(%h1 : !exec.buffer<[U, 8192] x bf16>)
  exec.output "h0" %h0 : !exec.buffer<[T, 8192] x bf16>
  exec.output "h1" %h1 : !exec.buffer<[U, 8192] x bf16>
}

// CHECK-LABEL: exec.program @small
// CHECK-NOT: exchanged
exec.program @small symbols(T in [1, 16]) {
  %x = exec.input "x" on @cuda0 : !exec.buffer<[T, 512] x bf16>
  %u = exec.get @w.small : !exec.buffer<[1024, 512] x bf16>
  %d = exec.get @w.small_down : !exec.buffer<[512, 1024] x bf16>
  %h0 = exec.buffer on @cuda0 : !exec.buffer<[T, 1024] x bf16>
  exec.launch @small_up sizes(T) ins(%x, %u : !exec.buffer<[T, 512] x bf16>, !exec.buffer<[1024, 512] x bf16>) outs(%h0 : !exec.buffer<[T, 1024] x bf16>)
  %y0 = exec.buffer on @cuda0 : !exec.buffer<[T, 512] x bf16>
  exec.launch @small_down sizes(T) ins(%h0, %d : !exec.buffer<[T, 1024] x bf16>, !exec.buffer<[512, 1024] x bf16>) outs(%y0 : !exec.buffer<[T, 512] x bf16>)
  exec.output "y" %y0 : !exec.buffer<[T, 512] x bf16>
}

// There are never more tokens than the symbol's maximum.
// CHECK-LABEL: exec.program @few
// CHECK: exec.streamed @stream_2 tokens "T"
exec.program @few symbols(T in [1, 2]) {
  %x = exec.input "x" on @cuda0 : !exec.buffer<[T, 1024] x bf16>
  %u = exec.get @w.up : !exec.buffer<[8192, 1024] x bf16>
  %d = exec.get @w.down : !exec.buffer<[1024, 8192] x bf16>
  %h0 = exec.buffer on @cuda0 : !exec.buffer<[T, 8192] x bf16>
  exec.launch @up sizes(T) ins(%x, %u : !exec.buffer<[T, 1024] x bf16>, !exec.buffer<[8192, 1024] x bf16>) outs(%h0 : !exec.buffer<[T, 8192] x bf16>)
  %y0 = exec.buffer on @cuda0 : !exec.buffer<[T, 1024] x bf16>
  exec.launch @down sizes(T) ins(%h0, %d, %x : !exec.buffer<[T, 8192] x bf16>, !exec.buffer<[1024, 8192] x bf16>, !exec.buffer<[T, 1024] x bf16>) outs(%y0 : !exec.buffer<[T, 1024] x bf16>)
  exec.output "y" %y0 : !exec.buffer<[T, 1024] x bf16>
}
