#pragma once

#include <atomic>
#include <memory>

#include "engine/event.h"
#include "engine/model.h"
#include "engine/request.h"

namespace xgenmm {

// One request in work on the engine's thread: advanced in short steps, ended by an event.
class Task {
 public:
  enum class Progress {
    kMore,  // call step() again
    kWaiting,  // nothing could be done until another task ends
    kDone,  // the last event has been sent
  };

  Task(RequestId id, EventSink sink) : id_(id), sink_(std::move(sink)) {}
  virtual ~Task() = default;

  RequestId id() const { return id_; }
  // alone: no other task is waiting for its turn, so a step may be long (it is aborted when the
  // task is cancelled). May throw Error. When a graph was aborted it returns kMore and changes
  // nothing.
  virtual Progress step(Model& model, bool alone) = 0;
  // Sends the last event of a cancelled request.
  virtual void finish_cancelled() { send(event::Cancelled{}); }
  // Whether the task needs the image encoder, which works on one picture at a time.
  virtual bool encodes() const { return false; }

  std::atomic<bool> cancelled{false};
  // Its last event has been sent although it is still in the engine's hands; guarded by the
  // engine's mutex.
  bool ended = false;

 protected:
  void send(decltype(Event::body) body) { sink_(Event{id_, std::move(body)}); }

 private:
  RequestId id_;
  EventSink sink_;
};

std::shared_ptr<Task> make_task(RequestId id, Request request, EventSink sink);

}  // namespace xgenmm
