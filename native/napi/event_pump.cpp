#include "event_pump.h"

namespace xgenmm {

EventPump::EventPump(Napi::Env env, Deliver deliver) : env_(env), deliver_(std::move(deliver)) {
  function_ = Function::New(env, "xgen-mm events", 0, 1, this);
}

EventPump::~EventPump() {
  function_.Abort();
}

void EventPump::push(Event event) {
  bool first;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    first = outbox_.empty();
    outbox_.push_back(std::move(event));
  }
  // Never blocks: a blocking call could wait for a JavaScript thread that waits for ours.
  if (first) function_.NonBlockingCall();
}

void EventPump::hold(bool alive) {
  if (alive) {
    function_.Ref(env_);
  } else {
    function_.Unref(env_);
  }
}

void EventPump::drain(Napi::Env env, Napi::Function, EventPump* pump, void*) {
  // Without an environment the process is going down and nobody listens.
  if (env == nullptr) return;
  std::vector<Event> events;
  {
    const std::lock_guard<std::mutex> lock(pump->mutex_);
    events.swap(pump->outbox_);
  }
  // A copy: delivering the last events destroys the pump.
  const Deliver deliver = pump->deliver_;
  deliver(env, std::move(events));
}

}  // namespace xgenmm
