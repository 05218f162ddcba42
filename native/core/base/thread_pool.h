#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace xgenmm {

// Threads that share the parts of one job after another. A part is taken by whoever is free, so a
// thread that the system keeps waiting, or a slow core, holds nobody up but for the part that it
// has taken. Who has nothing to do waits for a moment and then sleeps. Owned and used by one
// thread, which computes as well.
class ThreadPool {
 public:
  // Throws kDeviceUnavailable when the system allows no more threads.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // A time in which jobs follow each other closely: the threads are awake. Pools whose sessions
  // overlap share the processor's cores, each has at least one thread. At most one per pool.
  class Session {
   public:
    explicit Session(ThreadPool& pool) : pool_(pool) { pool_.begin(); }
    ~Session() { pool_.end(); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

   private:
    ThreadPool& pool_;
  };

  // Calls work(first, last, thread) for ranges that make up 0 .. count - 1, each of a multiple of
  // `grain` but for the last one, and returns after all of them. thread: 0 .. threads() - 1, a
  // different one at any one time. Which ranges there are depends on the count, the grain and
  // threads(). Outside of a session the caller does everything. work must not throw.
  template <typename Work>
  void run(int64_t count, int64_t grain, const Work& work) {
    if (count <= 0) return;
    const int64_t grains = (count + grain - 1) / grain;
    const int64_t parts = std::min<int64_t>(grains, kPartsPerThread * threads());
    if (parts == 1 || limit_ == 1) {
      work(int64_t{0}, count, 0);
      return;
    }
    const auto range = [&](int64_t part, int thread) {
      const int64_t first = grains * part / parts * grain;
      const int64_t last = std::min(grains * (part + 1) / parts * grain, count);
      work(first, last, thread);
    };
    share(
        parts,
        [](const void* job, int64_t part, int thread) {
          (*static_cast<const decltype(range)*>(job))(part, thread);
        },
        &range);
  }

 private:
  using Call = void (*)(const void* job, int64_t part, int thread);
  // More than one each: who is late, or slow, leaves some to the others.
  static constexpr int64_t kPartsPerThread = 4;

  void begin();
  void end();
  void stop();
  void share(int64_t parts, Call call, const void* job);
  void work(int thread);
  // Takes parts until none is left. -> the number of the job.
  uint64_t take_parts(int thread);
  // Until there is another job than the one with this number or the session is over; false then.
  bool wait_for_job(uint64_t seen);

  // The number of the job, how many parts it has and which is taken next, in one word: who comes
  // late for one job cannot take a part of it for a part of the next.
  std::atomic<uint64_t> ticket_{0};
  std::atomic<int64_t> done_{0};  // parts
  Call call_ = nullptr;  // read by whoever has taken a part
  const void* job_ = nullptr;  // same
  int limit_ = 1;  // threads of this session, the owner's

  std::mutex mutex_;
  std::condition_variable session_begun_;
  std::condition_variable job_begun_;
  std::condition_variable job_done_;
  uint64_t sessions_ = 0;  // guarded by mutex_
  int session_limit_ = 1;  // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::atomic<bool> open_{false};  // a session is
  std::atomic<int> sleepers_{0};  // threads that wait for a job
  std::atomic<bool> owner_sleeps_{false};
  std::vector<std::thread> workers_;
};

}  // namespace xgenmm
