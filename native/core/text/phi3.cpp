#include "text/phi3.h"

#include <algorithm>
#include <cstring>

#include "text/device_attention.h"
#include "text/host_attention.h"

namespace xgenmm {

namespace {

// An upper bound of a layer's operations but for attention on another device, and of the rest.
constexpr size_t kLayerNodes = 24;
constexpr size_t kOtherNodes = 64;

std::vector<TensorSpec> tensor_table(const TextConfig& config, const GgufFile& file) {
  const bool plain = file.string("general.architecture") == "phi3";
  return text_tensors(config, plain && file.find_tensor("output.weight") == nullptr, !plain);
}

// [columns, width] of each layer -> [columns, layers, width]
std::vector<float> interleave(const std::vector<std::vector<float>>& layers, size_t width) {
  if (layers.empty()) return {};
  const size_t columns = layers.front().size() / width;
  std::vector<float> result(columns * layers.size() * width);
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    for (size_t i = 0; i < columns; ++i) {
      std::copy_n(layers[layer].data() + i * width, width,
                  result.data() + (i * layers.size() + layer) * width);
    }
  }
  return result;
}

}  // namespace

Phi3::Phi3(const TextConfig& config, std::shared_ptr<const GgufFile> file, CpuDevice& cpu)
    : config_(config),
      weights_(file, tensor_table(config, *file)),
      cpu_(cpu),
      units_(static_cast<size_t>(config.layers) + 1, &cpu) {
  embedding_ = weights_.get("token_embd.weight");
  find_tensors();
  is_f32_ = layers_.front().qkv->type == GGML_TYPE_F32;
}

void Phi3::find_tensors() {
  layers_.clear();
  for (int i = 0; i < config_.layers; ++i) {
    const auto get = [&](const char* name) {
      return weights_.get("blk." + std::to_string(i) + "." + name);
    };
    layers_.push_back({get("attn_norm.weight"), get("attn_qkv.weight"), get("attn_output.weight"),
                       get("ffn_norm.weight"), get("ffn_up.weight"), get("ffn_down.weight")});
  }
  output_norm_ = weights_.get("output_norm.weight");
  output_ = weights_.find("output.weight");
  if (output_ == nullptr) output_ = weights_.get("token_embd.weight");
  output_bias_ = weights_.find("output.bias");
}

std::vector<std::string> Phi3::tensor_names(int unit) const {
  std::vector<const ggml_tensor*> tensors{output_norm_, output_};
  if (unit < config_.layers) {
    const Phi3Layer& layer = layers_[static_cast<size_t>(unit)];
    tensors = {layer.attn_norm, layer.qkv, layer.output, layer.ffn_norm, layer.up, layer.down};
  } else if (output_bias_ != nullptr) {
    tensors.push_back(output_bias_);
  }
  std::vector<std::string> names;
  for (const ggml_tensor* tensor : tensors) names.emplace_back(tensor->name);
  return names;
}

size_t Phi3::widened_bytes() const {
  int64_t values = ggml_nelements(output_);
  for (const Phi3Layer& layer : layers_) {
    for (const ggml_tensor* matrix : {layer.qkv, layer.output, layer.up, layer.down})
      values = std::max(values, ggml_nelements(matrix));
  }
  return static_cast<size_t>(values) * sizeof(float);
}

void Phi3::place(const std::vector<Device*>& units, const std::function<void(double)>& progress) {
  units_ = units;
  std::vector<Device*> devices;
  for (Device* device : units) {
    if (device != &cpu_ && std::find(devices.begin(), devices.end(), device) == devices.end())
      devices.push_back(device);
  }
  const double parts = static_cast<double>(devices.size()) + 1;
  double done = 0;
  const auto part = [&](double fraction) { progress((done + fraction) / parts); };
  for (Device* device : devices) {
    std::vector<std::string> names;
    for (int unit = 0; unit < this->units(); ++unit) {
      if (units[static_cast<size_t>(unit)] != device) continue;
      for (std::string& name : tensor_names(unit)) names.push_back(std::move(name));
    }
    weights_.upload(*device, names, part);
    ++done;
  }
  find_tensors();
  weights_.pack(cpu_.pool(), cpu_.free_memory(), output_ == embedding_ ? nullptr : embedding_,
                part);
}

Batch Phi3::largest_batch(const KvCache& cache) const {
  Batch largest;
  for (int i = 0; i < cache.slots(); ++i) {
    const KvSlot& slot = cache.slot(i);
    const int count = i == 0 ? std::min(kMaxChunk, slot.ring()) : 1;
    // Where all rows of the ring are looked at.
    largest.add(slot, slot.ring() - count, count, std::min(count, kMaxOutputs));
  }
  return largest;
}

