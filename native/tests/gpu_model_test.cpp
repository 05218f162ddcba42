// What of a model goes to a GPU, what it takes there, and that it is given back.
#include "engine/model.h"

#include <algorithm>
#include <limits>

#include "engine/placement.h"
#include "harness.h"
#include "listener.h"
#include "test_gpu.h"

namespace xgenmm::test {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

LoadOptions on_gpu(const std::string& file = "tiny-f16.gguf") {
  LoadOptions options;
  options.text_path = model_path(file);
  options.threads = 1;
  options.device = "pretend";
  return options;
}

LoadOptions on_cpu() {
  LoadOptions options = on_gpu();
  options.device = "cpu";
  return options;
}

std::unique_ptr<Model> load(const LoadOptions& options) {
  return std::make_unique<Model>(options, [](double) {});
}

std::string refusal(const LoadOptions& options, ErrorCode code) {
  try {
    load(options);
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  FAIL("it loads");
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

EncodedImage encode(Model& model) {
  ImageEncoder& encoder = *model.vision();
  encoder.begin(picture(300, 200), ImageMode::kAnyres);
  while (encoder.advance(std::numeric_limits<double>::infinity()) ==
         ImageEncoder::Progress::kMore) {
  }
  return encoder.take();
}

std::vector<float> next_logits(Model& model) {
  const Prompt prompt({5, 6, 7, 8}, {}, model.text_config().vocab_size);
  KvSlot& slot = model.kv_cache().slot(0);
  slot.truncate(0);
  std::vector<float> logits;
  CHECK(model.text().forward({{&slot, &prompt, -1, 4, 1}}, logits));
  return logits;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  CHECK_EQ(a.size(), b.size());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(double{a[i]} - double{b[i]});
    largest = difference <= largest ? largest : difference;
  }
  return largest;
}

}  // namespace

TEST(gpu_models_go_where_they_are_told) {
  PretendGpus gpus;
  LoadOptions options = on_gpu();
  const auto whole = load(options);
  const int layers = whole->text_config().layers;
  CHECK_EQ(whole->gpu_layers(), layers);
  CHECK_EQ(whole->device_name(), "Pretend0");
  CHECK_EQ(whole->vision_device_name(), "Pretend0");
  options.device = "auto";
  CHECK(load(options)->gpu_layers() > 0);
  const auto none = load(on_cpu());
  CHECK_EQ(none->gpu_layers(), 0);
  CHECK_EQ(none->device_name(), "CPU");
  CHECK_EQ(none->vision_device_name(), "CPU");
  options = on_cpu();
  options.vision_device = "pretend";
  const auto vision = load(options);
  CHECK_EQ(vision->gpu_layers(), 0);
  CHECK_EQ(vision->vision_device_name(), "Pretend0");
  CHECK(next_logits(*vision) == next_logits(*none));
  options = on_gpu();
  options.vision_device = "cpu";
  options.gpu_layers = 1;
  const auto text = load(options);
  CHECK_EQ(text->gpu_layers(), 1);
  CHECK_EQ(text->vision_device_name(), "CPU");
  CHECK(encode(*text).embeddings == encode(*none).embeddings);
  const std::vector<float> embeddings = encode(*none).embeddings, logits = next_logits(*none);
  CHECK_NEAR(largest_difference(encode(*whole).embeddings, embeddings), 0, 1e-2);
  CHECK_NEAR(largest_difference(encode(*vision).embeddings, embeddings), 0, 1e-2);
  CHECK_NEAR(largest_difference(next_logits(*whole), logits), 0, 0.15);
  CHECK_NEAR(largest_difference(next_logits(*text), logits), 0, 0.15);
}

TEST(gpu_devices_that_are_not_there) {
  LoadOptions options = on_gpu();
  CHECK(has(refusal(options, ErrorCode::kDeviceUnavailable), "received \"pretend\""));
  const PretendGpus gpus;
  options.device = "quantum";
  const std::string sentence = refusal(options, ErrorCode::kDeviceUnavailable);
  CHECK(has(sentence, "(cpu; ") && has(sentence, "pretend: Pretend0, no GPU at all"));
  options = on_gpu();
  options.vision_device = "quantum";
  CHECK(has(refusal(options, ErrorCode::kDeviceUnavailable), "received \"quantum\""));
  options = on_gpu();
  options.importance = true;
  CHECK(has(refusal(options, ErrorCode::kInvalidArgument), "importance"));
  options.device = "auto";
  CHECK_EQ(load(options)->device_name(), "CPU");
}

TEST(gpu_devices_that_do_not_start) {
  PretendGpus gpus({PretendGpus::kPlenty, PretendGpus::kPlenty});
  gpus[0].starts = false;
  LoadOptions options = on_gpu();
  CHECK(has(refusal(options, ErrorCode::kDeviceUnavailable), "from Pretend0: no such luck"));
  // Which would prefer the GPU that is there.
  if (TestGpu::is_real()) return;
  options.device = "auto";
  CHECK_EQ(load(options)->device_name(), "Pretend1");
  gpus[1].starts = false;
  CHECK_EQ(load(options)->device_name(), "CPU");
}

TEST(gpu_memory_is_never_filled_and_is_given_back) {
  size_t all = 0;
  int layers = 0;
  {
    PretendGpus gpus;
    const auto model = load(on_gpu());
    all = gpus[0].used;
    layers = model->gpu_layers();
  }
  const auto expected = next_logits(*load(on_cpu()));
  int before = 0;
  bool some = false;
  for (size_t room = 0; room < 3 * all; room += all / 8) {
    PretendGpus gpus({kReserve + room});
    auto model = load(on_gpu());
    CHECK(gpus[0].used <= room);
    CHECK(model->gpu_layers() >= before);
    before = model->gpu_layers();
    some = some || (before > 0 && before < layers);
    CHECK_EQ(model->device_name(), before > 0 ? "Pretend0" : "CPU");
    CHECK_NEAR(largest_difference(next_logits(*model), expected), 0, 0.15);
    // Nothing more is taken while it works.
    CHECK(gpus[0].used <= room);
    model.reset();
    CHECK_EQ(gpus[0].used, size_t{0});
  }
  CHECK_EQ(before, layers);
  CHECK(some);
}

// Backends take memory of their own then, and another model that is loaded must see what is left.
TEST(gpu_graphs_are_computed_at_load) {
  PretendGpus gpus({PretendGpus::kPlenty, PretendGpus::kPlenty});
  for (const int layers : {0, 1, -1}) {
    LoadOptions options = on_gpu();
    options.vision_device = "cpu";
    options.gpu_layers = layers;
    const int before = gpus[0].graphs;
    const auto model = load(options);
    CHECK_EQ(gpus[0].graphs - before, layers == 0 ? 0 : 1);
    CHECK_EQ(gpus[1].graphs, 0);
    // Nothing of it stays but the signs of zeros.
    KvSlot& slot = model->kv_cache().slot(0);
    for (int i = 0; i < model->text_config().layers; ++i) {
      const ggml_tensor* keys = slot.tensors(i).keys;
      std::vector<uint8_t> bytes(ggml_nbytes(keys));
      ggml_backend_tensor_get(keys, bytes.data(), 0, bytes.size());
      CHECK(
          std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return (byte & 0x7f) == 0; }));
    }
  }
}

