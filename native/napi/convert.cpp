#include "convert.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace xgenmm {

namespace {

[[noreturn]] void wrong(const std::string& what) {
  throw Error(ErrorCode::kInvalidArgument, "expected " + what);
}

Napi::Object object(const Napi::Value& value, const char* name) {
  if (!value.IsObject()) wrong(std::string("an object for ") + name);
  return value.As<Napi::Object>();
}

std::string text(const Napi::Value& value, const char* name) {
  if (!value.IsString()) wrong(std::string("a string for ") + name);
  return value.As<Napi::String>().Utf8Value();
}

std::string optional_text(const Napi::Value& value, const char* name) {
  return value.IsUndefined() ? "" : text(value, name);
}

std::string device(const Napi::Value& value, const char* name) {
  std::string kind = text(value, name);
  for (const char* known : {"auto", "cpu", "cuda", "metal", "vulkan"}) {
    if (kind == known) return kind;
  }
  wrong(std::string("auto, cpu, cuda, metal or vulkan for ") + name);
}

float number(const Napi::Value& value, const char* name, double low, double high) {
  const double result = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (!(result >= low && result <= high)) {
    wrong(std::string("a number from ") + std::to_string(low) + " to " + std::to_string(high) +
          " for " + name);
  }
  return static_cast<float>(result);
}

bool is_typed_array(const Napi::Value& value, napi_typedarray_type type) {
  return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == type;
}

PromptData read_prompt(const Napi::Value& value) {
  const Napi::Object prompt = object(value, "prompt");
  PromptData data{read_tokens(prompt.Get("tokens")), {}};
  const Napi::Value images = prompt.Get("images");
  if (!images.IsArray()) wrong("an array for prompt.images");
  const Napi::Array list = images.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Value image = list.Get(i);
    if (!is_typed_array(image, napi_float32_array)) wrong("a Float32Array for each image");
    const auto values = image.As<Napi::Float32Array>();
    data.images.emplace_back(values.Data(), values.Data() + values.ElementLength());
  }
  return data;
}

std::vector<std::pair<int32_t, float>> read_logit_bias(const Napi::Value& value) {
  const Napi::Object object = xgenmm::object(value, "logitBias");
  const std::vector<int32_t> tokens = read_tokens(object.Get("tokens"));
  const Napi::Value biases = object.Get("values");
  if (!is_typed_array(biases, napi_float32_array) ||
      biases.As<Napi::Float32Array>().ElementLength() != tokens.size()) {
    wrong("a Float32Array with a value for each token of logitBias");
  }
  std::vector<std::pair<int32_t, float>> result;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const float bias = biases.As<Napi::Float32Array>()[i];
    if (!(bias < INFINITY)) wrong("values for logitBias that are finite or -Infinity");
    result.emplace_back(tokens[i], bias);
  }
  return result;
}

Napi::Float32Array write_floats(Napi::Env env, const std::vector<float>& values) {
  // A copy, not an external buffer: Electron allows none.
  Napi::Float32Array array = Napi::Float32Array::New(env, values.size());
  if (!values.empty()) std::memcpy(array.Data(), values.data(), values.size() * sizeof(float));
  return array;
}

const char* reason_name(event::FinishReason reason) {
  switch (reason) {
    case event::FinishReason::kStop:
      return "stop";
    case event::FinishReason::kStopString:
      return "stop-string";
    case event::FinishReason::kLength:
      return "length";
    case event::FinishReason::kContext:
      return "context";
    case event::FinishReason::kCancelled:
      return "cancelled";
  }
  return "";
}

