#include "engine/model_placement.h"

#include <algorithm>

#include "base/error.h"
#include "engine/placement.h"
#include "text/kv_shape.h"

namespace xgenmm {

namespace {

// The GPUs that may be used, and for what.
struct Candidates {
  std::vector<std::unique_ptr<Gpu>> gpus;
  PlacementQuestion question;
};

Candidates open_candidates(const LoadOptions& options, bool has_vision) {
  Candidates candidates;
  const auto open = [&](const std::string& kind, bool text, bool vision) {
    for (std::unique_ptr<Gpu>& gpu : open_gpus(kind)) {
      const auto same = std::find_if(
          candidates.gpus.begin(), candidates.gpus.end(),
          [&](const std::unique_ptr<Gpu>& other) { return other->name() == gpu->name(); });
      if (same != candidates.gpus.end()) {
        candidates.question.gpus[static_cast<size_t>(same - candidates.gpus.begin())].takes_vision =
            vision;
        continue;
      }
      candidates.question.gpus.push_back({gpu->free_memory(), text, vision, 0, 0});
      candidates.gpus.push_back(std::move(gpu));
    }
  };
  candidates.question.gpu_layers = options.gpu_layers;
  if (options.importance) {
    const auto is_named = [](const std::string& kind) { return kind != "auto" && kind != "cpu"; };
    if (is_named(options.device) || is_named(options.vision_device)) {
      throw Error(ErrorCode::kInvalidArgument,
                  "expected the device \"cpu\" where importance is summed up, received \"" +
                      (is_named(options.device) ? options.device : options.vision_device) + "\"");
    }
    return candidates;
  }
  const bool vision_follows = has_vision && options.vision_device == "auto";
  if (options.device != "cpu") open(options.device, true, vision_follows);
  candidates.question.vision_asked =
      has_vision && options.vision_device != "auto" && options.vision_device != "cpu";
  if (candidates.question.vision_asked) open(options.vision_device, false, true);
  return candidates;
}

void ask_about_text(Candidates& candidates, const Phi3& text, const KvCache& shape, Gpu& gpu,
                    size_t index) {
  PlacementQuestion& question = candidates.question;
  const bool takes = question.gpus[index].takes_text;
  for (int unit = 0; unit < text.units(); ++unit) {
    PlacementQuestion::Part& part =
        unit < text.config().layers ? question.layers[static_cast<size_t>(unit)] : question.head;
    part.supported.push_back(takes && text.supports(gpu, unit, shape));
  }
  if (takes) question.gpus[index].computing = text.measure(gpu, shape) + text.widened_bytes();
}

}  // namespace

ModelPlacement place_model(const LoadOptions& options, const Phi3& text, ImageEncoder* vision,
                           ggml_type kv_type, int context_size, CpuDevice& cpu) {
  Candidates candidates = open_candidates(options, vision != nullptr);
  PlacementQuestion& question = candidates.question;
  const TextConfig& config = text.config();
  const int ring = kv_ring(config, context_size, Phi3::kMaxChunk);
  const size_t kv_bytes = kv_slot_bytes(config, kv_type, ring) /
                          static_cast<size_t>(config.layers) *
                          static_cast<size_t>(options.max_sequences);
  for (int i = 0; i < config.layers; ++i)
    question.layers.push_back({text.weight_bytes(i) + kv_bytes, {}});
  question.head.bytes = text.weight_bytes(config.layers);
  if (vision != nullptr) question.vision.bytes = vision->weight_bytes() + vision->state_bytes();
  for (size_t i = 0; i < candidates.gpus.size(); ++i) {
    Gpu& gpu = *candidates.gpus[i];
    KvCache shape(config, kv_type, context_size, Phi3::kMaxChunk, options.max_sequences,
                  std::vector<Device*>(static_cast<size_t>(config.layers), &gpu));
    shape.claim();
    ask_about_text(candidates, text, shape, gpu, i);
    const bool takes_vision = question.gpus[i].takes_vision;
    question.vision.supported.push_back(takes_vision && vision->supports(gpu));
    if (takes_vision)
      question.gpus[i].vision_computing = vision->measure(gpu) + vision->widened_bytes();
  }
  const Placement placement = place(question);
  const auto device = [&](int index) -> Device* {
    if (index == Placement::kCpu) return &cpu;
    return candidates.gpus[static_cast<size_t>(index)].get();
  };
  ModelPlacement result;
  for (const int layer : placement.layers) result.units.push_back(device(layer));
  result.units.push_back(device(placement.head));
  result.vision = device(placement.vision);
  for (std::unique_ptr<Gpu>& gpu : candidates.gpus) {
    const bool used =
        gpu.get() == result.vision ||
        std::find(result.units.begin(), result.units.end(), gpu.get()) != result.units.end();
    if (used) result.gpus.push_back(std::move(gpu));
  }
  return result;
}

}  // namespace xgenmm
