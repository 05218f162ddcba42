// What meets the weights is summed up as it is, however it is computed, and changes nothing.
#include "ggml/importance_sums.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>

#include "engine/model.h"
#include "fixture.h"
#include "harness.h"
#include "image/mask.h"
#include "listener.h"

namespace xgenmm::test {
namespace {

using Entries = std::map<std::string, ImportanceSums::Entry>;

Entries entries(const Model& model) {
  Entries by_name;
  for (ImportanceSums::Entry& entry : model.importance()->entries())
    by_name.emplace(entry.name, std::move(entry));
  return by_name;
}

void check_same(const Entries& actual, const Entries& expected) {
  CHECK_EQ(actual.size(), expected.size());
  for (const auto& [name, entry] : expected) {
    CHECK_EQ(actual.at(name).count, entry.count);
    CHECK(actual.at(name).sums == entry.sums);
  }
}

std::unique_ptr<Model> load(const std::string& file, int threads = 1, bool importance = true) {
  LoadOptions options;
  options.device = "cpu";
  options.text_path = model_path(file);
  options.threads = threads;
  options.importance = importance;
  return std::make_unique<Model>(options, [](double) {});
}

std::vector<int32_t> some_tokens(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens(count);
  for (int32_t& token : tokens) token = static_cast<int32_t>(random() % 600);
  return tokens;
}

// Runs a prompt in a slot in chunks of these sizes in turn; logits are wanted of the last position.
void read_prompt(Model& model, int slot_index, const Prompt& prompt, const std::vector<int>& chunks,
                 std::vector<float>* hidden = nullptr, Taps* taps = nullptr) {
  KvSlot& slot = model.kv_cache().slot(slot_index);
  slot.truncate(0);
  for (size_t i = 0; slot.length() < prompt.length(); ++i) {
    const int count = std::min(chunks[i % chunks.size()], prompt.length() - slot.length());
    const bool last = slot.length() + count == prompt.length();
    std::vector<float> logits;
    CHECK(model.text().forward({{&slot, &prompt, -1, count, last ? 1 : 0}}, logits, taps, hidden));
  }
}

EncodedImage encode(Model& model, const PictureView& picture, double budget_ms,
                    Taps* taps = nullptr) {
  ImageEncoder& encoder = *model.vision();
  encoder.begin(picture, ImageMode::kAnyres);
  while (encoder.advance(budget_ms, taps) == ImageEncoder::Progress::kMore) {
  }
  return encoder.take();
}

constexpr double kNoBudget = 0;
constexpr double kAnyBudget = std::numeric_limits<double>::infinity();

// Parts of the model in double.
class Reference {
 public:
  explicit Reference(const std::string& file) : file_(model_path(file)) {}

  std::vector<double> weight(const std::string& name) const {
    const TensorInfo& tensor = *file_.find_tensor(name);
    CHECK(tensor.type == GGML_TYPE_F32);
    std::vector<float> values(tensor.size / sizeof(float));
    std::memcpy(values.data(), tensor.data, tensor.size);
    return {values.begin(), values.end()};
  }
  std::vector<double> rms_norm(const std::vector<double>& x, const std::string& name,
                               double epsilon) const {
    const std::vector<double> scale = weight(name + ".weight");
    double square = 0;
    for (const double value : x) square += value * value;
    const double factor = 1 / std::sqrt(square / static_cast<double>(x.size()) + epsilon);
    std::vector<double> y;
    for (size_t i = 0; i < x.size(); ++i) y.push_back(x[i] * factor * scale[i]);
    return y;
  }
  std::vector<double> layer_norm(const std::vector<double>& x, const std::string& name,
                                 double epsilon) const {
    const std::vector<double> scale = weight(name + ".weight"), bias = weight(name + ".bias");
    const double n = static_cast<double>(x.size());
    double mean = 0, variance = 0;
    for (const double value : x) mean += value / n;
    for (const double value : x) variance += (value - mean) * (value - mean) / n;
    std::vector<double> y;
    for (size_t i = 0; i < x.size(); ++i)
      y.push_back((x[i] - mean) / std::sqrt(variance + epsilon) * scale[i] + bias[i]);
    return y;
  }
  // weight: [x, out]
  std::vector<double> linear(const std::vector<double>& x, const std::string& name) const {
    const std::vector<double> matrix = weight(name + ".weight");
    std::vector<double> y(matrix.size() / x.size());
    for (size_t i = 0; i < matrix.size(); ++i) y[i / x.size()] += matrix[i] * x[i % x.size()];
    return y;
  }

