#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "sampling/logprobs.h"
#include "text/vocabulary.h"
#include "vision/image_encoder.h"

namespace xgenmm {

// What the engine tells its owner about a request; plain data. Request 0 is the load.
namespace event {

struct Progress {
  double fraction;  // of loading, of encoding a picture, of reading a prompt
};
struct Loaded {
  std::string variant;  // empty for a plain phi3 file
  std::string name;
  std::optional<ImageMode> image_mode;  // empty for a text-only model
  std::string image_separator;
  TokenizerStyle tokenizer_style;
  int context_size;
  int vocab_size;
  int width;  // of embeddings
  std::string device;  // of the language model's layers: "CPU", "CUDA0, CUDA1"
  int gpu_layers;
  std::string vision_device;  // empty for a text-only model
  std::string kv_type;
  int threads;
};
struct Encoded {
  EncodedImage image;
};
struct Text {
  std::string text;  // complete UTF-8
};
enum class FinishReason { kStop, kStopString, kLength, kContext, kCancelled };
struct Generated {
  std::string text;
  std::vector<int32_t> tokens;  // without the stop token
  FinishReason reason;
  int prompt_tokens;
  int cached_tokens;
  double prefill_ms;
  double generate_ms;
  Logprobs logprobs;  // empty unless asked for
};
struct Logits {
  std::vector<int32_t> tokens;  // one per position
  std::vector<float> logits;  // [rows, vocab_size]
  int vocab_size;
  // [layers + 1, rows, width]: what enters the first layer, then what each layer gives; empty
  // unless asked for.
  std::vector<float> hidden;
};
struct Cancelled {};
struct Failed {
  ErrorCode code;
  std::string message;
};
// The very last event: every request has ended, the model is freed and the thread is leaving.
struct Closed {};

}  // namespace event

using RequestId = uint32_t;

struct Event {
  RequestId request;
  std::variant<event::Progress, event::Loaded, event::Encoded, event::Text, event::Generated,
               event::Logits, event::Cancelled, event::Failed, event::Closed>
      body;
};

using EventSink = std::function<void(Event)>;

}  // namespace xgenmm
