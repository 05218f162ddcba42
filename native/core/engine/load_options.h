#pragma once

#include <string>

#include "engine/draft_policy.h"

namespace xgenmm {

struct LoadOptions {
  std::string text_path;  // UTF-8
  std::string vision_path;  // empty: the vision part of text_path, if it has one
  int threads = 0;  // 0: CpuDevice's choice
  std::string device = "auto";  // cpu, cuda, metal, vulkan; auto: a GPU if there is one
  int gpu_layers = -1;  // -1: as many as fit
  std::string vision_device = "auto";  // likewise; auto: where the language model is, if it fits
  int context_size = 0;  // 0: the model's own, at most 4096
  int max_sequences = 2;
  std::string kv_type = "auto";  // f32, f16, q8_0; auto: f32 for an F32 file, else f16
  std::string tokenizer_style;  // slow, fast; empty: what the file says
  int sliding_window = -1;  // -1: what the file says; 0: none
  bool importance = false;  // sum up what meets each weight
  // Never where importance is summed up: guesses that do not come true would count.
  Speculation speculation = Speculation::kAuto;
};

}  // namespace xgenmm
