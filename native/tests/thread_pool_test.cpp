#include "base/thread_pool.h"

#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "harness.h"

namespace xgenmm {
namespace {

using Ranges = std::set<std::pair<int64_t, int64_t>>;

// What `run` calls its work with, in order.
Ranges ranges(ThreadPool& pool, int64_t count, int64_t grain) {
  std::mutex mutex;
  Ranges out;
  pool.run(count, grain, [&](int64_t first, int64_t last, int) {
    const std::lock_guard<std::mutex> lock(mutex);
    out.emplace(first, last);
  });
  return out;
}

}  // namespace

TEST(thread_pool_covers_everything_once_in_whole_grains) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    CHECK_EQ(pool.threads(), threads);
    const ThreadPool::Session session(pool);
    for (const int64_t count : {0, 1, 2, 11, 12, 13, 100, 4099}) {
      for (const int64_t grain : {1, 12, 5000}) {
        int64_t next = 0;
        for (const auto& [first, last] : ranges(pool, count, grain)) {
          CHECK_EQ(first, next);
          CHECK(first % grain == 0 && last > first);
          next = last;
        }
        CHECK_EQ(next, count);
      }
    }
  }
}

TEST(thread_pool_runs_one_job_after_another) {
  ThreadPool pool(3);
  int64_t sum = 0;
  // More jobs than their number has bits for.
  for (int round = 0; round < 20; ++round) {
    const ThreadPool::Session session(pool);
    for (int job = 0; job < 4000; ++job) {
      std::vector<int64_t> parts(16);
      pool.run(16, 1, [&](int64_t first, int64_t last, int) {
        for (int64_t i = first; i < last; ++i) parts[static_cast<size_t>(i)] += i;
      });
      for (const int64_t part : parts) sum += part;
    }
  }
  CHECK_EQ(sum, 20 * 4000 * 120);
}

TEST(thread_pool_wakes_threads_that_sleep) {
  ThreadPool pool(4);
  const ThreadPool::Session session(pool);
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::mutex mutex;
    std::set<int> seen;
    const auto start = std::chrono::steady_clock::now();
    // Each waits until another has come, so that two have to.
    pool.run(16, 1, [&](int64_t, int64_t, int thread) {
      const auto others_came = [&] {
        const std::lock_guard<std::mutex> lock(mutex);
        seen.insert(thread);
        return seen.size() > 1;
      };
      while (!others_came() && std::chrono::steady_clock::now() - start < std::chrono::seconds(20))
        std::this_thread::yield();
    });
    CHECK(seen.size() > 1);
  }
}

TEST(thread_pool_waits_for_a_part_that_takes_long) {
  ThreadPool pool(2);
  const ThreadPool::Session session(pool);
  for (int i = 0; i < 3; ++i) {
    std::atomic<int> done{0};
    pool.run(8, 1, [&](int64_t, int64_t, int thread) {
      if (thread == 1) std::this_thread::sleep_for(std::chrono::milliseconds(3));
      ++done;
    });
    CHECK_EQ(done.load(), 8);
  }
}

TEST(thread_pool_leaves_the_work_to_the_caller_outside_of_a_session) {
  ThreadPool pool(4);
  const std::thread::id self = std::this_thread::get_id();
  bool others = false;
  pool.run(100, 1, [&](int64_t, int64_t, int thread) {
    others = others || thread != 0 || std::this_thread::get_id() != self;
  });
  CHECK(!others);
}

TEST(thread_pools_share_the_processor) {
  ThreadPool first(2), second(2);
  const ThreadPool::Session all(first);
  std::vector<std::thread> owners;
  std::atomic<int64_t> sum{0};
  owners.emplace_back([&] {
    const ThreadPool::Session session(second);
    for (int i = 0; i < 1000; ++i)
      second.run(64, 1, [&](int64_t from, int64_t to, int) { sum += to - from; });
  });
  for (int i = 0; i < 1000; ++i)
    first.run(64, 1, [&](int64_t from, int64_t to, int) { sum += to - from; });
  for (std::thread& owner : owners) owner.join();
  CHECK_EQ(sum.load(), 2 * 1000 * 64);
}

}  // namespace xgenmm