bool Phi3::supports(Device& device, int unit, const KvCache& cache) const {
  Batch decoding;
  for (int i = 0; i < cache.slots(); ++i) decoding.add(cache.slot(i), 0, 1, 1);
  for (const Batch& batch : {largest_batch(cache), decoding}) {
    if (!device.supports(*make_segment(device, unit, unit + 1, batch, nullptr, false).graph))
      return false;
  }
  return true;
}

size_t Phi3::measure(Device& device, const KvCache& cache) const {
  const Batch batch = largest_batch(cache);
  return device.measure(*make_segment(device, 0, units(), batch, nullptr, false).graph);
}

void Phi3::reserve(const KvCache& cache) const {
  Batch batch = largest_batch(cache);
  // Of zeros come keys and values that are zero, as they are in slots that nobody has used.
  batch.embeddings.resize(static_cast<size_t>(batch.count) * static_cast<size_t>(config_.width));
  const std::unique_ptr<Step> step = make_step(std::move(batch), nullptr, false);
  for (Segment& segment : step->segments) segment.device->reserve(*segment.graph);
  prepare(*step);
  for (Segment& segment : step->segments) {
    if (!segment.device->is_cpu()) segment.device->compute(*segment.graph);
  }
}

bool Phi3::forward(const std::vector<Continuation>& parts, std::vector<float>& logits, Taps* taps,
                   std::vector<float>* hidden) {
  Batch batch = make_batch(parts);
  for (const Continuation& part : parts) part.slot->begin_write(part.count);
  std::unique_ptr<Step> fresh;
  const bool plain = taps == nullptr && hidden == nullptr;
  bool again = plain && last_ && last_->batch.is_like(batch) && is_planned(*last_);
  if (again) {
    last_->batch.take(batch);
    again = prepare(*last_);
  }
  if (!again) {
    fresh = make_step(std::move(batch), taps, hidden != nullptr);
    prepare(*fresh);
  }
  if (plain && fresh) last_ = std::move(fresh);
  std::vector<std::vector<float>> layers;
  if (!compute(plain ? *last_ : *fresh, logits, taps, layers)) return false;
  if (hidden != nullptr) *hidden = interleave(layers, static_cast<size_t>(config_.width));
  for (const Continuation& part : parts) {
    std::vector<PromptPosition> positions;
    for (int i = 0; i < part.sure(); ++i) positions.push_back(part[i]);
    for (PromptPosition& position : positions) part.slot->append(std::move(position));
  }
  return true;
}

bool Phi3::is_planned(const Step& step) {
  return std::all_of(step.segments.begin(), step.segments.end(), [](const Segment& segment) {
    return segment.device->has_planned(*segment.graph);
  });
}

bool Phi3::prepare(Step& step) {
  return std::all_of(step.segments.begin(), step.segments.end(),
                     [](Segment& segment) { return segment.attention->prepare(); });
}

bool Phi3::compute(Step& step, std::vector<float>& logits, Taps* taps,
                   std::vector<std::vector<float>>& hidden) {
  logits.clear();
  for (size_t i = 0; i < step.segments.size(); ++i) {
    Segment& segment = step.segments[i];
    if (!segment.device->compute(*segment.graph)) return false;
    if (taps != nullptr) segment.graph->collect_taps(taps);
    // The next graph on this device takes their memory.
    for (const ggml_tensor* layer : segment.hidden) hidden.push_back(Graph::read(layer));
    if (segment.out == nullptr) continue;
    // What comes in stays where the graph has been told that it is.
    std::vector<float>& out = i + 1 < step.segments.size() ? step.segments[i + 1].input : logits;
    out.resize(static_cast<size_t>(ggml_nelements(segment.out)));
    Graph::read(segment.out, out.data());
  }
  return true;
}

Batch Phi3::make_batch(const std::vector<Continuation>& parts) const {
  Batch batch;
  const auto width = static_cast<size_t>(config_.width);
  for (const Continuation& part : parts) {
    const auto at = static_cast<size_t>(batch.count) * width;
    batch.add(*part.slot, part.slot->length(), part.count, part.outputs);
    batch.embeddings.resize(static_cast<size_t>(batch.count) * width);
    for (int i = 0; i < part.count; ++i)
      embed(part, i, batch.embeddings.data() + at + static_cast<size_t>(i) * width);
  }
  return batch;
}

