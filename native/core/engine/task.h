#pragma once

#include <atomic>
#include <memory>

#include "engine/event.h"
#include "engine/request.h"

namespace xgenmm {

// One request in the engine's hands, ended by an event.
class Task {
 public:
  Task(RequestId id, EventSink sink) : id_(id), sink_(std::move(sink)) {}
  virtual ~Task() = default;

  RequestId id() const { return id_; }
  // Sends the last event of a cancelled request.
  virtual void finish_cancelled() { send(event::Cancelled{}); }

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

}  // namespace xgenmm
