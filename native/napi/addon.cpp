#include <napi.h>

#include "engine_object.h"

namespace xgenmm {

namespace {

// One per environment, so that worker threads and several copies of the addon do not share state.
struct AddonData {
  Napi::FunctionReference engine_class;
};

Napi::Value create_engine(const Napi::CallbackInfo& info) {
  return info.Env().GetInstanceData<AddonData>()->engine_class.New({info[0], info[1]});
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* data = new AddonData{Napi::Persistent(EngineObject::define(env))};
  env.SetInstanceData(data);
  exports.Set("createEngine", Napi::Function::New(env, create_engine, "createEngine"));
  return exports;
}

}  // namespace

}  // namespace xgenmm

static Napi::Object init_addon(Napi::Env env, Napi::Object exports) {
  return xgenmm::init(env, exports);
}
NODE_API_MODULE(xgenmm, init_addon)
