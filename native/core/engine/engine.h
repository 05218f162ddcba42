#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "engine/event.h"
#include "engine/model.h"
#include "engine/request.h"
#include "engine/task.h"

namespace xgenmm {

// One loaded model and the thread that owns it. Every public method may be called from any thread;
// events come on the engine's thread.
class Engine {
 public:
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
  void run();
  bool load();
  // Moves new requests into tasks_; false when the engine is to stop.
  bool take_requests(bool wait);
  // One step of a task; true when it has ended.
  bool step(Task& task, bool alone);
  void end_all();

  LoadOptions options_;
  EventSink sink_;
  std::atomic<const Model*> model_view_{nullptr};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> load_cancelled_{false};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Task>> queue_;  // guarded by mutex_
  std::unordered_map<RequestId, std::shared_ptr<Task>> open_;  // guarded by mutex_
  Task* current_ = nullptr;  // what is being computed; written by the thread under mutex_

  // The thread's own.
  std::unique_ptr<Model> model_;
  std::deque<std::shared_ptr<Task>> tasks_;

  std::thread thread_;
};

}  // namespace xgenmm
