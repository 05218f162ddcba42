// How far quantised models are from what they stand for with our own kernels, and from ggml's.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>

#include "engine/model.h"
#include "fixture.h"
#include "gguf.h"
#include "harness.h"
#include "kernels/packed_product.h"
#include "without.h"

namespace xgenmm::test {
namespace {

constexpr int kPositions = 200;

std::unique_ptr<Model> load(const std::string& file) {
  LoadOptions options;
  options.device = "cpu";
  options.text_path = model_path(file);
  options.threads = 1;
  return std::make_unique<Model>(options, [](double) {});
}

EncodedImage encode(Model& model) {
  Picture picture{300, 200, {}};
  std::mt19937 random(5);
  for (int i = 0; i < picture.width * picture.height * 3; ++i)
    picture.rgb.push_back(static_cast<uint8_t>(i / 900 + static_cast<int>(random() % 32)));
  ImageEncoder& encoder = *model.vision();
  encoder.begin(picture, ImageMode::kAnyres);
  while (encoder.advance(std::numeric_limits<double>::infinity()) ==
         ImageEncoder::Progress::kMore) {
  }
  return encoder.take();
}

// What a file says of a picture and of a prompt of many tokens.
struct Outcome {
  std::vector<float> embeddings;  // [tokens, width]
  std::vector<float> logits;  // [positions, vocabulary]
  int width, vocabulary;

  explicit Outcome(const std::string& file) {
    const std::unique_ptr<Model> model = load(file);
    const EncodedImage image = encode(*model);
    embeddings = image.embeddings;
    width = image.width;
    vocabulary = model->text_config().vocab_size;
    std::mt19937 random(6);
    std::vector<int32_t> tokens;
    for (int i = 0; i < kPositions; ++i) tokens.push_back(static_cast<int32_t>(random() % 600));
    const Prompt prompt(tokens, {}, vocabulary);
    KvSlot& slot = model->kv_cache().slot(0);
    while (slot.length() < prompt.length()) {
      const int count = std::min(Phi3::kMaxOutputs, prompt.length() - slot.length());
      std::vector<float> rows;
      CHECK(model->text().forward({{&slot, &prompt, -1, count, count}}, rows));
      logits.insert(logits.end(), rows.begin(), rows.end());
    }
  }
};

// The mean over the embeddings.
double cosine(const Outcome& a, const Outcome& b) {
  double sum = 0;
  const size_t width = static_cast<size_t>(a.width);
  CHECK_EQ(a.embeddings.size(), b.embeddings.size());
  for (size_t row = 0; row < a.embeddings.size(); row += width) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = row; i < row + width; ++i) {
      const double x = static_cast<double>(a.embeddings[i]),
                   y = static_cast<double>(b.embeddings[i]);
      ab += x * y;
      aa += x * x;
      bb += y * y;
    }
    sum += ab / std::sqrt(aa * bb);
  }
  return sum / (static_cast<double>(a.embeddings.size()) / static_cast<double>(width));
}

std::vector<double> log_softmax(const float* logits, int count) {
  const double largest = static_cast<double>(*std::max_element(logits, logits + count));
  double sum = 0;
  for (int i = 0; i < count; ++i) sum += std::exp(static_cast<double>(logits[i]) - largest);
  std::vector<double> out;
  for (int i = 0; i < count; ++i)
    out.push_back(static_cast<double>(logits[i]) - largest - std::log(sum));
  return out;
}

// The mean over the positions of how far b's next-token distributions are from a's.
double divergence(const Outcome& a, const Outcome& b) {
  double sum = 0;
  const size_t positions = a.logits.size() / static_cast<size_t>(a.vocabulary);
  CHECK_EQ(a.logits.size(), b.logits.size());
  for (size_t row = 0; row < positions; ++row) {
    const size_t at = row * static_cast<size_t>(a.vocabulary);
    const auto p = log_softmax(a.logits.data() + at, a.vocabulary);
    const auto q = log_softmax(b.logits.data() + at, a.vocabulary);
    for (size_t i = 0; i < p.size(); ++i) sum += std::exp(p[i]) * (p[i] - q[i]);
  }
  return sum / static_cast<double>(positions);
}

