// random-model TEXT.gguf VISION.gguf VOCABULARY.gguf q4_k_m|f16 full|small: a plain phi3 file,
// which llama.cpp reads too, and the vision part that goes with it, of the official checkpoints'
// dimensions and with pseudo-random weights; `small` has two layers in place of 32, 27 and 6.
// VOCABULARY.gguf is a phi3 file without tensors.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "ggml.h"
#include "gguf.h"

namespace {

constexpr int64_t kWidth = 3072, kMlpWidth = 8192, kHeads = 32, kVocabulary = 32064;
constexpr int64_t kTileSide = 384, kPatchSide = 14, kTowerWidth = 1152, kTowerHeads = 16;
constexpr int64_t kTowerMlpWidth = 4320;  // 4304, filled up to whole blocks
constexpr int64_t kLatents = 128, kResamplerHeads = 16, kResamplerHeadSize = 96;

struct Layers {
  int text, tower, resampler;
};
constexpr Layers kFull{32, 27, 6}, kSmall{2, 2, 2};

struct GgufFree {
  void operator()(gguf_context* context) const { gguf_free(context); }
};
struct GgmlFree {
  void operator()(ggml_context* context) const { ggml_free(context); }
};
struct FileClose {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// SplitMix64: enough for weights that nobody trusts.
class Random {
 public:
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  void fill(std::vector<uint64_t>& words) {
    for (uint64_t& word : words) word = next();
  }

 private:
  uint64_t state_ = 1;
};

void put_half(uint8_t* at, double value) {
  const ggml_fp16_t half = ggml_fp32_to_fp16(static_cast<float>(value));
  std::memcpy(at, &half, sizeof half);
}

// Makes random bytes values of this standard deviation: everything in a block is random already but
// its scale. The divisors are the deviation of a block with scale 1.
void scale(uint8_t* bytes, size_t size, ggml_type type, double deviation) {
  // Values of either sign and 1 to 2 times 2 ** exponent deviate by 1.53 times that.
  const int exponent = static_cast<int>(std::lround(std::log2(deviation / 1.53)));
  const size_t block = ggml_type_size(type);
  for (size_t at = 0; at + block <= size; at += block) {
    uint8_t* const p = bytes + at;
    switch (type) {
      case GGML_TYPE_F32: {
        uint32_t bits;
        std::memcpy(&bits, p, sizeof bits);
        bits = (bits & 0x807fffffu) | static_cast<uint32_t>(127 + exponent) << 23;
        std::memcpy(p, &bits, sizeof bits);
        break;
      }
      case GGML_TYPE_F16: {
        uint16_t bits;
        std::memcpy(&bits, p, sizeof bits);
        bits = static_cast<uint16_t>((bits & 0x83ffu) | static_cast<unsigned>(15 + exponent) << 10);
        std::memcpy(p, &bits, sizeof bits);
        break;
      }
      case GGML_TYPE_Q8_0:
        put_half(p, deviation / 74);
        break;
      case GGML_TYPE_Q4_K:
        put_half(p, deviation / 258);
        put_half(p + 2, 7.5 * deviation / 258);
        break;
      case GGML_TYPE_Q6_K:
        put_half(p + 208, deviation / 1365);
        break;
      default:
        throw std::runtime_error("no random values of this type");
    }
  }
}

// A GGUF file: first everything that it is to hold, then write().
class RandomFile {
 public:
  RandomFile() : keys_(gguf_init_empty()) {
    tensors_.reset(ggml_init({ggml_tensor_overhead() * 1024, nullptr, true}));
  }

  gguf_context* keys() { return keys_.get(); }
  void set(const std::string& key, int64_t value) {
    gguf_set_val_u32(keys(), key.c_str(), static_cast<uint32_t>(value));
  }
  void set(const std::string& key, const char* value) {
    gguf_set_val_str(keys(), key.c_str(), value);
  }
  void add(const std::string& name, ggml_type type, std::vector<int64_t> shape) {
    ggml_tensor* tensor =
        ggml_new_tensor(tensors_.get(), type, static_cast<int>(shape.size()), shape.data());
    ggml_set_name(tensor, name.c_str());
    gguf_add_tensor(keys(), tensor);
  }
  void add_vector(const std::string& name, int64_t length) { add(name, GGML_TYPE_F32, {length}); }
  void add_norm(const std::string& name, int64_t width) {
    add_vector(name + ".weight", width);
    add_vector(name + ".bias", width);
  }

  void write(const std::string& path, Random& random) {
    const std::unique_ptr<std::FILE, FileClose> file(std::fopen(path.c_str(), "wb"));
    if (!file || !gguf_write_to_file_ptr(keys(), file.get(), true)) fail(path);
    for (ggml_tensor* tensor = ggml_get_first_tensor(tensors_.get()); tensor != nullptr;
         tensor = ggml_get_next_tensor(tensors_.get(), tensor)) {
      write_tensor(*tensor, *file, path, random);
    }
    if (std::fflush(file.get()) != 0) fail(path);
  }