TEST(gpu_graphs_of_pictures_are_computed_at_load) {
  PretendGpus gpus;
  LoadOptions options = on_gpu();
  options.gpu_layers = 0;
  options.vision_device = "pretend";
  load(options);
  CHECK_EQ(gpus[0].graphs, 2);
}

TEST(gpu_memory_that_is_asked_for_and_missing) {
  PretendGpus gpus({kReserve + kMiB});
  LoadOptions options = on_gpu();
  options.gpu_layers = 1;
  const std::string sentence = refusal(options, ErrorCode::kOutOfMemory);
  CHECK(has(sentence, "for 1 layer and ") && has(sentence, "received 385 MiB"));
  options.gpu_layers = -1;
  options.vision_device = "pretend";
  CHECK(has(refusal(options, ErrorCode::kOutOfMemory), "for the vision part and "));
  CHECK_EQ(gpus[0].used, size_t{0});
}

TEST(gpu_models_that_take_two) {
  size_t all = 0;
  {
    PretendGpus gpus;
    const auto model = load(on_gpu());
    all = gpus[0].used;
  }
  const auto cpu = load(on_cpu());
  bool both = false;
  for (size_t room = all / 2; room < 3 * all && !both; room += all / 16) {
    PretendGpus gpus({kReserve + room, kReserve + 3 * all});
    const auto model = load(on_gpu());
    if (model->device_name() != "Pretend0, Pretend1") continue;
    both = true;
    CHECK_EQ(model->gpu_layers(), model->text_config().layers);
    CHECK_NEAR(largest_difference(next_logits(*model), next_logits(*cpu)), 0, 0.15);
    CHECK_NEAR(largest_difference(encode(*model).embeddings, encode(*cpu).embeddings), 0, 1e-2);
  }
  CHECK(both);
}

TEST(gpu_layers_with_operations_that_are_refused_stay_on_the_cpu) {
  PretendGpus gpus;
  const auto expected = next_logits(*load(on_gpu()));
  // Layer 1 alone has such weights.
  gpus[0].refuses = [](const ggml_tensor& op) {
    return op.op == GGML_OP_MUL_MAT && std::string(op.src[0]->name) == "blk.1.ffn_up.weight";
  };
  const auto model = load(on_gpu());
  CHECK_EQ(model->gpu_layers(), model->text_config().layers - 1);
  CHECK_EQ(model->vision_device_name(), "Pretend0");
  CHECK_NEAR(largest_difference(next_logits(*model), expected), 0, 0.15);
  // What all layers need.
  gpus[0].refuses = [](const ggml_tensor& op) { return op.op == GGML_OP_ROPE; };
  CHECK_EQ(load(on_gpu())->gpu_layers(), 0);
  CHECK_EQ(load(on_gpu())->vision_device_name(), "Pretend0");
  // Only pictures.
  gpus[0].refuses = [](const ggml_tensor& op) { return op.op == GGML_OP_NORM; };
  CHECK_EQ(load(on_gpu())->vision_device_name(), "CPU");
  CHECK_EQ(load(on_gpu())->gpu_layers(), model->text_config().layers);
  // A type of the cache.
  gpus[0].refuses = [](const ggml_tensor& op) {
    return op.op == GGML_OP_SET_ROWS && op.type == GGML_TYPE_Q8_0;
  };
  LoadOptions options = on_gpu();
  options.kv_type = "q8_0";
  CHECK_EQ(load(options)->gpu_layers(), 0);
}

}  // namespace xgenmm::test
