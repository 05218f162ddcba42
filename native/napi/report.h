#pragma once

#include <napi.h>

#include "ggml/system_info.h"
#include "gguf/file.h"
#include "inspect/inspection.h"

namespace xgenmm {

// What inspectFile, listFile and systemInfo return, as described in lib/native.ts.
Napi::Object write_inspection(Napi::Env env, const Inspection& inspection);
Napi::Object write_listing(Napi::Env env, const GgufFile& file);
Napi::Object write_system_info(Napi::Env env, const SystemInfo& info);

}  // namespace xgenmm