Napi::Object write_info(Napi::Env env, const event::Loaded& loaded) {
  Napi::Object info = Napi::Object::New(env);
  info["variant"] = loaded.variant;
  info["name"] = loaded.name;
  info["imageMode"] = loaded.image_mode ? image_mode_name(*loaded.image_mode) : "";
  info["imageSeparator"] = loaded.image_separator;
  info["tokenizerStyle"] = loaded.tokenizer_style == TokenizerStyle::kSlow ? "slow" : "fast";
  info["contextSize"] = loaded.context_size;
  info["vocabSize"] = loaded.vocab_size;
  info["width"] = loaded.width;
  info["device"] = loaded.device;
  info["gpuLayers"] = loaded.gpu_layers;
  info["visionDevice"] = loaded.vision_device;
  info["kvType"] = loaded.kv_type;
  info["threads"] = loaded.threads;
  return info;
}

// Fills in the event's own fields and returns its type.
struct BodyWriter {
  Napi::Env env;
  Napi::Object out;

  const char* operator()(const event::Progress& body) {
    out["fraction"] = body.fraction;
    return "progress";
  }
  const char* operator()(const event::Loaded& body) {
    out["info"] = write_info(env, body);
    return "loaded";
  }
  const char* operator()(const event::Encoded& body) {
    const EncodedImage& image = body.image;
    out["embeddings"] = write_floats(env, image.embeddings);
    out["tokenCount"] = image.tokens;
    out["width"] = image.width;
    out["columns"] = image.columns;
    out["rows"] = image.rows;
    out["preprocessMs"] = image.preprocess_ms;
    out["visionMs"] = image.vision_ms;
    out["resampleMs"] = image.resample_ms;
    return "encoded";
  }
  const char* operator()(const event::Text& body) {
    out["text"] = body.text;
    return "text";
  }
  const char* operator()(const event::Generated& body) {
    out["text"] = body.text;
    out["tokens"] = write_tokens(env, body.tokens);
    out["finishReason"] = reason_name(body.reason);
    out["promptTokens"] = body.prompt_tokens;
    out["cachedTokens"] = body.cached_tokens;
    out["prefillMs"] = body.prefill_ms;
    out["generateMs"] = body.generate_ms;
    out["logprobs"] = write_floats(env, body.logprobs.chosen);
    out["topTokens"] = write_tokens(env, body.logprobs.top_tokens);
    out["topLogprobs"] = write_floats(env, body.logprobs.top);
    return "generated";
  }
  const char* operator()(const event::Logits& body) {
    out["tokens"] = write_tokens(env, body.tokens);
    out["logits"] = write_floats(env, body.logits);
    out["vocabSize"] = body.vocab_size;
    out["hidden"] = write_floats(env, body.hidden);
    return "logits";
  }
  const char* operator()(const event::Cancelled&) { return "cancelled"; }
  const char* operator()(const event::Failed& body) {
    out["code"] = error_code_name(body.code);
    out["message"] = body.message;
    return "error";
  }
  const char* operator()(const event::Closed&) { return "closed"; }
};

}  // namespace

LoadOptions read_load_options(const Napi::Value& value) {
  const Napi::Object object = xgenmm::object(value, "options");
  LoadOptions options;
  options.text_path = text(object.Get("textPath"), "textPath");
  options.vision_path = optional_text(object.Get("visionPath"), "visionPath");
  options.device = device(object.Get("device"), "device");
  options.gpu_layers = read_int(object.Get("gpuLayers"), "gpuLayers", -1, 1 << 20);
  options.vision_device = device(object.Get("visionDevice"), "visionDevice");
  options.threads = read_int(object.Get("threads"), "threads", 0, GGML_MAX_N_THREADS);
  options.context_size = read_int(object.Get("contextSize"), "contextSize", 0, 1 << 20);
  options.max_sequences = read_int(object.Get("maxSequences"), "maxSequences", 1, 256);
  options.kv_type = text(object.Get("kvType"), "kvType");
  options.tokenizer_style = text(object.Get("tokenizerStyle"), "tokenizerStyle");
  options.sliding_window = read_int(object.Get("slidingWindow"), "slidingWindow", -1, 1 << 20);
  options.importance = read_bool(object.Get("importance"), "importance");
  return options;
}

