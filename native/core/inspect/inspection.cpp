#include "inspect/inspection.h"

#include <algorithm>
#include <tuple>

#include "base/error.h"
#include "gguf/tensor_table.h"
#include "text/kv_shape.h"
#include "text/phi3.h"
#include "text/vocabulary_file.h"
#include "vision/image_encoder.h"

namespace xgenmm {

namespace {

using Part = TensorGroup::Part;

constexpr int kUsualContexts[] = {1024, 2048, 4096};

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

Part part_of(const std::string& tensor) {
  if (starts_with(tensor, "v.")) return Part::kVision;
  if (starts_with(tensor, "resampler.")) return Part::kResampler;
  if (starts_with(tensor, "blk.") || starts_with(tensor, "token_embd.") ||
      starts_with(tensor, "output")) {
    return Part::kText;
  }
  return Part::kOther;
}

std::vector<TensorGroup> group_tensors(const GgufFile& file) {
  std::vector<TensorGroup> groups;
  for (const TensorInfo& tensor : file.tensors()) {
    const Part part = part_of(tensor.name);
    auto group = std::find_if(groups.begin(), groups.end(), [&](const TensorGroup& known) {
      return known.part == part && known.type == tensor.type;
    });
    if (group == groups.end()) group = groups.insert(group, {part, tensor.type, 0, 0, 0});
    uint64_t elements = 1;
    for (const int64_t extent : tensor.shape) elements *= static_cast<uint64_t>(extent);
    group->count += 1;
    group->elements += elements;
    group->bytes += tensor.size;
  }
  std::sort(groups.begin(), groups.end(), [](const TensorGroup& a, const TensorGroup& b) {
    return std::tie(a.part, b.bytes, a.type) < std::tie(b.part, a.bytes, b.type);
  });
  return groups;
}

std::vector<int> context_sizes(const TextConfig& config, int wanted) {
  if (wanted > config.context_length) {
    throw Error(ErrorCode::kInvalidArgument,
                "expected a context of at most " + std::to_string(config.context_length) +
                    ", which is what this model was trained for, received " +
                    std::to_string(wanted));
  }
  if (wanted > 0) return {wanted};
  std::vector<int> sizes;
  for (const int size : kUsualContexts) {
    sizes.push_back(std::min(size, config.context_length));
    if (size >= config.context_length) break;
  }
  return sizes;
}

KvEstimate estimate(const TextConfig& config, int context_size) {
  const int rows = kv_ring(config, context_size, Phi3::kMaxChunk);
  const auto bytes = [&](ggml_type type) -> std::optional<uint64_t> {
    if (!kv_type_fits(config, type)) return std::nullopt;
    return kv_slot_bytes(config, type, rows);
  };
  return {context_size, rows, bytes(GGML_TYPE_F32), bytes(GGML_TYPE_F16), bytes(GGML_TYPE_Q8_0)};
}

Inspection::Text inspect_text(const GgufFile& file, bool plain, int context_size) {
  Inspection::Text text;
  text.config = read_text_config(file);
  const bool tied = plain && file.find_tensor("output.weight") == nullptr;
  check_tensors(file, text_tensors(text.config, tied, !plain));
  const Vocabulary vocabulary = read_vocabulary(file, text.config.vocab_size);
  check_vocabulary(vocabulary);
  text.tokenizer_style = vocabulary.style;
  text.added_tokens =
      static_cast<int>(std::count_if(vocabulary.types.begin(), vocabulary.types.end(), is_added));
  text.f32 = file.find_tensor("blk.0.attn_qkv.weight")->type == GGML_TYPE_F32;
  for (const int size : context_sizes(text.config, context_size)) {
    text.kv.push_back(estimate(text.config, size));
  }
  return text;
}

// By reserving the largest graphs as loading does for the default number of threads, over a slot
// that just holds a chunk. Columns that meet packed weights take a little more or less.
uint64_t measure_working_memory(const Inspection& inspection,
                                const std::shared_ptr<const GgufFile>& file) {
  CpuDevice device(0);
  if (inspection.text) {
    const TextConfig& config = inspection.text->config;
    const ggml_type type = inspection.text->f32 ? GGML_TYPE_F32 : GGML_TYPE_F16;
    const Phi3 phi3(config, file, device);
    KvCache cache(config, type, Phi3::kMaxChunk, Phi3::kMaxChunk, 1, phi3.layer_devices());
    cache.claim();
    phi3.reserve(cache);
  }
  size_t state = 0;
  if (inspection.vision) {
    ImageEncoder encoder(*inspection.vision, file, device);
    encoder.reserve();
    state = encoder.state_bytes();
  }
  return state + device.activation_bytes();
}

}  // namespace

Inspection inspect_file(const std::string& path, int context_size) {
  const auto mapped = std::make_shared<const GgufFile>(path);
  const GgufFile& file = *mapped;
  Inspection result;
  result.file_bytes = file.size();
  result.architecture = file.string("general.architecture");
  const bool plain = result.architecture == "phi3";
  result.vision = read_vision_config(file);
  // A vision part may stand alone, whatever its file says it is.
  const bool has_text =
      file.has("phi3.block_count") || file.find_tensor("token_embd.weight") != nullptr;
  const bool vision_only = result.vision && !has_text;
  if (vision_only && result.architecture != "xgenmm") {
    result.identity.name = file.string("general.name", "");
  } else {
    result.identity = read_identity(file);
  }
  result.format_version = file.u32("xgenmm.format_version", 0);
  if (!vision_only) result.text = inspect_text(file, plain, context_size);
  if (result.vision) {
    check_tensors(file, vision_tensors(*result.vision));
    if (result.text && result.vision->output_width != result.text->config.width) {
      file.fail("the vision part makes embeddings of " +
                std::to_string(result.vision->output_width) + ", but the language model is " +
                std::to_string(result.text->config.width) + " wide");
    }
  } else if (!plain) {
    file.fail("expected a vision part, but key \"clip.vision.block_count\" is missing");
  }
  result.generation = read_generation_defaults(file);
  result.tensors = group_tensors(file);
  result.working_bytes = measure_working_memory(result, mapped);
  return result;
}

}  // namespace xgenmm
