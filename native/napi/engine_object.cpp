#include "engine_object.h"

#include "base/utf8.h"
#include "convert.h"
#include "guard.h"

namespace xgenmm {

namespace {

// Kept on the object itself, not in a reference of ours: so an engine that nobody can reach any
// more is collected.
constexpr const char* kListener = "onEvent";

bool ends_request(const Event& event) {
  return !std::holds_alternative<event::Progress>(event.body) &&
         !std::holds_alternative<event::Text>(event.body) &&
         !std::holds_alternative<event::Closed>(event.body);
}

}  // namespace

Napi::Function EngineObject::define(Napi::Env env) {
  return DefineClass(env, "NativeEngine",
                     {
                         InstanceMethod<&EngineObject::tokenize>("tokenize"),
                         InstanceMethod<&EngineObject::count_image_tokens>("countImageTokens"),
                         InstanceMethod<&EngineObject::detokenize>("detokenize"),
                         InstanceMethod<&EngineObject::encode_image>("encodeImage"),
                         InstanceMethod<&EngineObject::generate>("generate"),
                         InstanceMethod<&EngineObject::compute_logits>("computeLogits"),
                         InstanceMethod<&EngineObject::importance>("importance"),
                         InstanceMethod<&EngineObject::cancel>("cancel"),
                         InstanceMethod<&EngineObject::dispose>("dispose"),
                     });
}

EngineObject::EngineObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineObject>(info) {
  guarded(info.Env(), [&] {
    LoadOptions options = read_load_options(info[0]);
    if (!info[1].IsFunction())
      throw Error(ErrorCode::kInvalidArgument, "expected a function for onEvent");
    Value().DefineProperty(Napi::PropertyDescriptor::Value(kListener, info[1], napi_default));
    pump_ = std::make_unique<Pump<Event>>(
        info.Env(), "xgen-mm events",
        [this](Napi::Env env, std::vector<Event> events) { deliver(env, std::move(events)); });
    open_one();
    engine_ = std::make_unique<Engine>(std::move(options),
                                       [this](Event event) { pump_->push(std::move(event)); });
    // After the pump's own hook, hence run before it: the thread has ended when the pump goes.
    enlist(info.Env());
    return info.Env().Undefined();
  });
}

EngineObject::~EngineObject() {
  shut_down();
}

void EngineObject::shut_down() {
  if (engine_ == nullptr) return;
  engine_->stop();
  engine_->join();
  engine_.reset();
  pump_.reset();
  leave();
}

const Model& EngineObject::model() const {
  if (engine_ == nullptr) throw Error(ErrorCode::kDisposed, "the model was disposed");
  const Model* model = engine_->model();
  if (model == nullptr || disposed_) throw Error(ErrorCode::kDisposed, "the model is not loaded");
  return *model;
}

void EngineObject::submit(RequestId id, Request request) {
  if (engine_ == nullptr || disposed_) throw Error(ErrorCode::kDisposed, "the model was disposed");
  if (id == 0 || !requests_.insert(id).second) {
    throw Error(ErrorCode::kInvalidArgument,
                "expected the number of a new request, received " + std::to_string(id));
  }
  open_one();
  engine_->submit(id, std::move(request));
}

void EngineObject::open_one() {
  if (open_++ > 0) return;
  Ref();
  pump_->hold(true);
}

void EngineObject::close_one() {
  if (--open_ > 0) return;
  pump_->hold(false);
  Unref();
}

void EngineObject::deliver(Napi::Env env, std::vector<Event> events) {
  const Napi::HandleScope scope(env);
  const Napi::Object self = Value();
  // Collected already: nobody can be waiting.
  if (self.IsEmpty()) return;
  const Napi::Function listener = self.Get(kListener).As<Napi::Function>();
  Napi::Error thrown;
  for (const Event& event : events) {
    if (std::holds_alternative<event::Closed>(event.body)) {
      for (const Napi::Promise::Deferred& disposal : disposals_) disposal.Resolve(env.Undefined());
      disposals_.clear();
      close_one();
      shut_down();
      break;
    }
    const Napi::HandleScope each(env);
    try {
      listener.Call({write_event(env, event)});
    } catch (const Napi::Error& error) {
      thrown = error;
    }
    // The listener may have ended the process, and every engine with it.
    if (engine_ == nullptr) break;
    if (!ends_request(event)) continue;
    pixels_.erase(event.request);
    requests_.erase(event.request);
    close_one();
  }
  // A listener that throws must not swallow the events behind it.
  if (!thrown.IsEmpty()) throw thrown;
}

Napi::Value EngineObject::tokenize(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return write_tokens(info.Env(), model().tokenizer().encode(read_segments(info[0]),
                                                               read_bool(info[1], "parseSpecial"),
                                                               read_bool(info[2], "continuation")));
  });
}

Napi::Value EngineObject::count_image_tokens(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const ImageEncoder* vision = model().vision();
    if (vision == nullptr) {
      throw Error(ErrorCode::kInvalidArgument,
                  "expected a model with a vision part, received a text-only model");
    }
    const int width = read_int(info[0], "width", 1, kMaxPictureSide);
    const int height = read_int(info[1], "height", 1, kMaxPictureSide);
    return Napi::Number::New(info.Env(),
                             vision->count_tokens(width, height, read_image_mode(info[2])));
  });
}

Napi::Value EngineObject::detokenize(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const std::vector<int32_t> tokens = read_tokens(info[0]);
    const std::string bytes = model().tokenizer().decode(tokens.data(), tokens.size());
    return Napi::String::New(info.Env(), well_formed_utf8(bytes));
  });
}

Napi::Value EngineObject::encode_image(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const RequestId id = read_request_id(info[0]);
    const EncodeRequest request = read_encode_request(info);
    submit(id, request);
    pixels_[id] = Napi::Persistent(info[1].As<Napi::Object>());
    return info.Env().Undefined();
  });
}

Napi::Value EngineObject::generate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    submit(read_request_id(info[0]), read_generate_request(info[1], info[2]));
    return info.Env().Undefined();
  });
}

Napi::Value EngineObject::compute_logits(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    submit(read_request_id(info[0]), read_logits_request(info));
    return info.Env().Undefined();
  });
}

Napi::Value EngineObject::importance(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const ImportanceSums* importance = model().importance();
    if (importance == nullptr) {
      throw Error(ErrorCode::kInvalidArgument,
                  "expected an engine that was loaded with importance");
    }
    return write_importance(info.Env(), importance->entries());
  });
}

Napi::Value EngineObject::cancel(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const RequestId id = read_request_id(info[0]);
    if (engine_ != nullptr) engine_->cancel(id);
    return info.Env().Undefined();
  });
}

Napi::Value EngineObject::dispose(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Promise::Deferred disposal(info.Env());
    if (engine_ == nullptr) {
      disposal.Resolve(info.Env().Undefined());
    } else {
      disposals_.push_back(disposal);
      // Open until Closed comes.
      if (!disposed_) open_one();
      engine_->stop();
    }
    disposed_ = true;
    return disposal.Promise();
  });
}

}  // namespace xgenmm