std::vector<Segment> read_segments(const Napi::Value& value) {
  if (!value.IsArray()) wrong("an array of segments");
  const Napi::Array list = value.As<Napi::Array>();
  std::vector<Segment> segments;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Object item = object(list.Get(i), "a segment");
    const std::string kind = text(item.Get("kind"), "a segment's kind");
    if (kind == "image") {
      segments.push_back({Segment::Kind::kImage, ""});
    } else if (kind == "special" || kind == "text") {
      segments.push_back({kind == "text" ? Segment::Kind::kText : Segment::Kind::kSpecial,
                          text(item.Get("text"), "a segment's text")});
    } else {
      wrong("text, special or image for a segment's kind");
    }
  }
  return segments;
}

std::vector<int32_t> read_tokens(const Napi::Value& value) {
  if (!is_typed_array(value, napi_int32_array)) wrong("an Int32Array of tokens");
  const auto tokens = value.As<Napi::Int32Array>();
  return {tokens.Data(), tokens.Data() + tokens.ElementLength()};
}

EncodeRequest read_encode_request(const Napi::CallbackInfo& info) {
  if (!is_typed_array(info[1], napi_uint8_array)) wrong("a Uint8Array of pixels");
  const auto pixels = info[1].As<Napi::Uint8Array>();
  EncodeRequest request;
  request.picture.width = read_int(info[2], "width", 1, kMaxPictureSide);
  request.picture.height = read_int(info[3], "height", 1, kMaxPictureSide);
  request.picture.rgb = pixels.Data();
  request.picture.size = pixels.ElementLength();
  request.mode = read_image_mode(info[4]);
  check_picture(request.picture);
  return request;
}

SamplingOptions read_sampling_options(const Napi::Object& object) {
  constexpr double kMax = std::numeric_limits<float>::max();
  const auto real = [&](const char* name, double low, double high) {
    return number(object.Get(name), name, low, high);
  };
  const auto whole = [&](const char* name, int low, int high) {
    return read_int(object.Get(name), name, low, high);
  };
  SamplingOptions options;
  options.temperature = real("temperature", 0, kMax);
  options.top_k = whole("topK", 0, INT32_MAX);
  options.top_p = real("topP", 0, 1);
  options.min_p = real("minP", 0, 1);
  options.repetition_penalty = real("repetitionPenalty", 0, kMax);
  if (!(options.repetition_penalty > 0)) wrong("a repetitionPenalty above 0");
  options.presence_penalty = real("presencePenalty", -kMax, kMax);
  options.frequency_penalty = real("frequencyPenalty", -kMax, kMax);
  options.no_repeat_ngram = whole("noRepeatNgramSize", 0, INT32_MAX);
  options.min_tokens = whole("minTokens", 0, 1 << 20);
  options.logit_bias = read_logit_bias(object.Get("logitBias"));
  options.alternatives = whole("logprobs", -1, 20);
  const Napi::Value seed = object.Get("seed");
  if (!seed.IsBigInt()) wrong("a bigint for seed");
  bool lossless;
  options.seed = seed.As<Napi::BigInt>().Uint64Value(&lossless);
  return options;
}

GenerateRequest read_generate_request(const Napi::Value& prompt, const Napi::Value& value) {
  const Napi::Object options = object(value, "options");
  GenerateRequest request{read_prompt(prompt), {}, 0, {}};
  request.max_tokens = read_int(options.Get("maxTokens"), "maxTokens", 1, 1 << 20);
  request.sampling = read_sampling_options(options);
  const Napi::Value stop = options.Get("stop");
  if (!stop.IsArray()) wrong("an array for stop");
  const Napi::Array list = stop.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    request.stop.push_back(text(list.Get(i), "a stop string"));
    if (request.stop.back().empty()) wrong("stop strings that are not empty");
  }
  return request;
}

