#include "gguf/config.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace xgenmm {

namespace {

constexpr uint32_t kMaxWidth = 1 << 16;
constexpr uint32_t kMaxLayers = 512;
constexpr uint32_t kMaxHeads = 1024;
constexpr uint32_t kMaxContext = 1 << 20;
constexpr uint32_t kMaxTile = 4096;
constexpr uint32_t kMaxLatents = 1 << 14;
constexpr size_t kMaxCanvases = 64;
constexpr int kMaxCrops = 16;

int checked(const GgufFile& file, const std::string& key, uint32_t value, uint32_t low,
            uint32_t high) {
  if (value < low || value > high) {
    file.fail("key \"" + key + "\" must be from " + std::to_string(low) + " to " +
              std::to_string(high) + ", received " + std::to_string(value));
  }
  return static_cast<int>(value);
}

int number(const GgufFile& file, const std::string& key, uint32_t high) {
  return checked(file, key, file.u32(key), 1, high);
}

float positive(const GgufFile& file, const std::string& key, float value) {
  if (!std::isfinite(value) || value <= 0)
    file.fail("key \"" + key + "\" must be a positive number");
  return value;
}

float positive(const GgufFile& file, const std::string& key) {
  return positive(file, key, file.f32(key));
}

ImageMode image_mode(const GgufFile& file) {
  const std::string mode = file.string("xgenmm.image_mode");
  if (mode == "anyres") return ImageMode::kAnyres;
  if (mode == "squash") return ImageMode::kSquash;
  if (mode == "pad") return ImageMode::kPad;
  file.fail("key \"xgenmm.image_mode\" must be anyres, squash or pad");
}

std::vector<Canvas> canvases(const GgufFile& file, int tile) {
  const std::string key = "xgenmm.anyres_grids";
  const std::vector<int32_t> sides = file.i32_array(key);
  if (sides.empty() || sides.size() % 2 != 0 || sides.size() / 2 > kMaxCanvases) {
    file.fail("key \"" + key + "\" must hold 1 to 64 pairs of width and height");
  }
  std::vector<Canvas> result;
  for (size_t i = 0; i < sides.size(); i += 2) {
    const Canvas canvas{sides[i], sides[i + 1]};
    const auto whole_tiles = [&](int side) {
      return side > 0 && side % tile == 0 && side / tile <= kMaxCrops;
    };
    if (!whole_tiles(canvas.width) || !whole_tiles(canvas.height) ||
        (canvas.width / tile) * (canvas.height / tile) > kMaxCrops) {
      file.fail("key \"" + key + "\" must hold multiples of the tile side " + std::to_string(tile) +
                " with at most 16 tiles each");
    }
    result.push_back(canvas);
  }
  return result;
}

TowerConfig read_tower(const GgufFile& file) {
  TowerConfig tower;
  tower.tile = number(file, "clip.vision.image_size", kMaxTile);
  tower.patch = number(file, "clip.vision.patch_size", kMaxTile);
  tower.width = number(file, "clip.vision.embedding_length", kMaxWidth);
  tower.mlp_width = number(file, "clip.vision.feed_forward_length", kMaxWidth);
  tower.layers = number(file, "clip.vision.block_count", kMaxLayers);
  tower.heads = number(file, "clip.vision.attention.head_count", kMaxHeads);
  tower.epsilon = positive(file, "clip.vision.attention.layer_norm_epsilon");
  if (tower.patch > tower.tile) file.fail("the vision tower's patches are larger than its tiles");
  if (tower.width % tower.heads != 0)
    file.fail("the vision tower's width is not a multiple of its heads");
  return tower;
}

ResamplerConfig read_resampler(const GgufFile& file) {
  ResamplerConfig resampler;
  resampler.layers = number(file, "resampler.block_count", kMaxLayers);
  resampler.heads = number(file, "resampler.head_count", kMaxHeads);
  resampler.head_dim = number(file, "resampler.head_dim", kMaxWidth / kMaxHeads * 16);
  resampler.latents = number(file, "resampler.latent_count", kMaxLatents);
  resampler.epsilon = positive(file, "resampler.layer_norm_epsilon");
  return resampler;
}

std::string architecture(const GgufFile& file) {
  const std::string name = file.string("general.architecture");
  if (name != "xgenmm" && name != "phi3") {
    throw Error(ErrorCode::kModelUnsupported,
                file.path() + ": expected a model of architecture xgenmm or phi3, received \"" +
                    name.substr(0, 64) + "\"");
  }
  return name;
}

}  // namespace

