#pragma once

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "fixture.h"
#include "ggml/gpu.h"
#include "harness.h"
#include "text/phi3.h"

namespace xgenmm::test {

// A language model (tiny's window is 31) with slots whose rings have a length of their own.
class Ring {
 public:
  // gpus: a kind of GPUs to compute on. layout: of each unit of Phi3's in turn, over and over, the
  // index of its GPU, or -1 for the CPU.
  Ring(const std::string& file, ggml_type type, int context, int chunk, int slots = 1,
       const std::string& gpus = "", const std::vector<int>& layout = {0})
      : cpu_(1), file_(std::make_shared<const GgufFile>(model_path(file))) {
    config_ = read_text_config(*file_);
    text_ = std::make_unique<Phi3>(config_, file_, cpu_);
    if (!gpus.empty()) gpus_ = open_gpus(gpus);
    std::vector<Device*> units;
    for (size_t i = 0; i < static_cast<size_t>(text_->units()); ++i) {
      const int gpu = gpus.empty() ? -1 : layout[i % layout.size()];
      units.push_back(gpu < 0 ? static_cast<Device*>(&cpu_)
                              : gpus_[static_cast<size_t>(gpu)].get());
    }
    text_->place(units, [](double) {});
    cache_ =
        std::make_unique<KvCache>(config_, type, context, chunk, slots, text_->layer_devices());
    cache_->allocate();
  }

  // The logits after the last position, having run the prompt in chunks of these sizes in turn.
  std::vector<float> run(KvSlot& slot, const Prompt& prompt, const std::vector<int>& chunks) {
    std::vector<float> logits;
    for (size_t i = 0; slot.length() < prompt.length(); ++i) {
      const int count = std::min(chunks[i % chunks.size()], prompt.length() - slot.length());
      CHECK(text_->forward({{&slot, &prompt, -1, count, 1}}, logits));
    }
    return logits;
  }
  std::vector<float> run(const Prompt& prompt, const std::vector<int>& chunks) {
    cache_->slot(0).truncate(0);
    return run(cache_->slot(0), prompt, chunks);
  }

  Prompt prompt(int length, uint32_t seed) const {
    std::mt19937 random(seed);
    std::vector<int32_t> tokens(static_cast<size_t>(length));
    for (int32_t& token : tokens)
      token = static_cast<int32_t>(random() % static_cast<uint32_t>(config_.vocab_size));
    return {tokens, {}, config_.vocab_size};
  }
  const TextConfig& config() const { return config_; }
  KvCache& cache() { return *cache_; }
  Phi3& text() { return *text_; }

 private:
  CpuDevice cpu_;
  std::vector<std::unique_ptr<Gpu>> gpus_;
  std::shared_ptr<const GgufFile> file_;
  TextConfig config_;
  std::unique_ptr<Phi3> text_;
  std::unique_ptr<KvCache> cache_;
};

}  // namespace xgenmm::test