 private:
  [[noreturn]] static void fail(const std::string& path) {
    throw std::runtime_error("cannot write " + path);
  }

  void write_tensor(const ggml_tensor& tensor, std::FILE& file, const std::string& path,
                    Random& random) {
    const size_t size = ggml_nbytes(&tensor);
    const size_t block = ggml_type_size(tensor.type);
    const bool is_kernel = std::strstr(tensor.name, "patch_embd.weight") != nullptr;
    const int64_t row = is_kernel ? tensor.ne[0] * tensor.ne[1] * tensor.ne[2] : tensor.ne[0];
    for (size_t done = 0; done < size;) {
      const size_t count = std::min(size - done, kChunkBlocks * block);
      words_.resize((count + sizeof(uint64_t) - 1) / sizeof(uint64_t));
      auto* bytes = reinterpret_cast<uint8_t*>(words_.data());
      if (ggml_n_dims(&tensor) == 1) {
        // Norms change nothing.
        const float value = std::strstr(tensor.name, ".weight") != nullptr ? 1.0f : 0.0f;
        for (size_t at = 0; at < count; at += sizeof value)
          std::memcpy(bytes + at, &value, sizeof value);
      } else {
        random.fill(words_);
        scale(bytes, count, tensor.type, 1 / std::sqrt(static_cast<double>(row)));
      }
      if (std::fwrite(bytes, 1, count, &file) != count) fail(path);
      done += count;
    }
    const char zeros[GGUF_DEFAULT_ALIGNMENT] = {};
    const size_t padding = GGML_PAD(size, GGUF_DEFAULT_ALIGNMENT) - size;
    if (std::fwrite(zeros, 1, padding, &file) != padding) fail(path);
  }