LogitsRequest read_logits_request(const Napi::CallbackInfo& info) {
  return {read_prompt(info[1]), read_int(info[2], "last", 0, 1 << 20),
          read_bool(info[3], "hidden")};
}

ImageMode read_image_mode(const Napi::Value& value) {
  const std::string name = text(value, "mode");
  for (const ImageMode mode : {ImageMode::kAnyres, ImageMode::kSquash, ImageMode::kPad}) {
    if (name == image_mode_name(mode)) return mode;
  }
  wrong("anyres, squash or pad for mode");
}

int read_int(const Napi::Value& value, const char* name, double low, double high) {
  const double result = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (!(result >= low && result <= high) || result != std::floor(result)) {
    wrong(std::string("a whole number from ") + std::to_string(static_cast<int64_t>(low)) + " to " +
          std::to_string(static_cast<int64_t>(high)) + " for " + name);
  }
  return static_cast<int>(result);
}

bool read_bool(const Napi::Value& value, const char* name) {
  if (!value.IsBoolean()) wrong(std::string("a boolean for ") + name);
  return value.As<Napi::Boolean>();
}

RequestId read_request_id(const Napi::Value& value) {
  return static_cast<RequestId>(read_int(value, "request", 0, INT32_MAX));
}

Napi::Object write_event(Napi::Env env, const Event& event) {
  Napi::Object out = Napi::Object::New(env);
  out["request"] = event.request;
  out["type"] = std::visit(BodyWriter{env, out}, event.body);
  return out;
}

Napi::Int32Array write_tokens(Napi::Env env, const std::vector<int32_t>& tokens) {
  Napi::Int32Array array = Napi::Int32Array::New(env, tokens.size());
  if (!tokens.empty()) std::memcpy(array.Data(), tokens.data(), tokens.size() * sizeof(int32_t));
  return array;
}

Napi::Array write_importance(Napi::Env env, const std::vector<ImportanceSums::Entry>& entries) {
  Napi::Array list = Napi::Array::New(env, entries.size());
  for (uint32_t i = 0; i < entries.size(); ++i) {
    const Napi::HandleScope scope(env);
    Napi::Object item = Napi::Object::New(env);
    item["name"] = entries[i].name;
    item["sums"] = write_floats(env, entries[i].sums);
    item["count"] = static_cast<double>(entries[i].count);
    list[i] = item;
  }
  return list;
}

const char* image_mode_name(ImageMode mode) {
  switch (mode) {
    case ImageMode::kAnyres:
      return "anyres";
    case ImageMode::kSquash:
      return "squash";
    case ImageMode::kPad:
      return "pad";
  }
  return "";
}

const char* error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kFileNotFound:
      return "ERR_XGENMM_FILE_NOT_FOUND";
    case ErrorCode::kModelInvalid:
      return "ERR_XGENMM_MODEL_INVALID";
    case ErrorCode::kModelUnsupported:
      return "ERR_XGENMM_MODEL_UNSUPPORTED";
    case ErrorCode::kOutOfMemory:
      return "ERR_XGENMM_OUT_OF_MEMORY";
    case ErrorCode::kDeviceUnavailable:
      return "ERR_XGENMM_DEVICE_UNAVAILABLE";
    case ErrorCode::kInvalidArgument:
      return "ERR_XGENMM_INVALID_ARGUMENT";
    case ErrorCode::kImageLimit:
      return "ERR_XGENMM_IMAGE_LIMIT";
    case ErrorCode::kContextOverflow:
      return "ERR_XGENMM_CONTEXT_OVERFLOW";
    case ErrorCode::kBusy:
      return "ERR_XGENMM_BUSY";
    case ErrorCode::kDisposed:
      return "ERR_XGENMM_DISPOSED";
    case ErrorCode::kInternal:
      break;
  }
  return "ERR_XGENMM_INTERNAL";
}

}  // namespace xgenmm