 private:
  GgufFile file_;
};

// Row k of a matrix.
std::vector<double> row(const std::vector<float>& values, size_t width, size_t k) {
  const auto first = values.begin() + static_cast<std::ptrdiff_t>(k * width);
  return {first, first + static_cast<std::ptrdiff_t>(width)};
}

// Sums by hand.
struct Expected {
  std::vector<double> sums;
  int64_t count = 0;

  void add(const std::vector<double>& x) {
    sums.resize(x.size());
    for (size_t i = 0; i < x.size(); ++i) sums[i] += x[i] * x[i];
    ++count;
  }
};

void check_near(const Entries& actual, const std::string& name, const Expected& expected) {
  const ImportanceSums::Entry& entry = actual.at(name);
  CHECK_EQ(entry.count, expected.count);
  CHECK_EQ(entry.sums.size(), expected.sums.size());
  // A value near zero is what is left of larger ones.
  const double largest = *std::max_element(expected.sums.begin(), expected.sums.end());
  for (size_t i = 0; i < expected.sums.size(); ++i)
    CHECK_NEAR(entry.sums[i], expected.sums[i], 1e-5 * expected.sums[i] + 1e-7 * largest);
}

TEST(importance_of_text_is_what_meets_the_weights) {
  for (const char* file : {"tiny-f32.gguf", "wide-gqa-f32.gguf"}) {
    const auto model = load(file);
    const Reference reference(file);
    const TextConfig& config = model->text_config();
    const auto width = static_cast<size_t>(config.width);
    const size_t layers = static_cast<size_t>(config.layers) + 1;
    const Prompt prompt(some_tokens(70, 1), {}, config.vocab_size);
    // Hidden states of all positions, from a twin that does not look.
    const auto twin = load(file, 1, false);
    KvSlot& slot = twin->kv_cache().slot(0);
    std::vector<float> logits, hidden;
    CHECK(twin->text().forward({{&slot, &prompt, -1, 70, 70}}, logits, nullptr, &hidden));
    Taps taps;
    read_prompt(*model, 0, prompt, {50, 20}, nullptr, &taps);
    Expected first, last, head;
    for (size_t i = 0; i < 70; ++i) {
      first.add(reference.rms_norm(row(hidden, width, i * layers), "blk.0.attn_norm",
                                   config.rms_epsilon));
      last.add(reference.rms_norm(row(hidden, width, i * layers + layers - 2),
                                  "blk." + std::to_string(layers - 2) + ".attn_norm",
                                  config.rms_epsilon));
    }
    head.add(row(taps.at("hidden"), width, 0));
    const Entries found = entries(*model);
    check_near(found, "blk.0.attn_qkv.weight", first);
    check_near(found, "blk." + std::to_string(layers - 2) + ".attn_qkv.weight", last);
    check_near(found, "output.weight", head);
  }
}

// Position 0 sees itself alone: attention gives its own values, whatever keys and queries are.
TEST(importance_of_a_lone_position_by_hand) {
  const auto model = load("tiny-f32.gguf");
  const Reference reference("tiny-f32.gguf");
  const TextConfig& config = model->text_config();
  const auto width = static_cast<size_t>(config.width);
  const auto mlp = static_cast<size_t>(config.mlp_width);
  const Prompt prompt({123}, {}, config.vocab_size);
  std::vector<float> hidden;
  read_prompt(*model, 0, prompt, {1}, &hidden);
  std::vector<double> x = row(hidden, width, 0);
  const std::vector<double> qkv = reference.linear(
      reference.rms_norm(x, "blk.0.attn_norm", config.rms_epsilon), "blk.0.attn_qkv");
  CHECK_EQ(config.kv_heads, config.heads);
  Expected attention, up, down;
  const std::vector<double> values(qkv.end() - static_cast<std::ptrdiff_t>(width), qkv.end());
  attention.add(values);
  const std::vector<double> y = reference.linear(values, "blk.0.attn_output");
  for (size_t i = 0; i < width; ++i) x[i] += y[i];
  const std::vector<double> h = reference.rms_norm(x, "blk.0.ffn_norm", config.rms_epsilon);
  up.add(h);
  const std::vector<double> gated = reference.linear(h, "blk.0.ffn_up");
  std::vector<double> swiglu;
  for (size_t i = 0; i < mlp; ++i)
    swiglu.push_back(gated[i] / (1 + std::exp(-gated[i])) * gated[mlp + i]);
  down.add(swiglu);
  const Entries found = entries(*model);
  check_near(found, "blk.0.attn_output.weight", attention);
  check_near(found, "blk.0.ffn_up.weight", up);
  check_near(found, "blk.0.ffn_down.weight", down);
}

TEST(importance_of_pictures_is_what_meets_the_weights) {
  const auto model = load("tiny-f32.gguf");
  const Reference reference("tiny-f32.gguf");
  const VisionConfig& config = model->vision()->config();
  const auto width = static_cast<size_t>(config.tower.width);
  const auto patches = static_cast<size_t>(config.tower.patches());
  const auto latents = static_cast<size_t>(config.resampler.latents);
  const PictureView view = picture(130, 90);
  Taps taps;
  const EncodedImage image = encode(*model, view, kAnyBudget, &taps);
  const auto tiles = static_cast<size_t>(1 + image.columns * image.rows);
  const std::vector<uint8_t> seen =
      tile_masks(view.width, view.height, image.columns, image.rows, config.tower.grid());
  CHECK_EQ(seen.size(), tiles * patches);

  Expected attention, key_value, query, projection;
  for (size_t i = 0; i < tiles * patches; ++i) {
    attention.add(
        reference.layer_norm(row(taps.at("vit.0"), width, i), "v.blk.0.ln1", config.tower.epsilon));
    if (!seen[i]) continue;
    key_value.add(reference.layer_norm(row(taps.at("resampler_in"), width, i),
                                       "resampler.blk.0.norm_media", config.resampler.epsilon));
  }
  CHECK(key_value.count < static_cast<int64_t>(tiles * patches));
  const std::vector<double> start = reference.weight("resampler.latents");
  const std::string last = "resampler." + std::to_string(config.resampler.layers - 1);
  for (size_t i = 0; i < tiles * latents; ++i) {
    const auto latent = start.begin() + static_cast<std::ptrdiff_t>(i % latents * width);
    const std::vector<double> normed =
        reference.layer_norm({latent, latent + static_cast<std::ptrdiff_t>(width)},
                             "resampler.blk.0.norm_latents", config.resampler.epsilon);
    query.add(normed);
    key_value.add(normed);
    projection.add(reference.layer_norm(row(taps.at(last), width, i), "resampler.norm",
                                        config.resampler.epsilon));
  }
  const Entries found = entries(*model);
  for (const char* name : {"q", "k", "v"})
    check_near(found, std::string("v.blk.0.attn_") + name + ".weight", attention);
  check_near(found, "resampler.blk.0.attn_q.weight", query);
  check_near(found, "resampler.blk.0.attn_kv.weight", key_value);
  check_near(found, "resampler.proj.weight", projection);
}

// Every matrix but the patch kernel and the table of embeddings, with all that it is given.
TEST(importance_counts_every_matrix) {
  const auto model = load("wide-f32.gguf");
  const EncodedImage image = encode(*model, picture(120, 90), kAnyBudget);
  const Prompt prompt(some_tokens(40, 2), {}, model->text_config().vocab_size);
  read_prompt(*model, 0, prompt, {40});
  const int tiles = 1 + image.columns * image.rows;
  const VisionConfig& vision = model->vision()->config();
  Entries found = entries(*model);
  const GgufFile file(model_path("wide-f32.gguf"));
  const auto take = [&](const std::vector<TensorSpec>& table, const auto& rows) {
    for (const TensorSpec& spec : table) {
      if (spec.role != TensorSpec::Role::kMatrix || spec.name == "v.patch_embd.weight" ||
          spec.name == "token_embd.weight")
        continue;
      const ImportanceSums::Entry& entry = found.at(spec.name);
      CHECK_EQ(static_cast<int64_t>(entry.sums.size()), file.find_tensor(spec.name)->shape[0]);
      if (spec.name.find("attn_kv") == std::string::npos)
        CHECK_EQ(entry.count, int64_t{rows(spec.name)});
      CHECK(std::all_of(entry.sums.begin(), entry.sums.end(),
                        [](float sum) { return std::isfinite(sum) && sum >= 0; }));
      CHECK(std::any_of(entry.sums.begin(), entry.sums.end(), [](float sum) { return sum > 0; }));
      found.erase(spec.name);
    }
  };
  take(text_tensors(model->text_config(), false, true),
       [](const std::string& name) { return name == "output.weight" ? 1 : 40; });
  take(vision_tensors(vision), [&](const std::string& name) {
    return tiles * (name[0] == 'v' ? vision.tower.patches() : vision.resampler.latents);
  });
  CHECK(found.empty());
}

TEST(importance_is_the_same_in_all_ways) {
  const auto whole = load("tiny-f32.gguf");
  const Prompt prompt(some_tokens(300, 3), {}, whole->text_config().vocab_size);
  const PictureView view = picture(130, 90);
  read_prompt(*whole, 0, prompt, {512});
  encode(*whole, view, kAnyBudget);
  const Entries expected = entries(*whole);
  for (const int threads : {1, 2, 3}) {
    for (const auto& chunks : std::vector<std::vector<int>>{{1}, {7, 100, 2}, {64}}) {
      const auto model = load("tiny-f32.gguf", threads);
      read_prompt(*model, 0, prompt, chunks);
      encode(*model, view, threads == 1 ? kNoBudget : kAnyBudget);
      check_same(entries(*model), expected);
    }
  }
  // Beside another prompt the rows come in another order, so doubles round elsewhere.
  const auto alone = load("tiny-f32.gguf");
  const auto together = load("tiny-f32.gguf");
  const Prompt other(some_tokens(100, 4), {}, whole->text_config().vocab_size);
  read_prompt(*alone, 0, prompt, {100});
  read_prompt(*alone, 1, other, {100});
  KvSlot& first = together->kv_cache().slot(0);
  KvSlot& second = together->kv_cache().slot(1);
  std::vector<float> logits;
  for (int i = 0; i < 3; ++i) {
    std::vector<Continuation> parts = {{&first, &prompt, -1, 100, i == 2 ? 1 : 0}};
    if (i < 2) parts.push_back({&second, &other, -1, 50, i});
    CHECK(together->text().forward(parts, logits));
  }
  const Entries found = entries(*together);
  for (const auto& [name, entry] : entries(*alone)) {
    CHECK_EQ(found.at(name).count, entry.count);
    for (size_t i = 0; i < entry.sums.size(); ++i)
      CHECK_NEAR(found.at(name).sums[i], entry.sums[i], 1e-6 * entry.sums[i]);
  }
}

TEST(importance_changes_no_result) {
  for (const char* file : {"tiny-f32.gguf", "tiny-f16.gguf", "wide-f16.gguf"}) {
    const auto plain = load(file, 1, false);
    const auto observed = load(file);
    CHECK(plain->importance() == nullptr);
    CHECK(observed->importance()->entries().empty());
    CHECK_EQ(observed->cpu().activation_bytes(), plain->cpu().activation_bytes());
    const Prompt prompt(some_tokens(80, 5), {}, plain->text_config().vocab_size);
    std::vector<std::vector<float>> results;
    for (const auto& model : {plain.get(), observed.get()}) {
      KvSlot& slot = model->kv_cache().slot(0);
      std::vector<float> logits;
      CHECK(model->text().forward({{&slot, &prompt, -1, 80, 60}}, logits));
      results.push_back(std::move(logits));
      results.push_back(encode(*model, picture(120, 90), kAnyBudget).embeddings);
    }
    CHECK(results[0] == results[2]);
    CHECK(results[1] == results[3]);
    CHECK_EQ(observed->cpu().activation_bytes(), plain->cpu().activation_bytes());
  }
}

// Read from another thread while requests run, are cancelled and are cut off by the end.
TEST(importance_can_be_read_at_any_time) {
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    Listener listener;
    LoadOptions options = tiny();
    options.importance = true;
    Engine engine(options, listener.sink());
    listener.wait(0);
    const ImportanceSums& importance = *engine.model()->importance();
    for (RequestId id = 1; id <= 6; ++id) {
      if (id % 3 == 0) {
        engine.submit(id,
                      EncodeRequest{picture(90, 200, static_cast<int>(id)), ImageMode::kAnyres});
      } else {
        engine.submit(id, generate({static_cast<int32_t>(id), 9}, 40));
      }
      if (random() % 3 == 0) engine.cancel(id);
    }
    std::map<std::string, int64_t> counts;
    for (int look = 0; look < 20; ++look) {
      for (const ImportanceSums::Entry& entry : importance.entries()) {
        CHECK(entry.count >= counts[entry.name]);
        counts[entry.name] = entry.count;
        CHECK(std::all_of(entry.sums.begin(), entry.sums.end(),
                          [](float sum) { return std::isfinite(sum); }));
      }
    }
    if (round % 2 == 0) continue;  // ends in the midst of it
    for (RequestId id = 1; id <= 6; ++id) listener.wait(id);
    // Answers go on from each other's beginnings; pictures in the cache are not computed again.
    const size_t known = importance.entries().size();
    engine.submit(7, generate({5, 6, 7, 8}, 1));
    listener.wait(7);
    const auto after = importance.entries();
    CHECK(after.size() >= known);
    engine.submit(8, generate({5, 6, 7, 9}, 1));
    CHECK_EQ(std::get<event::Generated>(listener.wait(8).body).cached_tokens, 3);
    for (const ImportanceSums::Entry& entry : importance.entries()) {
      const auto before = std::find_if(after.begin(), after.end(),
                                       [&](const auto& old) { return old.name == entry.name; });
      CHECK(before != after.end());
      CHECK_EQ(entry.count - before->count, entry.name[0] == 'b' || entry.name[0] == 'o' ? 1 : 0);
    }
  }
}

}  // namespace
}  // namespace xgenmm::test
