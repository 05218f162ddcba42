#include "engine/model.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/name_list.h"
#include "engine/model_placement.h"
#include "text/vocabulary_file.h"

namespace xgenmm {

namespace {

constexpr int kDefaultContext = 4096;

// Of embeddings: 17 pictures of five tiles at the official models' width.
constexpr size_t kEmbeddingCacheBytes = size_t{128} << 20;

int choose_context(const LoadOptions& options, const TextConfig& config) {
  if (options.context_size == 0) return std::min(config.context_length, kDefaultContext);
  if (options.context_size > config.context_length) {
    throw Error(ErrorCode::kInvalidArgument,
                "expected a contextSize of at most " + std::to_string(config.context_length) +
                    ", which is what this model was trained for, received " +
                    std::to_string(options.context_size));
  }
  return options.context_size;
}

Speculation choose_speculation(const LoadOptions& options) {
  const bool off = options.importance || lists_name(std::getenv("XGENMM_WITHOUT"), "speculation");
  return off ? Speculation::kOff : options.speculation;
}

ggml_type choose_kv_type(const std::string& name, bool f32_weights) {
  if (name == "f32") return GGML_TYPE_F32;
  if (name == "f16") return GGML_TYPE_F16;
  if (name == "q8_0") return GGML_TYPE_Q8_0;
  return f32_weights ? GGML_TYPE_F32 : GGML_TYPE_F16;
}

}  // namespace

Model::Model(const LoadOptions& options, const std::function<void(double)>& progress)
    : cpu_(options.threads, options.importance),
      embedding_cache_(kEmbeddingCacheBytes),
      draft_policy_(choose_speculation(options)) {
  progress(0.0);
  auto text_file = std::make_shared<const GgufFile>(options.text_path);
  auto vision_file = options.vision_path.empty()
                         ? text_file
                         : std::make_shared<const GgufFile>(options.vision_path);
  identity_ = read_identity(*text_file);
  TextConfig config = read_text_config(*text_file);
  if (options.sliding_window >= 0) config.window = options.sliding_window;
  const std::optional<VisionConfig> vision = read_vision_config(*vision_file);
  if (!vision && (!identity_.variant.empty() || !options.vision_path.empty())) {
    vision_file->fail("expected a vision part, but key \"clip.vision.block_count\" is missing");
  }
  if (vision && vision->output_width != config.width) {
    vision_file->fail("the vision part makes embeddings of " +
                      std::to_string(vision->output_width) + ", but the language model is " +
                      std::to_string(config.width) + " wide");
  }
  Vocabulary vocabulary = read_vocabulary(*text_file, config.vocab_size);
  if (!options.tokenizer_style.empty()) {
    vocabulary.style =
        options.tokenizer_style == "slow" ? TokenizerStyle::kSlow : TokenizerStyle::kFast;
  }
  tokenizer_ = std::make_unique<Tokenizer>(std::move(vocabulary));
  // The instruct models end a turn with any of the three, the base model with <|endoftext|> alone
  // (MODEL 1.15).
  for (const char* text : {"<|endoftext|>", "<|end|>", "<|assistant|>"}) {
    const int32_t id = tokenizer_->find_added(text);
    if (id >= 0) stop_tokens_.insert(id);
    if (identity_.variant == "base") break;
  }
  progress(0.1);
  const auto part = [&](double from, double to) {
    return [&progress, from, to](double fraction) { progress(from + fraction * (to - from)); };
  };
  text_ = std::make_unique<Phi3>(config, text_file, cpu_);
  context_size_ = choose_context(options, config);
  kv_type_ = choose_kv_type(options.kv_type, text_->is_f32());
  if (vision) vision_ = std::make_unique<ImageEncoder>(*vision, vision_file, cpu_);
  place(options, part(0.1, 0.7));
  if (vision_) vision_->reserve();
  progress(0.7);
  kv_cache_ = std::make_unique<KvCache>(config, kv_type_, context_size_, Phi3::kMaxChunk,
                                        options.max_sequences, text_->layer_devices());
  kv_cache_->allocate(part(0.7, 1.0));
  text_->reserve(*kv_cache_);
  progress(1.0);
}

void Model::place(const LoadOptions& options, const std::function<void(double)>& progress) {
  ModelPlacement placement =
      place_model(options, *text_, vision_.get(), kv_type_, context_size_, cpu_);
  gpus_ = std::move(placement.gpus);
  const double text_share = vision_ ? 0.85 : 1.0;
  text_->place(placement.units, [&](double fraction) { progress(text_share * fraction); });
  if (!vision_) return;
  vision_->place(*placement.vision,
                 [&](double fraction) { progress(text_share + (1.0 - text_share) * fraction); });
}

int Model::gpu_layers() const {
  const std::vector<Device*> layers = text_->layer_devices();
  return static_cast<int>(std::count_if(layers.begin(), layers.end(),
                                        [](const Device* device) { return !device->is_cpu(); }));
}

std::string Model::device_name() const {
  std::string names;
  for (const auto& gpu : gpus_) {
    const std::vector<Device*> layers = text_->layer_devices();
    if (std::find(layers.begin(), layers.end(), gpu.get()) == layers.end()) continue;
    names += (names.empty() ? "" : ", ") + gpu->name();
  }
  return names.empty() ? cpu_.name() : names;
}

std::string Model::vision_device_name() const {
  return vision_ ? vision_->device().name() : "";
}

void Model::set_abort(const std::function<bool()>& abort) {
  cpu_.set_abort(abort);
  for (const auto& gpu : gpus_) gpu->set_abort(abort);
}

}  // namespace xgenmm
