#include <algorithm>

#include "engine/model.h"
#include "fixture.h"
#include "ggml/system_info.h"
#include "harness.h"
#include "inspect/inspection.h"
#include "text/kv_shape.h"
#include "text/phi3.h"

namespace xgenmm::test {
namespace {

// The official checkpoints: 32 layers of 32 heads of 96.
TextConfig official() {
  TextConfig config{};
  config.layers = 32;
  config.heads = config.kv_heads = 32;
  config.head_dim = 96;
  config.window = 2047;
  config.context_length = 4096;
  return config;
}

TEST(kv_ring_holds_the_window_and_a_chunk) {
  TextConfig config = official();
  const auto ring = [&](int context_size) {
    return kv_ring(config, context_size, Phi3::kMaxChunk);
  };
  CHECK_EQ(ring(1), 256);
  CHECK_EQ(ring(256), 256);
  CHECK_EQ(ring(257), 512);
  CHECK_EQ(ring(2560), 2560);
  CHECK_EQ(ring(4096), 2560);
  config.window = 0;
  CHECK_EQ(ring(4096), 4096);
}

// docs/performance.md, "Memory".
TEST(kv_slot_bytes_of_the_official_checkpoints) {
  const TextConfig config = official();
  CHECK_EQ(kv_slot_bytes(config, GGML_TYPE_F32, 2560), size_t{786432} * 2560);
  CHECK_EQ(kv_slot_bytes(config, GGML_TYPE_F16, 2560), size_t{393216} * 2560);
  CHECK_EQ(kv_slot_bytes(config, GGML_TYPE_Q8_0, 2560), size_t{208896} * 2560);
}

TEST(kv_types_need_heads_of_whole_blocks) {
  TextConfig config = official();
  CHECK(kv_type_fits(config, GGML_TYPE_Q8_0));
  config.head_dim = 80;
  CHECK(!kv_type_fits(config, GGML_TYPE_Q8_0));
  CHECK(kv_type_fits(config, GGML_TYPE_F16));
}

TEST(inspection_of_a_whole_model) {
  const Inspection inspection = inspect_file(model_path("wide-gqa-f16.gguf"), 0);
  CHECK_EQ(inspection.file_bytes, read_bytes(model_path("wide-gqa-f16.gguf")).size());
  CHECK_EQ(inspection.identity.variant, std::string("instruct-interleave"));
  CHECK_EQ(inspection.format_version, 1u);
  CHECK(inspection.text && inspection.vision);
  CHECK_EQ(inspection.text->config.kv_heads, 2);
  CHECK(!inspection.text->f32);
  std::vector<int> contexts;
  for (const KvEstimate& estimate : inspection.text->kv) contexts.push_back(estimate.context_size);
  CHECK_EQ(contexts, (std::vector<int>{1024, 2048, 4096}));
  uint64_t bytes = 0;
  for (const TensorGroup& group : inspection.tensors) {
    CHECK(group.part != TensorGroup::Part::kOther);
    bytes += group.bytes;
  }
  // The rest are keys, names and padding.
  CHECK(bytes < inspection.file_bytes && inspection.file_bytes - bytes < 64 * 1024);
}

TEST(inspection_for_one_context) {
  const std::string path = model_path("tiny-f32.gguf");
  const Inspection inspection = inspect_file(path, 100);
  CHECK_EQ(inspection.text->kv.size(), size_t{1});
  CHECK_EQ(inspection.text->kv[0].context_size, 100);
  CHECK_EQ(inspection.text->kv[0].rows, 256);
  CHECK(inspection.text->f32);
  const int most = inspection.text->config.context_length;
  CHECK_EQ(inspect_file(path, 0).text->kv.back().context_size, std::min(most, 4096));
  CHECK_THROWS(ErrorCode::kInvalidArgument, inspect_file(path, most + 1));
}

TEST(inspection_knows_what_a_loaded_model_works_in) {
  for (const char* file : {"wide-f32.gguf", "wide-q8_0.gguf", "wide-q4_k_m.gguf"}) {
    LoadOptions options;
    options.device = "cpu";
    options.text_path = model_path(file);
    Model model(options, [](double) {});
    const double loaded =
        static_cast<double>(model.cpu().activation_bytes() + model.vision()->state_bytes());
    const double told = static_cast<double>(inspect_file(options.text_path, 0).working_bytes);
    CHECK_NEAR(told / loaded, 1.0, 0.15);
  }
}

TEST(inspection_of_what_is_no_model) {
  CHECK_THROWS(ErrorCode::kFileNotFound, inspect_file("no such file.gguf", 0));
  CHECK_THROWS(ErrorCode::kModelInvalid, inspect_file(fixture_path("tiny/config.json"), 0));
  // A vocabulary alone has no key that a model needs.
  CHECK_THROWS(ErrorCode::kModelInvalid, inspect_file(fixture_path("phi3-vocab/phi-3.gguf"), 0));
}

TEST(system_info_names_the_cpu) {
  const SystemInfo info = system_info();
  CHECK_EQ(info.default_threads, info.cores.threads());
  CHECK(!info.ggml_version.empty());
  CHECK(!info.backends.empty() && !info.devices.empty());
  bool cpu = false;
  for (const SystemInfo::Device& device : info.devices) {
    if (device.kind == "cpu") cpu = device.total_bytes > 0 && device.free_bytes > 0;
  }
  CHECK(cpu);
}

}  // namespace
}  // namespace xgenmm::test
