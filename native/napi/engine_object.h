#pragma once

#include <napi.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "live_object.h"
#include "pump.h"

namespace xgenmm {

// The JavaScript object `NativeEngine` of lib/native.ts. While a request is open it holds itself
// and the process alive.
class EngineObject : public Napi::ObjectWrap<EngineObject>, public LiveObject {
 public:
  static Napi::Function define(Napi::Env env);
  // (options, onEvent)
  explicit EngineObject(const Napi::CallbackInfo& info);
  ~EngineObject() override;

  void shut_down() override;

 private:
  Napi::Value tokenize(const Napi::CallbackInfo& info);
  Napi::Value count_image_tokens(const Napi::CallbackInfo& info);
  Napi::Value detokenize(const Napi::CallbackInfo& info);
  Napi::Value encode_image(const Napi::CallbackInfo& info);
  Napi::Value generate(const Napi::CallbackInfo& info);
  Napi::Value compute_logits(const Napi::CallbackInfo& info);
  Napi::Value importance(const Napi::CallbackInfo& info);
  Napi::Value cancel(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  void deliver(Napi::Env env, std::vector<Event> events);
  void submit(RequestId id, Request request);
  void open_one();
  void close_one();
  const Model& model() const;

  std::unique_ptr<Pump<Event>> pump_;
  std::unique_ptr<Engine> engine_;
  int open_ = 0;
  std::set<RequestId> requests_;  // open ones, the load aside
  // What the engine reads in place, by request.
  std::map<RequestId, Napi::ObjectReference> pixels_;
  bool disposed_ = false;
  std::vector<Napi::Promise::Deferred> disposals_;  // until the thread has ended
};

}  // namespace xgenmm
