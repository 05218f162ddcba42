#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "engine/event.h"
#include "image/tiling.h"
#include "sampling/sampler.h"

namespace xgenmm {

// Plain data that asks the engine for something.
struct EncodeRequest {
  PictureView picture;  // must stay as it is until the request has ended
  ImageMode mode;
};

// tokens: ids, -1-k for all rows of images[k]; images: each [rows, text width].
struct PromptData {
  std::vector<int32_t> tokens;
  std::vector<std::vector<float>> images;
};

struct GenerateRequest {
  PromptData prompt;
  SamplingOptions sampling;
  int max_tokens;
  std::vector<std::string> stop;
};

struct LogitsRequest {
  PromptData prompt;
  int last;  // how many of the last positions; 0: all
  bool hidden = false;  // the residual stream there is wanted too
};

using Request = std::variant<EncodeRequest, GenerateRequest, LogitsRequest>;

}  // namespace xgenmm
