#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "quant/quantize_job.h"

namespace xgenmm {

// Threads that store weights in other types. Jobs are begun in the order in which they came and
// divided by rows; what they give does not depend on the number of threads.
class Quantizer {
 public:
  static constexpr int kMaxThreads = 256;

  // On one of the threads. bad: the index in the source of the first value that is not finite or
  // too large for the target's type, or -1; with such a value the target's bytes mean nothing.
  using Done = std::function<void(int64_t bad)>;

  // threads: 0 for what Cores::independent_threads() says; at most kMaxThreads. All memory is taken
  // here.
  explicit Quantizer(int threads);
  // Joins the threads, after at most some rows more; a job that is not done by then never is.
  ~Quantizer();
  Quantizer(const Quantizer&) = delete;
  Quantizer& operator=(const Quantizer&) = delete;

  int threads() const { return static_cast<int>(threads_.size()); }

  // The job's memory must stay until `done`, or until the quantizer has gone. Throws
  // kInvalidArgument.
  void submit(QuantizeJob job, Done done);

 private:
  // A job and how far it is. Guarded by mutex_, its description aside.
  struct Open {
    QuantizeJob job;
    Done done;
    int64_t rows;
    int64_t step;  // rows in a piece
    int64_t next = 0;  // first row that nobody has taken
    int64_t left;  // rows that are not done
    int64_t bad = -1;
  };

  void work(float* scratch);
  void stop();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Open>> queue_;  // jobs with rows to take; guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::vector<std::unique_ptr<float[]>> scratch_;  // a longest row for each thread
  std::vector<std::thread> threads_;
};

}  // namespace xgenmm
