#include "report.h"

#include "convert.h"

namespace xgenmm {

namespace {

template <typename T, typename Write>
Napi::Array write_list(Napi::Env env, const std::vector<T>& items, Write write) {
  Napi::Array array = Napi::Array::New(env, items.size());
  for (size_t i = 0; i < items.size(); ++i) array[static_cast<uint32_t>(i)] = write(items[i]);
  return array;
}

const char* part_name(TensorGroup::Part part) {
  switch (part) {
    case TensorGroup::Part::kText:
      return "text";
    case TensorGroup::Part::kVision:
      return "vision";
    case TensorGroup::Part::kResampler:
      return "resampler";
    case TensorGroup::Part::kOther:
      return "other";
  }
  return "";
}

Napi::Object write_kv(Napi::Env env, const KvEstimate& estimate) {
  Napi::Object out = Napi::Object::New(env);
  out["contextSize"] = estimate.context_size;
  out["rows"] = estimate.rows;
  const auto bytes = [&](const char* name, const std::optional<uint64_t>& value) {
    if (value) out[name] = static_cast<double>(*value);
  };
  bytes("f32", estimate.f32);
  bytes("f16", estimate.f16);
  bytes("q8_0", estimate.q8_0);
  return out;
}

Napi::Object write_text(Napi::Env env, const Inspection::Text& text) {
  const TextConfig& config = text.config;
  Napi::Object out = Napi::Object::New(env);
  out["layers"] = config.layers;
  out["width"] = config.width;
  out["mlpWidth"] = config.mlp_width;
  out["heads"] = config.heads;
  out["kvHeads"] = config.kv_heads;
  out["headSize"] = config.head_dim;
  out["window"] = config.window;
  out["contextLength"] = config.context_length;
  out["vocabSize"] = config.vocab_size;
  out["tokenizerStyle"] = text.tokenizer_style == TokenizerStyle::kSlow ? "slow" : "fast";
  out["addedTokens"] = text.added_tokens;
  out["kvType"] = text.f32 ? "f32" : "f16";
  out["kv"] =
      write_list(env, text.kv, [&](const KvEstimate& estimate) { return write_kv(env, estimate); });
  return out;
}

Napi::Object write_vision(Napi::Env env, const VisionConfig& vision) {
  const TowerConfig& tower = vision.tower;
  Napi::Object out = Napi::Object::New(env);
  out["imageMode"] = image_mode_name(vision.image_mode);
  out["grids"] = write_list(env, vision.canvases, [&](const Canvas& canvas) {
    Napi::Object grid = Napi::Object::New(env);
    grid["columns"] = canvas.width / tower.tile;
    grid["rows"] = canvas.height / tower.tile;
    return grid;
  });
  out["tile"] = tower.tile;
  out["patch"] = tower.patch;
  out["layers"] = tower.layers;
  out["width"] = tower.width;
  out["mlpWidth"] = tower.mlp_width;
  out["heads"] = tower.heads;
  return out;
}

Napi::Object write_resampler(Napi::Env env, const VisionConfig& vision) {
  Napi::Object out = Napi::Object::New(env);
  out["layers"] = vision.resampler.layers;
  out["heads"] = vision.resampler.heads;
  out["headSize"] = vision.resampler.head_dim;
  out["latents"] = vision.resampler.latents;
  out["outputWidth"] = vision.output_width;
  return out;
}

Napi::Object write_generation(Napi::Env env, const GenerationDefaults& generation) {
  Napi::Object out = Napi::Object::New(env);
  out["maxTokens"] = generation.max_tokens;
  out["temperature"] = generation.temperature;
  out["repetitionPenalty"] = generation.repetition_penalty;
  return out;
}

Napi::Object write_group(Napi::Env env, const TensorGroup& group) {
  Napi::Object out = Napi::Object::New(env);
  out["part"] = part_name(group.part);
  out["type"] = ggml_type_name(group.type);
  out["count"] = static_cast<double>(group.count);
  out["elements"] = static_cast<double>(group.elements);
  out["bytes"] = static_cast<double>(group.bytes);
  return out;
}

Napi::Object write_key(Napi::Env env, const KeyRange& range) {
  Napi::Object out = Napi::Object::New(env);
  out["key"] = range.key;
  out["begin"] = static_cast<double>(range.begin);
  out["end"] = static_cast<double>(range.end);
  return out;
}

Napi::Object write_tensor(Napi::Env env, const TensorInfo& tensor, size_t position) {
  Napi::Array shape = Napi::Array::New(env, tensor.dimensions);
  for (uint32_t i = 0; i < tensor.dimensions; ++i) shape[i] = static_cast<double>(tensor.shape[i]);
  Napi::Object out = Napi::Object::New(env);
  out["name"] = tensor.name;
  out["shape"] = shape;
  out["type"] = ggml_type_name(tensor.type);
  out["position"] = static_cast<double>(position);
  out["bytes"] = static_cast<double>(tensor.size);
  return out;
}

Napi::Object write_backend(Napi::Env env, const SystemInfo::Backend& backend) {
  Napi::Object features = Napi::Object::New(env);
  for (const auto& [name, value] : backend.features) features[name] = value;
  Napi::Object out = Napi::Object::New(env);
  out["name"] = backend.name;
  out["features"] = features;
  return out;
}

Napi::Object write_device(Napi::Env env, const SystemInfo::Device& device) {
  Napi::Object out = Napi::Object::New(env);
  out["name"] = device.name;
  out["description"] = device.description;
  out["backend"] = device.backend;
  out["kind"] = device.kind;
  out["freeBytes"] = static_cast<double>(device.free_bytes);
  out["totalBytes"] = static_cast<double>(device.total_bytes);
  return out;
}

}  // namespace

Napi::Object write_inspection(Napi::Env env, const Inspection& inspection) {
  Napi::Object out = Napi::Object::New(env);
  out["fileBytes"] = static_cast<double>(inspection.file_bytes);
  out["workingBytes"] = static_cast<double>(inspection.working_bytes);
  out["architecture"] = inspection.architecture;
  out["formatVersion"] = inspection.format_version;
  out["variant"] = inspection.identity.variant;
  out["name"] = inspection.identity.name;
  if (inspection.text) out["text"] = write_text(env, *inspection.text);
  if (inspection.generation) out["generation"] = write_generation(env, *inspection.generation);
  if (inspection.vision) {
    out["vision"] = write_vision(env, *inspection.vision);
    out["resampler"] = write_resampler(env, *inspection.vision);
  }
  out["tensors"] = write_list(env, inspection.tensors,
                              [&](const TensorGroup& group) { return write_group(env, group); });
  return out;
}

Napi::Object write_listing(Napi::Env env, const GgufFile& file) {
  Napi::Object out = Napi::Object::New(env);
  out["metadata"] =
      write_list(env, file.keys(), [&](const KeyRange& range) { return write_key(env, range); });
  out["tensors"] = write_list(env, file.tensors(), [&](const TensorInfo& tensor) {
    return write_tensor(env, tensor, file.position(tensor));
  });
  return out;
}

Napi::Object write_cores(Napi::Env env, const Cores& cores) {
  Napi::Object out = Napi::Object::New(env);
  out["processors"] = cores.processors;
  out["physical"] = cores.physical;
  out["fast"] = cores.fast;
  out["quota"] = cores.quota;
  return out;
}

Napi::Object write_system_info(Napi::Env env, const SystemInfo& info) {
  Napi::Object out = Napi::Object::New(env);
  out["ggmlVersion"] = info.ggml_version;
  out["cores"] = write_cores(env, info.cores);
  out["defaultThreads"] = info.default_threads;
  out["instructions"] = write_list(env, info.instructions, [&](const std::string& name) {
    return Napi::String::New(env, name);
  });
  out["backends"] = write_list(env, info.backends, [&](const SystemInfo::Backend& backend) {
    return write_backend(env, backend);
  });
  out["devices"] = write_list(env, info.devices, [&](const SystemInfo::Device& device) {
    return write_device(env, device);
  });
  return out;
}

}  // namespace xgenmm
