#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gguf/file.h"
#include "image/tiling.h"

namespace xgenmm {

// phi-3's hyper-parameters.
struct TextConfig {
  int width;
  int layers;
  int mlp_width;
  int heads;
  int kv_heads;
  int head_dim;
  int context_length;
  int window;  // keys a query sees, itself included; 0: all
  int vocab_size;
  float rms_epsilon;
  float rope_theta;

  int kv_width() const { return kv_heads * head_dim; }
};

// SigLIP's hyper-parameters.
struct TowerConfig {
  int tile;  // pixels per side
  int patch;  // pixels per side
  int width;
  int layers;
  int mlp_width;  // after padding
  int heads;
  float epsilon;

  int grid() const { return tile / patch; }
  int patches() const { return grid() * grid(); }
};

struct ResamplerConfig {
  int layers;
  int heads;
  int head_dim;
  int latents;
  float epsilon;

  int inner_width() const { return heads * head_dim; }
};

struct VisionConfig {
  TowerConfig tower;
  ResamplerConfig resampler;
  int output_width;  // width of the language model that the resampler projects to
  ImageMode image_mode;
  std::vector<Canvas> canvases;
  int max_tiles;  // of any picture in any mode
};

// What a file says about itself beside the tensors' shapes.
struct ModelIdentity {
  std::string name;
  std::string variant;  // empty for a plain phi3 file
  std::string image_separator;  // what a chat puts after a picture
};

// How the checkpoint's authors let it answer. For people: the engine does what it is asked.
struct GenerationDefaults {
  uint32_t max_tokens;
  float temperature;  // 0: greedy
  float repetition_penalty;  // 1: none
};

// Each reads and checks its part: every number is in a sane range and consistent with the others,
// so that no later product overflows. Throws kModelInvalid, or kModelUnsupported for a sound file
// of a kind that is not run here.
ModelIdentity read_identity(const GgufFile& file);
TextConfig read_text_config(const GgufFile& file);
// Empty when the file has no vision part.
std::optional<VisionConfig> read_vision_config(const GgufFile& file);
// Empty when the file says nothing about it.
std::optional<GenerationDefaults> read_generation_defaults(const GgufFile& file);

}  // namespace xgenmm
