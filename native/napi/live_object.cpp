#include "live_object.h"

#include "addon_data.h"

namespace xgenmm {

void LiveObject::enlist(Napi::Env env) {
  env_ = env;
  napi_add_env_cleanup_hook(env_, at_exit, this);
  others_ = env.GetInstanceData<AddonData>()->live_objects;
  others_->insert(this);
}

void LiveObject::leave() {
  napi_remove_env_cleanup_hook(env_, at_exit, this);
  others_->erase(this);
}

void LiveObject::at_exit(void* self) {
  static_cast<LiveObject*>(self)->shut_down();
}

}  // namespace xgenmm
