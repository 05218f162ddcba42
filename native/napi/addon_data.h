#pragma once

#include <napi.h>

#include <memory>
#include <set>

#include "live_object.h"

namespace xgenmm {

// One per environment, so that worker threads and several copies of the addon do not share state.
struct AddonData {
  Napi::FunctionReference engine_class;
  Napi::FunctionReference quantizer_class;
  LiveObjects live_objects = std::make_shared<std::set<LiveObject*>>();
};

}  // namespace xgenmm