  static constexpr size_t kChunkBlocks = 1 << 16;
  std::unique_ptr<gguf_context, GgufFree> keys_;
  std::unique_ptr<ggml_context, GgmlFree> tensors_;
  std::vector<uint64_t> words_;
};

// The layers whose attn_qkv and ffn_down are Q6_K in q4_k_m: docs/gguf-format.md.
bool is_delicate(int layer, int layers) {
  const int eighth = layers / 8;
  return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

void write_text(const std::string& path, const std::string& vocabulary, bool quantised, int layers,
                Random& random) {
  const std::unique_ptr<gguf_context, GgufFree> words(
      gguf_init_from_file(vocabulary.c_str(), {true, nullptr}));
  if (!words) throw std::runtime_error("cannot read " + vocabulary);
  RandomFile file;
  gguf_set_kv(file.keys(), words.get());
  file.set("general.name", "random phi3");
  file.set("general.file_type", quantised ? 15 : 1);
  file.set("phi3.embedding_length", kWidth);
  file.set("phi3.block_count", layers);
  file.set("phi3.feed_forward_length", kMlpWidth);
  file.set("phi3.attention.head_count", kHeads);
  file.set("phi3.attention.head_count_kv", kHeads);
  file.set("phi3.rope.dimension_count", kWidth / kHeads);
  const ggml_type most = quantised ? GGML_TYPE_Q4_K : GGML_TYPE_F16;
  const ggml_type more = quantised ? GGML_TYPE_Q6_K : GGML_TYPE_F16;
  file.add("token_embd.weight", most, {kWidth, kVocabulary});
  file.add("output.weight", more, {kWidth, kVocabulary});
  file.add_vector("output_norm.weight", kWidth);
  for (int n = 0; n < layers; ++n) {
    const std::string block = "blk." + std::to_string(n) + ".";
    const ggml_type some = is_delicate(n, layers) ? more : most;
    file.add_vector(block + "attn_norm.weight", kWidth);
    file.add(block + "attn_qkv.weight", some, {kWidth, 3 * kWidth});
    file.add(block + "attn_output.weight", most, {kWidth, kWidth});
    file.add_vector(block + "ffn_norm.weight", kWidth);
    file.add(block + "ffn_up.weight", most, {kWidth, 2 * kMlpWidth});
    file.add(block + "ffn_down.weight", some, {kMlpWidth, kWidth});
  }
  file.write(path, random);
}

void add_tower(RandomFile& file, ggml_type matrix, int layers) {
  const int64_t grid = kTileSide / kPatchSide;
  file.set("clip.vision.image_size", kTileSide);
  file.set("clip.vision.patch_size", kPatchSide);
  file.set("clip.vision.embedding_length", kTowerWidth);
  file.set("clip.vision.feed_forward_length", kTowerMlpWidth);
  file.set("clip.vision.block_count", layers);
  file.set("clip.vision.attention.head_count", kTowerHeads);
  gguf_set_val_f32(file.keys(), "clip.vision.attention.layer_norm_epsilon", 1e-6f);
  file.add("v.patch_embd.weight", GGML_TYPE_F16, {kPatchSide, kPatchSide, 3, kTowerWidth});
  file.add_vector("v.patch_embd.bias", kTowerWidth);
  file.add("v.position_embd.weight", GGML_TYPE_F32, {kTowerWidth, grid * grid});
  file.add_norm("v.post_ln", kTowerWidth);
  for (int n = 0; n < layers; ++n) {
    const std::string block = "v.blk." + std::to_string(n) + ".";
    file.add_norm(block + "ln1", kTowerWidth);
    file.add_norm(block + "ln2", kTowerWidth);
    for (const char* part : {"q", "k", "v", "out"}) {
      file.add(block + "attn_" + part + ".weight", matrix, {kTowerWidth, kTowerWidth});
      file.add_vector(block + "attn_" + part + ".bias", kTowerWidth);
    }
    file.add(block + "ffn_up.weight", matrix, {kTowerWidth, kTowerMlpWidth});
    file.add_vector(block + "ffn_up.bias", kTowerMlpWidth);
    file.add(block + "ffn_down.weight", matrix, {kTowerMlpWidth, kTowerWidth});
    file.add_vector(block + "ffn_down.bias", kTowerWidth);
  }
}

void add_resampler(RandomFile& file, ggml_type matrix, int layers) {
  const int64_t inner = kResamplerHeads * kResamplerHeadSize;
  file.set("resampler.block_count", layers);
  file.set("resampler.head_count", kResamplerHeads);
  file.set("resampler.head_dim", kResamplerHeadSize);
  file.set("resampler.latent_count", kLatents);
  gguf_set_val_f32(file.keys(), "resampler.layer_norm_epsilon", 1e-5f);
  file.add("resampler.latents", GGML_TYPE_F32, {kTowerWidth, kLatents});
  file.add_norm("resampler.norm", kTowerWidth);
  file.add("resampler.proj.weight", matrix, {kTowerWidth, kWidth});
  file.add_vector("resampler.proj.bias", kWidth);
  for (int n = 0; n < layers; ++n) {
    const std::string block = "resampler.blk." + std::to_string(n) + ".";
    file.add_norm(block + "norm_media", kTowerWidth);
    file.add_norm(block + "norm_latents", kTowerWidth);
    file.add(block + "attn_q.weight", matrix, {kTowerWidth, inner});
    file.add(block + "attn_kv.weight", matrix, {kTowerWidth, 2 * inner});
    file.add(block + "attn_out.weight", matrix, {inner, kTowerWidth});
    file.add_norm(block + "ffn_norm", kTowerWidth);
    file.add(block + "ffn_up.weight", matrix, {kTowerWidth, 4 * kTowerWidth});
    file.add(block + "ffn_down.weight", matrix, {4 * kTowerWidth, kTowerWidth});
  }
}

void write_vision(const std::string& path, bool quantised, const Layers& layers, Random& random) {
  RandomFile file;
  file.set("general.architecture", "xgenmm");
  file.set("general.name", "random vision");
  file.set("general.alignment", GGUF_DEFAULT_ALIGNMENT);
  file.set("general.file_type", quantised ? 7 : 1);
  file.set("general.quantization_version", 2);
  file.set("xgenmm.format_version", 1);
  file.set("xgenmm.variant", "instruct-interleave");
  file.set("xgenmm.image_mode", "anyres");
  file.set("xgenmm.image_separator", "\n");
  const int32_t one = kTileSide;
  const std::vector<int32_t> grids = {one,     2 * one, 2 * one, one, 2 * one,
                                      2 * one, 3 * one, one,     one, 3 * one};
  gguf_set_arr_data(file.keys(), "xgenmm.anyres_grids", GGUF_TYPE_INT32, grids.data(),
                    grids.size());
  const ggml_type matrix = quantised ? GGML_TYPE_Q8_0 : GGML_TYPE_F16;
  add_tower(file, matrix, layers.tower);
  add_resampler(file, matrix, layers.resampler);
  file.write(path, random);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() != 5 || (arguments[3] != "q4_k_m" && arguments[3] != "f16") ||
      (arguments[4] != "full" && arguments[4] != "small")) {
    std::fprintf(
        stderr,
        "usage: random-model TEXT.gguf VISION.gguf VOCABULARY.gguf q4_k_m|f16 full|small\n");
    return 2;
  }
  try {
    Random random;
    const bool quantised = arguments[3] == "q4_k_m";
    const Layers& layers = arguments[4] == "full" ? kFull : kSmall;
    write_text(arguments[0], arguments[2], quantised, layers.text, random);
    write_vision(arguments[1], quantised, layers, random);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "random-model: %s\n", error.what());
    return 1;
  }
}
