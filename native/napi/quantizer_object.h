#pragma once

#include <napi.h>

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "live_object.h"
#include "pump.h"
#include "quant/quantizer.h"

namespace xgenmm {

// The JavaScript object `NativeQuantizer` of lib/native.ts. While a call is open it holds itself,
// the call's memory and the process alive.
class QuantizerObject : public Napi::ObjectWrap<QuantizerObject>, public LiveObject {
 public:
  static Napi::Function define(Napi::Env env);
  // (threads)
  explicit QuantizerObject(const Napi::CallbackInfo& info);
  ~QuantizerObject() override;

  void shut_down() override;

 private:
  using CallId = uint64_t;
  struct Call {
    Napi::Promise::Deferred settled;
    // What the threads read and write in place.
    Napi::ObjectReference source;
    Napi::ObjectReference target;
  };
  struct Result {
    CallId call;
    int64_t bad;
  };

  Napi::Value quantize(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  void deliver(Napi::Env env, std::vector<Result> results);
  void hold(bool alive);

  std::unique_ptr<Pump<Result>> pump_;
  std::unique_ptr<Quantizer> quantizer_;
  CallId last_call_ = 0;
  std::map<CallId, Call> calls_;  // open ones
  bool disposed_ = false;
  std::vector<Napi::Promise::Deferred> disposals_;  // until the last call has settled
};

}  // namespace xgenmm
