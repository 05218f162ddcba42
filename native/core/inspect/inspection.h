#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gguf/config.h"
#include "text/vocabulary.h"

namespace xgenmm {

// Tensors of one part and one type, summed.
struct TensorGroup {
  enum class Part { kText, kVision, kResampler, kOther };
  Part part;
  ggml_type type;
  int64_t count;
  uint64_t elements;
  uint64_t bytes;
};

// What one sequence's keys and values take for a context of this size.
struct KvEstimate {
  int context_size;
  int rows;  // of the ring
  // Bytes; nothing where the model's heads do not allow the type.
  std::optional<uint64_t> f32, f16, q8_0;
};

// What is in a model file, without loading it.
struct Inspection {
  struct Text {
    TextConfig config;
    TokenizerStyle tokenizer_style;
    int added_tokens;
    bool f32;  // computed in f32 throughout
    std::vector<KvEstimate> kv;
  };

  uint64_t file_bytes;
  std::string architecture;
  uint32_t format_version;  // 0 for a file that is not of our format
  ModelIdentity identity;
  std::optional<Text> text;
  std::optional<VisionConfig> vision;
  std::optional<GenerationDefaults> generation;
  std::vector<TensorGroup> tensors;  // by part, then by size
  // What loading reserves for computing, keys and values aside.
  uint64_t working_bytes;
};

// Reads and checks a file as loading would: a whole model, a text-only one, or a vision part alone.
// context_size: what Text::kv is computed for; 0 for 1024, 2048 and 4096, up to the model's own.
// Throws kFileNotFound, kModelInvalid, kModelUnsupported, and kInvalidArgument for a context size
// that the model does not have.
Inspection inspect_file(const std::string& path, int context_size);

}  // namespace xgenmm
