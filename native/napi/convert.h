#pragma once

#include <napi.h>

#include "engine/engine.h"

namespace xgenmm {

// JavaScript <-> plain C++ data, as described in lib/native.ts. Readers throw Error
// kInvalidArgument for a wrong type.
LoadOptions read_load_options(const Napi::Value& value);
std::vector<Segment> read_segments(const Napi::Value& value);
std::vector<int32_t> read_tokens(const Napi::Value& value);
EncodeRequest read_encode_request(const Napi::CallbackInfo& info);
GenerateRequest read_generate_request(const Napi::Value& prompt, const Napi::Value& options);
LogitsRequest read_logits_request(const Napi::CallbackInfo& info);
ImageMode read_image_mode(const Napi::Value& value);
int read_int(const Napi::Value& value, const char* name, double low, double high);
bool read_bool(const Napi::Value& value, const char* name);
RequestId read_request_id(const Napi::Value& value);

Napi::Object write_event(Napi::Env env, const Event& event);
Napi::Int32Array write_tokens(Napi::Env env, const std::vector<int32_t>& tokens);
Napi::Array write_importance(Napi::Env env, const std::vector<ImportanceSums::Entry>& entries);
const char* image_mode_name(ImageMode mode);
const char* error_code_name(ErrorCode code);

}  // namespace xgenmm
