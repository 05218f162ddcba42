#pragma once

#include <napi.h>

#include "ggml/system_info.h"
#include "inspect/inspection.h"

namespace xgenmm {

// What inspectFile and systemInfo return, as described in lib/native.ts.
Napi::Object write_inspection(Napi::Env env, const Inspection& inspection);
Napi::Object write_system_info(Napi::Env env, const SystemInfo& info);

}  // namespace xgenmm
