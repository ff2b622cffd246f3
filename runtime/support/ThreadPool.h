//===- ThreadPool.h - Workers for grids of independent blocks ----*- C++ -*-===//
//
// A fork-join pool for launches of a few microseconds. The calling thread works too. Workers spin
// for some tens of microseconds after a launch (the next one of a program follows at once), then
// sleep on a futex. Nothing is allocated after create().
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/support/Status.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <pthread.h>
#include <vector>

namespace ingot {

class ThreadPool {
public:
  /// Does the items [begin, end) on worker `worker` (0 is the caller of run()).
  using Body = void (*)(void *context, unsigned worker, int64_t begin, int64_t end);

  /// INGOT_NUM_THREADS if it is set, else the number of CPUs this process may run on.
  static Result<unsigned> defaultThreads();

  /// A pool of `threads` (1 to 1024) workers including the caller: `threads - 1` are started.
  static Result<std::unique_ptr<ThreadPool>> create(unsigned threads);

  ThreadPool(const ThreadPool &) = delete;
  ~ThreadPool();

  unsigned threads() const { return unsigned(workers_.size()) + 1; }

  /// Does the items [0, count) and returns when all are done. One caller at a time. A single item,
  /// or a pool of one, runs inline.
  void run(int64_t count, Body body, void *context);

private:
  struct Worker {
    ThreadPool *pool;
    unsigned index;
    pthread_t thread;
  };

  ThreadPool() = default;
  static void *workerMain(void *argument);
  void work(unsigned worker);
  void drain(unsigned worker);
  void runLarge(int64_t count, Body body, void *context);

  // What is left to claim of the current job, with the job's number in the high half: a worker that
  // wakes late finds either a newer number (its compare-and-swap fails) or nothing left. So the
  // plain fields below are stable whenever a claim succeeds.
  alignas(64) std::atomic<uint64_t> claim_{0};
  std::atomic<Body> body_{nullptr};
  std::atomic<void *> context_{nullptr};
  std::atomic<uint32_t> count_{0};
  alignas(64) std::atomic<uint32_t> done_{0};
  std::atomic<uint32_t> callerWaits_{0};
  alignas(64) std::atomic<uint32_t> wakeups_{0}; // futex word of the sleeping workers
  std::atomic<uint32_t> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::vector<Worker> workers_;
};

} // namespace ingot
