#include <napi.h>

#include "addon_data.h"
#include "engine_object.h"
#include "guard.h"
#include "quantizer_object.h"
#include "report.h"

namespace xgenmm {

namespace {

Napi::Value create_engine(const Napi::CallbackInfo& info) {
  return info.Env().GetInstanceData<AddonData>()->engine_class.New({info[0], info[1]});
}

Napi::Value create_quantizer(const Napi::CallbackInfo& info) {
  return info.Env().GetInstanceData<AddonData>()->quantizer_class.New({info[0]});
}

Napi::Value stop_all(const Napi::CallbackInfo& info) {
  // A copy: each takes itself out.
  const std::set<LiveObject*> live = *info.Env().GetInstanceData<AddonData>()->live_objects;
  for (LiveObject* object : live) object->shut_down();
  return info.Env().Undefined();
}

Napi::Value inspect(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    if (!info[0].IsString()) throw Error(ErrorCode::kInvalidArgument, "expected a path");
    const int context_size = read_int(info[1], "contextSize", 0, 1 << 20);
    const std::string path = info[0].As<Napi::String>().Utf8Value();
    return write_inspection(info.Env(), inspect_file(path, context_size));
  });
}

Napi::Value list(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    if (!info[0].IsString()) throw Error(ErrorCode::kInvalidArgument, "expected a path");
    return write_listing(info.Env(), GgufFile(info[0].As<Napi::String>().Utf8Value()));
  });
}

Napi::Value describe_system(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return write_system_info(info.Env(), system_info()); });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new AddonData{Napi::Persistent(EngineObject::define(env)),
                                    Napi::Persistent(QuantizerObject::define(env))});
  exports.Set("identity", XGENMM_IDENTITY);
  exports.Set("createEngine", Napi::Function::New(env, create_engine, "createEngine"));
  exports.Set("createQuantizer", Napi::Function::New(env, create_quantizer, "createQuantizer"));
  exports.Set("inspectFile", Napi::Function::New(env, inspect, "inspectFile"));
  exports.Set("listFile", Napi::Function::New(env, list, "listFile"));
  exports.Set("systemInfo", Napi::Function::New(env, describe_system, "systemInfo"));
  exports.Set("stopAll", Napi::Function::New(env, stop_all, "stopAll"));
  return exports;
}

}  // namespace

}  // namespace xgenmm

static Napi::Object init_addon(Napi::Env env, Napi::Object exports) {
  return xgenmm::init(env, exports);
}
NODE_API_MODULE(xgenmm, init_addon)
