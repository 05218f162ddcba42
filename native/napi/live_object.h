#pragma once

#include <napi.h>

#include <memory>
#include <set>

namespace xgenmm {

class LiveObject;

// The objects of one JavaScript environment whose threads may be running.
using LiveObjects = std::shared_ptr<std::set<LiveObject*>>;

// An object with threads, which must have ended before its environment goes.
class LiveObject {
 public:
  // Stops and joins the threads; nothing comes from them afterwards.
  virtual void shut_down() = 0;

 protected:
  ~LiveObject() = default;

  // From now on shut_down() is called before the environment, and whatever in it was made before,
  // goes.
  void enlist(Napi::Env env);
  void leave();

 private:
  static void at_exit(void* self);

  napi_env env_ = nullptr;
  LiveObjects others_;
};

}  // namespace xgenmm
