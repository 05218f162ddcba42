#pragma once

#include <napi.h>

#include <memory>
#include <set>

namespace xgenmm {

class EngineObject;

// The engines of one JavaScript environment whose threads may be running.
using LiveEngines = std::shared_ptr<std::set<EngineObject*>>;

// One per environment, so that worker threads and several copies of the addon do not share state.
struct AddonData {
  Napi::FunctionReference engine_class;
  LiveEngines live_engines = std::make_shared<std::set<EngineObject*>>();
};

}  // namespace xgenmm
