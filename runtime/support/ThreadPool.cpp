//===- ThreadPool.cpp -------------------------------------------*- C++ -*-===//
#include "runtime/support/ThreadPool.h"

#include "runtime/support/Text.h"

#include <algorithm>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ingot {

// How long a worker looks for the next launch before it sleeps, and the caller for the last block:
// about 50 microseconds, several times what a futex wake-up costs.
static constexpr int kSpins = 1000;
static constexpr unsigned kMostThreads = 1024;

static void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

static void futexWait(std::atomic<uint32_t> &word, uint32_t expected) {
  ::syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAIT_PRIVATE, expected, nullptr,
            nullptr, 0);
}

static void futexWake(std::atomic<uint32_t> &word, int count) {
  ::syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAKE_PRIVATE, count, nullptr,
            nullptr, 0);
}

Result<unsigned> ThreadPool::defaultThreads() {
  if (const char *setting = std::getenv("INGOT_NUM_THREADS"); setting && *setting) {
    unsigned value = 0;
    const char *end = setting + std::strlen(setting);
    auto result = std::from_chars(setting, end, value);
    if (result.ec != std::errc() || result.ptr != end || value < 1 || value > kMostThreads)
      return Status(ExitCode::Usage, text("INGOT_NUM_THREADS: expected a number from 1 to ",
                                          kMostThreads, ", got ", quoted(setting)));
    return value;
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  long online = ::sched_getaffinity(0, sizeof set, &set) == 0 ? long(CPU_COUNT(&set))
                                                              : ::sysconf(_SC_NPROCESSORS_ONLN);
  return unsigned(std::clamp(online, 1L, long(kMostThreads)));
}

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(unsigned threads) {
  if (threads < 1 || threads > kMostThreads)
    return Status(ExitCode::Usage,
                  text("threads: expected 1 to ", kMostThreads, ", got ", threads));
  std::unique_ptr<ThreadPool> pool(new ThreadPool);
  // Workers keep pointers into this vector: it never grows.
  pool->workers_.reserve(threads - 1);
  for (unsigned i = 1; i < threads; ++i) {
    pool->workers_.push_back({pool.get(), i, pthread_t()});
    int error = ::pthread_create(&pool->workers_.back().thread, nullptr, workerMain,
                                 &pool->workers_.back());
    if (error != 0) {
      pool->workers_.pop_back();
      return Status(ExitCode::OutOfResources, text("cannot start thread ", i + 1, " of ", threads,
                                                   ": ", std::strerror(error)));
    }
  }
  return pool;
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  wakeups_.fetch_add(1);
  futexWake(wakeups_, INT_MAX);
  for (Worker &worker : workers_)
    ::pthread_join(worker.thread, nullptr);
}

void *ThreadPool::workerMain(void *argument) {
  auto *worker = static_cast<Worker *>(argument);
  worker->pool->work(worker->index);
  return nullptr;
}

void ThreadPool::work(unsigned worker) {
  for (;;) {
    int spins = 0;
    while (uint32_t(claim_.load(std::memory_order_acquire)) == 0 && spins < kSpins) {
      relax();
      ++spins;
    }
    if (spins == kSpins) {
      // Announce the sleep, then look once more: the caller publishes its job before it reads
      // sleepers_, so one of the two sees the other (both sides are sequentially consistent).
      uint32_t ticket = wakeups_.load();
      sleepers_.fetch_add(1);
      if (uint32_t(claim_.load()) == 0 && !stop_.load())
        futexWait(wakeups_, ticket);
      sleepers_.fetch_sub(1);
    }
    if (stop_.load(std::memory_order_relaxed))
      return;
    drain(worker);
  }
}

void ThreadPool::drain(unsigned worker) {
  uint64_t claim = claim_.load(std::memory_order_acquire);
  while (uint32_t left = uint32_t(claim)) {
    Body body = body_.load(std::memory_order_relaxed);
    void *context = context_.load(std::memory_order_relaxed);
    uint32_t count = count_.load(std::memory_order_relaxed);
    // Guided: large pieces first, single items at the end.
    uint32_t piece = std::max<uint32_t>(1, left / (2 * threads()));
    if (!claim_.compare_exchange_weak(claim, claim - piece, std::memory_order_acq_rel,
                                      std::memory_order_acquire))
      continue;
    uint32_t begin = count - left;
    body(context, worker, begin, begin + piece);
    uint32_t done = done_.fetch_add(piece) + piece;
    if (done == count && callerWaits_.load() != 0)
      futexWake(done_, 1);
    claim = claim_.load(std::memory_order_acquire);
  }
}

void ThreadPool::run(int64_t count, Body body, void *context) {
  if (count <= 0)
    return;
  if (count == 1 || workers_.empty()) {
    body(context, 0, 0, count);
    return;
  }
  if (count > INT32_MAX) {
    runLarge(count, body, context);
    return;
  }
  body_.store(body, std::memory_order_relaxed);
  context_.store(context, std::memory_order_relaxed);
  count_.store(uint32_t(count), std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  uint64_t number = (claim_.load(std::memory_order_relaxed) >> 32) + 1;
  claim_.store(number << 32 | uint64_t(count));
  if (sleepers_.load() != 0) {
    wakeups_.fetch_add(1);
    futexWake(wakeups_, int(std::min<int64_t>(count - 1, INT_MAX)));
  }
  drain(0);
  for (int spins = 0; done_.load(std::memory_order_acquire) != uint32_t(count); ++spins) {
    if (spins < kSpins) {
      relax();
      continue;
    }
    // A worker was preempted in the middle of its piece: sleep until the last piece is done.
    callerWaits_.store(1);
    uint32_t done = done_.load();
    if (done != uint32_t(count))
      futexWait(done_, done);
    callerWaits_.store(0);
  }
}

namespace {
struct Offset {
  ThreadPool::Body body;
  void *context;
  int64_t base;
};
} // namespace

void ThreadPool::runLarge(int64_t count, Body body, void *context) {
  for (int64_t base = 0; base < count; base += INT32_MAX) {
    Offset offset{body, context, base};
    run(
        std::min<int64_t>(count - base, INT32_MAX),
        [](void *argument, unsigned worker, int64_t begin, int64_t end) {
          auto *self = static_cast<Offset *>(argument);
          self->body(self->context, worker, self->base + begin, self->base + end);
        },
        &offset);
  }
}

} // namespace ingot
