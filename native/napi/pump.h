#pragma once

#include <napi.h>

#include <functional>
#include <mutex>
#include <vector>

namespace xgenmm {

// Carries what threads have to say to the JavaScript thread, many items in one hop.
template <typename Item>
class Pump {
 public:
  using Deliver = std::function<void(Napi::Env, std::vector<Item>)>;

  // name: for diagnostics. deliver: called on the JavaScript thread with everything that has come
  // since.
  Pump(Napi::Env env, const char* name, Deliver deliver)
      : env_(env), deliver_(std::move(deliver)), function_(Function::New(env, name, 0, 1, this)) {}
  // No push() may be running or follow.
  ~Pump() { function_.Abort(); }
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  // Any thread.
  void push(Item item) {
    bool first;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      first = outbox_.empty();
      outbox_.push_back(std::move(item));
    }
    // Never blocks: a blocking call could wait for a JavaScript thread that waits for ours.
    if (first) function_.NonBlockingCall();
  }
  // JavaScript thread: whether waiting items keep the process alive.
  void hold(bool alive) {
    if (alive) {
      function_.Ref(env_);
    } else {
      function_.Unref(env_);
    }
  }

 private:
  static void drain(Napi::Env env, Napi::Function, Pump* pump, void*) {
    // Without an environment the process is going down and nobody listens.
    if (env == nullptr) return;
    std::vector<Item> items;
    {
      const std::lock_guard<std::mutex> lock(pump->mutex_);
      items.swap(pump->outbox_);
    }
    // A copy: delivering the last items destroys the pump.
    const Deliver deliver = pump->deliver_;
    deliver(env, std::move(items));
  }
  using Function = Napi::TypedThreadSafeFunction<Pump, void, drain>;

  napi_env env_;
  Deliver deliver_;
  std::mutex mutex_;
  std::vector<Item> outbox_;  // guarded by mutex_
  Function function_;
};

}  // namespace xgenmm
