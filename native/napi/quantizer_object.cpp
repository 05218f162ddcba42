#include "quantizer_object.h"

#include "convert.h"
#include "guard.h"

namespace xgenmm {

namespace {

ggml_type read_weight_type(const Napi::Value& value, const char* name) {
  if (!value.IsString()) {
    throw Error(ErrorCode::kInvalidArgument, std::string("expected a string for ") + name);
  }
  return weight_type(value.As<Napi::String>().Utf8Value());
}

void check_bytes(const Napi::Value& value, const char* name) {
  const auto wrong = [&](const char* what) {
    return Error(ErrorCode::kInvalidArgument, std::string("expected ") + what + " for " + name);
  };
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw wrong("a Uint8Array");
  }
  // Memory that may shrink under the threads, or that others write.
  const Napi::Value buffer = value.As<Napi::TypedArray>().ArrayBuffer();
  if (!buffer.IsArrayBuffer() || buffer.As<Napi::Object>().Get("resizable").ToBoolean().Value()) {
    throw wrong("a Uint8Array over an ArrayBuffer of a fixed length");
  }
}

std::vector<float> read_importance(const Napi::Value& value) {
  if (value.IsUndefined()) return {};
  if (!value.IsTypedArray() ||
      value.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array ||
      value.As<Napi::TypedArray>().ElementLength() == 0) {
    throw Error(ErrorCode::kInvalidArgument,
                "expected a Float32Array with values, or undefined, for importance");
  }
  const auto values = value.As<Napi::Float32Array>();
  return {values.Data(), values.Data() + values.ElementLength()};
}

}  // namespace

Napi::Function QuantizerObject::define(Napi::Env env) {
  return DefineClass(env, "NativeQuantizer",
                     {
                         InstanceMethod<&QuantizerObject::quantize>("quantize"),
                         InstanceMethod<&QuantizerObject::dispose>("dispose"),
                     });
}

QuantizerObject::QuantizerObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<QuantizerObject>(info) {
  guarded(info.Env(), [&] {
    const int threads = read_int(info[0], "threads", 0, Quantizer::kMaxThreads);
    quantizer_ = std::make_unique<Quantizer>(threads);
    pump_ = std::make_unique<Pump<Result>>(
        info.Env(), "xgen-mm quantizer",
        [this](Napi::Env env, std::vector<Result> results) { deliver(env, std::move(results)); });
    pump_->hold(false);
    // After the pump's own hook, hence run before it: the threads have ended when the pump goes.
    enlist(info.Env());
    return info.Env().Undefined();
  });
}

QuantizerObject::~QuantizerObject() {
  shut_down();
}

void QuantizerObject::shut_down() {
  if (pump_ == nullptr) return;
  quantizer_.reset();
  pump_.reset();
  leave();
}

void QuantizerObject::hold(bool alive) {
  pump_->hold(alive);
  if (alive) {
    Ref();
  } else {
    Unref();
  }
}

Napi::Value QuantizerObject::quantize(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    if (quantizer_ == nullptr || disposed_)
      throw Error(ErrorCode::kDisposed, "the quantizer was disposed");
    check_bytes(info[0], "source");
    check_bytes(info[5], "target");
    QuantizeJob job;
    job.source_type = read_weight_type(info[1], "dtype");
    job.source_length = read_int(info[2], "sourceLength", 1, kMaxRowLength);
    job.row_length = read_int(info[3], "rowLength", 1, kMaxRowLength);
    job.type = read_weight_type(info[4], "type");
    job.importance = read_importance(info[6]);
    // Only now, when nothing of the caller's can run any more and detach them.
    auto source = info[0].As<Napi::Uint8Array>();
    auto target = info[5].As<Napi::Uint8Array>();
    job.source = source.Data();
    job.source_size = source.ByteLength();
    job.target = target.Data();
    job.target_size = target.ByteLength();

    const CallId id = ++last_call_;
    const auto [call, _] = calls_.emplace(
        id, Call{Napi::Promise::Deferred(info.Env()), Napi::Persistent(info[0].As<Napi::Object>()),
                 Napi::Persistent(info[5].As<Napi::Object>())});
    try {
      quantizer_->submit(std::move(job), [this, id](int64_t bad) { pump_->push({id, bad}); });
    } catch (...) {
      calls_.erase(call);
      throw;
    }
    if (calls_.size() == 1) hold(true);
    return call->second.settled.Promise();
  });
}

void QuantizerObject::deliver(Napi::Env env, std::vector<Result> results) {
  const Napi::HandleScope scope(env);
  for (const Result& result : results) {
    const auto call = calls_.find(result.call);
    call->second.settled.Resolve(Napi::Number::New(env, static_cast<double>(result.bad)));
    calls_.erase(call);
  }
  if (!calls_.empty()) return;
  hold(false);
  if (!disposed_) return;
  shut_down();
  for (const Napi::Promise::Deferred& disposal : disposals_) disposal.Resolve(env.Undefined());
  disposals_.clear();
}

Napi::Value QuantizerObject::dispose(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Promise::Deferred disposal(info.Env());
    disposed_ = true;
    if (quantizer_ == nullptr || calls_.empty()) {
      shut_down();
      disposal.Resolve(info.Env().Undefined());
    } else {
      disposals_.push_back(disposal);
    }
    return disposal.Promise();
  });
}

}  // namespace xgenmm
