#include "base/thread_pool.h"

#include <chrono>
#include <string>
#include <system_error>

#include "base/cores.h"
#include "base/error.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace xgenmm {

namespace {

// The ticket: 24 bits of the next part, 24 of the parts, 16 of the job's number.
constexpr int kPartBits = 24;
constexpr uint64_t kPartMask = (uint64_t{1} << kPartBits) - 1;

uint64_t job_of(uint64_t ticket) {
  return ticket >> (2 * kPartBits);
}

// How long somebody looks for what is about to happen before he sleeps: waking takes a tenth of it.
constexpr auto kPatience = std::chrono::microseconds(100);

// Of all pools of the process.
std::atomic<int>& open_sessions() {
  static std::atomic<int> count{0};
  return count;
}

// For all models together.
int usable_threads() {
  static const int count = read_cores().threads();
  return count;
}

void relax() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && defined(__GNUC__)
  __asm__ __volatile__("yield");
#endif
}

// Whether it came true within the patience.
template <typename Condition>
bool becomes_true(const Condition& condition) {
  constexpr int kLooks = 64;  // between two looks at the clock
  const auto start = std::chrono::steady_clock::now();
  do {
    for (int i = 0; i < kLooks; ++i) {
      if (condition()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() - start < kPatience);
  return false;
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  workers_.reserve(static_cast<size_t>(threads - 1));
  try {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
  } catch (const std::system_error&) {
    stop();
    throw Error(ErrorCode::kDeviceUnavailable,
                "expected to start " + std::to_string(threads - 1) +
                    " threads, but the system allows fewer: use fewer `threads`");
  }
}

ThreadPool::~ThreadPool() {
  stop();
}

void ThreadPool::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  session_begun_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::begin() {
  const int sessions = ++open_sessions();
  limit_ = threads();
  if (sessions > 1) limit_ = std::clamp(usable_threads() / sessions, 1, threads());
  if (limit_ == 1) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
    ++sessions_;
    session_limit_ = limit_;
  }
  session_begun_.notify_all();
}

void ThreadPool::end() {
  --open_sessions();
  limit_ = 1;
  const std::lock_guard<std::mutex> lock(mutex_);
  open_ = false;
  job_begun_.notify_all();
}

void ThreadPool::share(int64_t parts, Call call, const void* job) {
  call_ = call;
  job_ = job;
  done_ = 0;
  const uint64_t number = job_of(ticket_) + 1;
  ticket_ = number << (2 * kPartBits) | static_cast<uint64_t>(parts) << kPartBits;
  if (sleepers_ > 0) {
    // Who has found no job, but does not sleep yet, holds the mutex.
    const std::lock_guard<std::mutex> lock(mutex_);
    job_begun_.notify_all();
  }
  take_parts(0);
  const auto done = [&] { return done_ == parts; };
  if (becomes_true(done)) return;
  std::unique_lock<std::mutex> lock(mutex_);
  owner_sleeps_ = true;
  job_done_.wait(lock, done);
  owner_sleeps_ = false;
}

uint64_t ThreadPool::take_parts(int thread) {
  for (;;) {
    const uint64_t ticket = ticket_++;
    const uint64_t part = ticket & kPartMask;
    const uint64_t parts = ticket >> kPartBits & kPartMask;
    if (part >= parts) return job_of(ticket);
    call_(job_, static_cast<int64_t>(part), thread);
    if (++done_ == static_cast<int64_t>(parts) && owner_sleeps_) {
      const std::lock_guard<std::mutex> lock(mutex_);
      job_done_.notify_one();
    }
  }
}

void ThreadPool::work(int thread) {
  uint64_t seen_session = 0;
  uint64_t seen_job = 0;
  for (;;) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      session_begun_.wait(lock, [&] {
        return stopping_ || (sessions_ != seen_session && thread < session_limit_);
      });
      if (stopping_) return;
      seen_session = sessions_;
    }
    while (wait_for_job(seen_job)) seen_job = take_parts(thread);
  }
}

bool ThreadPool::wait_for_job(uint64_t seen) {
  const auto changed = [&] { return job_of(ticket_) != seen || !open_; };
  if (!becomes_true(changed)) {
    std::unique_lock<std::mutex> lock(mutex_);
    ++sleepers_;
    job_begun_.wait(lock, changed);
    --sleepers_;
  }
  return open_;
}

}  // namespace xgenmm
