//===- ThreadPoolTest.cpp ---------------------------------------*- C++ -*-===//
#include "runtime/support/ThreadPool.h"

#include <atomic>
#include <cstdlib>
#include <gtest/gtest.h>
#include <unistd.h>
#include <vector>

using namespace ingot;

namespace {
struct Marks {
  std::vector<std::atomic<int>> hits;
  std::atomic<unsigned> workers{0};
  explicit Marks(size_t n) : hits(n) {}
  static void body(void *context, unsigned worker, int64_t begin, int64_t end) {
    auto *self = static_cast<Marks *>(context);
    self->workers.fetch_or(1u << worker);
    for (int64_t i = begin; i < end; ++i)
      self->hits[size_t(i)].fetch_add(1);
  }
};
} // namespace

TEST(ThreadPool, EveryItemOnce) {
  for (unsigned threads : {1u, 2u, 5u}) {
    auto pool = ThreadPool::create(threads);
    ASSERT_TRUE(pool.ok());
    EXPECT_EQ((*pool)->threads(), threads);
    for (int64_t count : {0, 1, 2, 3, 7, 100, 10000}) {
      Marks marks(size_t(count) + 1);
      (*pool)->run(count, Marks::body, &marks);
      for (int64_t i = 0; i < count; ++i)
        ASSERT_EQ(marks.hits[size_t(i)].load(), 1) << threads << " threads, item " << i;
      EXPECT_EQ(marks.hits[size_t(count)].load(), 0);
      EXPECT_LT(marks.workers.load(), 1u << threads);
    }
  }
}

TEST(ThreadPool, ManySmallLaunchesInSuccession) {
  auto pool = ThreadPool::create(4);
  ASSERT_TRUE(pool.ok());
  for (int round = 0; round < 20000; ++round) {
    Marks marks(8);
    (*pool)->run(2 + round % 7, Marks::body, &marks);
    for (int i = 0; i < 2 + round % 7; ++i)
      ASSERT_EQ(marks.hits[size_t(i)].load(), 1) << round;
    if (round % 5000 == 0)
      ::usleep(2000); // long enough that the workers sleep
  }
}

TEST(ThreadPool, ThreadCounts) {
  EXPECT_EQ(ThreadPool::create(0).status().code(), ExitCode::Usage);
  EXPECT_EQ(ThreadPool::create(1025).status().code(), ExitCode::Usage);
  ::setenv("INGOT_NUM_THREADS", "3", 1);
  auto threads = ThreadPool::defaultThreads();
  ASSERT_TRUE(threads.ok());
  EXPECT_EQ(*threads, 3u);
  for (const char *bad : {"0", "x", "-1", "3x", "99999999999"}) {
    ::setenv("INGOT_NUM_THREADS", bad, 1);
    EXPECT_EQ(ThreadPool::defaultThreads().status().code(), ExitCode::Usage) << bad;
  }
  ::unsetenv("INGOT_NUM_THREADS");
  EXPECT_GE(*ThreadPool::defaultThreads(), 1u);
}