struct FreeGguf {
  void operator()(gguf_context* file) const { gguf_free(file); }
};

// A file with the same values in f32, with which everything is computed exactly.
std::string widened(const std::string& file) {
  const std::string in = model_path(file), out = model_path("widened-" + file);
  ggml_context* tensors = nullptr;
  const std::unique_ptr<gguf_context, FreeGguf> source(
      gguf_init_from_file(in.c_str(), {false, &tensors}));
  const ContextHandle source_tensors(tensors);
  const std::unique_ptr<gguf_context, FreeGguf> target(gguf_init_empty());
  gguf_set_kv(target.get(), source.get());
  const ContextHandle wide(ggml_init({size_t{512} << 20, nullptr, false}));
  for (int64_t i = 0; i < gguf_get_n_tensors(source.get()); ++i) {
    const ggml_tensor* tensor = ggml_get_tensor(tensors, gguf_get_tensor_name(source.get(), i));
    ggml_tensor* values = ggml_new_tensor(wide.get(), GGML_TYPE_F32, GGML_MAX_DIMS, tensor->ne);
    ggml_set_name(values, tensor->name);
    if (tensor->type == GGML_TYPE_F32) {
      std::memcpy(values->data, tensor->data, ggml_nbytes(values));
    } else {
      ggml_get_type_traits(tensor->type)
          ->to_float(tensor->data, static_cast<float*>(values->data), ggml_nelements(values));
    }
    gguf_add_tensor(target.get(), values);
  }
  CHECK(gguf_write_to_file(target.get(), out.c_str(), false));
  return "widened-" + file;
}

}  // namespace

// Ours round columns as ggml does; what is computed in floats differs.
TEST(accuracy_of_quantised_models) {
  for (const char* name : {"wide", "wide-gqa"}) {
    const Outcome f32(std::string(name) + "-f32.gguf");
    for (const char* type : {"bf16", "q8_0", "q4_k_m"}) {
      const std::string file = std::string(name) + "-" + type + ".gguf";
      const Outcome own(file), exact(widened(file));
      const Without without("sse42,neon");
      const Outcome ggml(file);
      const double embeddings = cosine(own, f32);
      const double to_ggml = divergence(ggml, own);
      const double to_exact = divergence(exact, own), ggml_to_exact = divergence(exact, ggml);
      std::fprintf(
          stderr,
          "%-20s cosine to f32 %.6f (ggml's kernels %.6f)  KL to exact %.1e (ggml's %.1e), "
          "to ggml's %.1e\n",
          file.c_str(), embeddings, cosine(ggml, f32), to_exact, ggml_to_exact, to_ggml);
      CHECK(embeddings >= 0.999);
      CHECK(to_ggml <= 0.005);
      CHECK(to_exact <= 1.2 * ggml_to_exact);
    }
  }
}

TEST(weights_stay_in_the_file_where_memory_is_short) {
  if (!has_packed_product(GGML_TYPE_Q8_0)) return;
  const auto file = std::make_shared<const GgufFile>(model_path("wide-q8_0.gguf"));
  Weights weights(file, vision_tensors(*read_vision_config(*file)));
  const auto ignore = [](double) {};
  ThreadPool pool(1);
  weights.pack(pool, 1000, nullptr, ignore);
  for (const char* name : {"v.blk.0.attn_q.weight", "v.blk.0.ffn_down.weight"})
    CHECK(weights.get(name)->extra == nullptr);
  weights.pack(pool, std::numeric_limits<size_t>::max(), nullptr, ignore);
  for (const char* name :
       {"v.blk.0.attn_q.weight", "v.blk.0.ffn_down.weight", "v.patch_embd.weight"})
    CHECK(weights.get(name)->extra != nullptr);
  CHECK(weights.get("v.position_embd.weight")->extra == nullptr);
}

}  // namespace xgenmm::test