ModelIdentity read_identity(const GgufFile& file) {
  ModelIdentity identity{file.string("general.name", ""), "", ""};
  if (architecture(file) == "phi3") return identity;
  const uint32_t version = file.u32("xgenmm.format_version");
  if (version != 1) {
    throw Error(
        ErrorCode::kModelUnsupported,
        file.path() + ": expected xgenmm.format_version 1, received " + std::to_string(version));
  }
  identity.variant = file.string("xgenmm.variant");
  const char* const known[] = {"base", "instruct-singleimg", "instruct-interleave", "instruct-dpo"};
  if (std::find(std::begin(known), std::end(known), identity.variant) == std::end(known)) {
    file.fail("key \"xgenmm.variant\" names an unknown variant");
  }
  identity.image_separator = file.string("xgenmm.image_separator");
  if (identity.image_separator.size() > 64) file.fail("key \"xgenmm.image_separator\" is too long");
  return identity;
}

TextConfig read_text_config(const GgufFile& file) {
  if (architecture(file) == "phi3" && (file.has("phi3.rope.scaling.attn_factor") ||
                                       file.find_tensor("rope_factors_long.weight") != nullptr ||
                                       file.find_tensor("rope_factors_short.weight") != nullptr)) {
    throw Error(ErrorCode::kModelUnsupported,
                file.path() + ": expected plain rotary embeddings, received a long-rope phi3 file");
  }
  TextConfig text;
  text.width = number(file, "phi3.embedding_length", kMaxWidth);
  text.layers = number(file, "phi3.block_count", kMaxLayers);
  text.mlp_width = number(file, "phi3.feed_forward_length", kMaxWidth);
  text.heads = number(file, "phi3.attention.head_count", kMaxHeads);
  const std::string kv_key = "phi3.attention.head_count_kv";
  text.kv_heads =
      checked(file, kv_key, file.u32(kv_key, static_cast<uint32_t>(text.heads)), 1, kMaxHeads);
  text.context_length = number(file, "phi3.context_length", kMaxContext);
  const std::string window_key = "phi3.attention.sliding_window";
  text.window = checked(file, window_key, file.u32(window_key, 0), 0, kMaxContext);
  text.rms_epsilon = positive(file, "phi3.attention.layer_norm_rms_epsilon");
  text.rope_theta =
      positive(file, "phi3.rope.freq_base", file.f32("phi3.rope.freq_base", 10000.0f));
  if (text.width % text.heads != 0 || text.heads % text.kv_heads != 0) {
    file.fail("the language model's width, heads and key/value heads do not divide each other");
  }
  text.head_dim = text.width / text.heads;
  if (text.head_dim % 2 != 0) file.fail("the language model's head size must be even");
  const uint32_t rotated =
      file.u32("phi3.rope.dimension_count", static_cast<uint32_t>(text.head_dim));
  if (rotated != static_cast<uint32_t>(text.head_dim)) {
    throw Error(ErrorCode::kModelUnsupported,
                file.path() + ": expected rotary embeddings over whole heads, " +
                    "received phi3.rope.dimension_count " + std::to_string(rotated));
  }
  const TensorInfo* embedding = file.find_tensor("token_embd.weight");
  if (embedding == nullptr) file.fail("tensor \"token_embd.weight\" is missing");
  if (embedding->shape[1] > INT32_MAX) file.fail("tensor \"token_embd.weight\" has too many rows");
  text.vocab_size = static_cast<int>(embedding->shape[1]);
  return text;
}

std::optional<VisionConfig> read_vision_config(const GgufFile& file) {
  if (!file.has("clip.vision.block_count")) return std::nullopt;
  VisionConfig vision;
  vision.tower = read_tower(file);
  vision.resampler = read_resampler(file);
  vision.image_mode = image_mode(file);
  vision.canvases = canvases(file, vision.tower.tile);
  vision.max_tiles = 1;
  for (const Canvas& canvas : vision.canvases) {
    const int crops = (canvas.width / vision.tower.tile) * (canvas.height / vision.tower.tile);
    vision.max_tiles = std::max(vision.max_tiles, 1 + crops);
  }
  const TensorInfo* projection = file.find_tensor("resampler.proj.weight");
  if (projection == nullptr) file.fail("tensor \"resampler.proj.weight\" is missing");
  if (projection->shape[1] > kMaxWidth)
    file.fail("tensor \"resampler.proj.weight\" has too many rows");
  vision.output_width = static_cast<int>(projection->shape[1]);
  return vision;
}

std::optional<GenerationDefaults> read_generation_defaults(const GgufFile& file) {
  if (!file.has("xgenmm.generation.max_tokens")) return std::nullopt;
  const std::string temperature_key = "xgenmm.generation.temperature";
  const float temperature = file.f32(temperature_key, 0.0f);
  if (temperature != 0.0f) positive(file, temperature_key, temperature);
  const std::string penalty_key = "xgenmm.generation.repetition_penalty";
  return GenerationDefaults{file.u32("xgenmm.generation.max_tokens"), temperature,
                            positive(file, penalty_key, file.f32(penalty_key, 1.0f))};
}

}  // namespace xgenmm