void Phi3::embed(const Continuation& part, int index, float* out) const {
  const PromptPosition position = part[index];
  const size_t width = static_cast<size_t>(config_.width);
  if (position.token < 0) {
    std::memcpy(out, part.prompt->image_row(part.slot->length() + index), width * sizeof(float));
    return;
  }
  const char* row = static_cast<const char*>(embedding_->data) +
                    embedding_->nb[1] * static_cast<size_t>(position.token);
  if (embedding_->type == GGML_TYPE_F32) {
    std::memcpy(out, row, width * sizeof(float));
  } else {
    ggml_get_type_traits(embedding_->type)->to_float(row, out, config_.width);
  }
}

std::unique_ptr<Phi3::Step> Phi3::make_step(Batch batch, const Taps* taps, bool hidden) const {
  auto step = std::make_unique<Step>(Step{std::move(batch), {}});
  // Without outputs the last layer's keys and values are all that is wanted.
  const int end = step->batch.outputs.empty() ? config_.layers : units();
  for (int first = 0; first < end;) {
    Device* device = units_[static_cast<size_t>(first)];
    int last = first + 1;
    while (last < end && units_[static_cast<size_t>(last)] == device) ++last;
    step->segments.push_back(make_segment(*device, first, last, step->batch, taps, hidden));
    first = last;
  }
  return step;
}

Phi3::Segment Phi3::make_segment(Device& device, int first, int last, const Batch& batch,
                                 const Taps* taps, bool hidden) const {
  Segment segment{&device, first, last, nullptr, nullptr, {}, nullptr, {}};
  size_t layer_nodes = kLayerNodes;
  if (!device.is_cpu()) layer_nodes += DeviceAttention::nodes(batch);
  segment.graph = device.graph(layer_nodes * static_cast<size_t>(last - first) + kOtherNodes);
  if (device.is_cpu()) {
    segment.attention = std::make_unique<HostAttention>(config_, cpu_, batch,
                                                        static_cast<CpuGraph&>(*segment.graph));
  } else {
    segment.attention = std::make_unique<DeviceAttention>(config_, batch, *segment.graph);
  }
  build(segment, batch, taps, hidden);
  return segment;
}

void Phi3::build(Segment& segment, const Batch& batch, const Taps* taps, bool hidden) const {
  Graph& graph = *segment.graph;
  ggml_context* context = graph.context();
  const int64_t wanted_count = static_cast<int64_t>(batch.outputs.size());
  const bool trimmed_before = segment.first == config_.layers && trims();
  const int64_t columns = trimmed_before ? wanted_count : batch.count;
  const float* data = batch.embeddings.data();
  if (segment.first > 0) {
    segment.input.resize(static_cast<size_t>(columns * config_.width));
    data = segment.input.data();
  }
  ggml_tensor* x = graph.input(GGML_TYPE_F32, {config_.width, columns}, data);
  ggml_tensor* wanted = nullptr;
  if (wanted_count > 0) wanted = graph.input(GGML_TYPE_I32, {wanted_count}, batch.outputs.data());
  const auto keep = [&](bool trimmed) {
    if (!hidden || wanted == nullptr) return;
    segment.hidden.push_back(graph.output(trimmed ? x : ggml_get_rows(context, x, wanted)));
  };
  if (segment.first == 0) keep(false);
  for (int i = segment.first; i < std::min(segment.last, config_.layers); ++i) {
    const Phi3Layer& layer = layers_[static_cast<size_t>(i)];
    const bool trim = i + 1 == config_.layers && trims();
    ggml_tensor* h = graph.rms_norm(x, layer.attn_norm, config_.rms_epsilon);
    ggml_tensor* queries = segment.attention->rotate_and_store(graph.linear(h, layer.qkv), i);
    if (trim) {
      graph.expand(queries);
      if (wanted == nullptr) return;
      queries = ggml_get_rows(context, queries, wanted);
      x = ggml_get_rows(context, x, wanted);
    }
    ggml_tensor* y = segment.attention->attend(queries, i, trim);
    x = graph.linear_onto(x, y, layer.output);
    h = graph.rms_norm(x, layer.ffn_norm, config_.rms_epsilon);
    x = graph.linear_onto(x, graph.linear_gated_silu(h, layer.up), layer.down);
    keep(trim);
  }
  graph.expand(x);
  if (segment.last < units()) {
    if (segment.last < config_.layers || wanted != nullptr) segment.out = graph.output(x);
    return;
  }
  if (!trims()) x = ggml_get_rows(context, x, wanted);
  x = graph.rms_norm(x, output_norm_, config_.rms_epsilon);
  graph.tap("hidden", x, taps);
  segment.out = graph.output(graph.linear(x, output_, output_bias_));
}

}  // namespace xgenmm
