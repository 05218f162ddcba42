#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "engine/encode_task.h"
#include "engine/event.h"
#include "engine/model.h"
#include "engine/request.h"
#include "engine/scheduler.h"
#include "engine/text_task.h"

namespace xgenmm {

// One loaded model and the thread that owns it. Every public method may be called from any thread;
// events come on the engine's thread.
class Engine {
 public:
  // More open requests than these are refused with kBusy.
  static constexpr size_t kMaxOpen = 1024;

  // Starts the thread, which loads and reports Loaded, Cancelled or Failed for request 0.
  Engine(LoadOptions options, EventSink sink);
  // Stops and joins.
  ~Engine();

  // Each request ends with exactly one of Encoded, Generated, Logits, Cancelled or Failed.
  void submit(RequestId id, Request request);
  // Request 0 is the load. Unknown ids are ignored.
  void cancel(RequestId id);
  // Ends every open request with Failed kDisposed, frees the model and ends the thread, which is
  // then to be joined.
  void stop();
  void join();

  // Set once, before Loaded is sent; nullptr until then. Only its const parts may be used by other
  // threads.
  const Model* model() const { return model_view_.load(); }

 private:
  // A task by what it does: exactly one of the two is set.
  struct Job {
    uint64_t id;  // ascending in order of arrival
    std::shared_ptr<EncodeTask> encode;
    std::shared_ptr<TextTask> text;
    bool done = false;

    Task& task() const {
      return encode != nullptr ? static_cast<Task&>(*encode) : static_cast<Task&>(*text);
    }
  };

  void run();
  bool load();
  // Moves new requests into jobs_; false when the engine is to stop.
  bool take_requests(bool wait);
  // Makes prompts of new requests and gives slots to those that wait, first come first served.
  void admit();
  Scheduler::Step next_step();
  void compute(const Scheduler::Step& step);
  void compute_text(const Scheduler::Step& step);
  // Puts guessed tokens behind those of these answers; returns how many.
  int draft(const std::vector<Job*>& jobs, double most_ms);
  // Runs `work`, which concerns these jobs, while nobody else ends them. What it throws ends them
  // all; it marks those done whose last event it has sent.
  template <typename Work>
  void with(std::vector<Job*> jobs, Work work);
  void end_all();

  LoadOptions options_;
  EventSink sink_;
  std::atomic<const Model*> model_view_{nullptr};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> load_cancelled_{false};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Job> queue_;  // guarded by mutex_
  std::unordered_map<RequestId, std::shared_ptr<Task>> open_;  // guarded by mutex_
  uint64_t arrivals_ = 0;  // guarded by mutex_
  std::vector<Task*> current_;  // what is in work; written by the thread under mutex_

  // The thread's own.
  std::unique_ptr<Model> model_;
  std::vector<Job> jobs_;
  Scheduler scheduler_;

  std::thread thread_;
};

}  // namespace xgenmm
