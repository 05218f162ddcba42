#pragma once

#include <napi.h>

#include <functional>
#include <mutex>
#include <vector>

#include "engine/event.h"

namespace xgenmm {

// Carries events from the engine's thread to the JavaScript thread, many in one hop.
class EventPump {
 public:
  using Deliver = std::function<void(Napi::Env, std::vector<Event>)>;

  // deliver: called on the JavaScript thread with everything that has come since.
  EventPump(Napi::Env env, Deliver deliver);
  // No push() may be running or follow.
  ~EventPump();

  // Any thread.
  void push(Event event);
  // JavaScript thread: whether waiting events keep the process alive.
  void hold(bool alive);

 private:
  static void drain(Napi::Env env, Napi::Function, EventPump* pump, void*);
  using Function = Napi::TypedThreadSafeFunction<EventPump, void, drain>;

  napi_env env_;
  Deliver deliver_;
  Function function_;
  std::mutex mutex_;
  std::vector<Event> outbox_;  // guarded by mutex_
};

}  // namespace xgenmm
