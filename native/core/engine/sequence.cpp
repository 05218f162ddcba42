#include "engine/sequence.h"

#include <algorithm>

#include "base/error.h"
#include "base/pace.h"

namespace xgenmm {

namespace {

// About how long a chunk may take, alone and when other requests wait for their turn; and the
// fewest positions that are worth a pass over the weights.
constexpr double kChunkMs = 1000;
constexpr double kSharedChunkMs = 200;
constexpr int kLeastChunk = 16;

}  // namespace

Sequence::~Sequence() {
  if (slot_ != nullptr) cache_->release(*slot_);
}

void Sequence::prepare(const Model& model) {
  const TextConfig& config = model.text_config();
  std::vector<std::shared_ptr<const PromptImage>> images;
  for (std::vector<float>& values : data_.images) {
    images.push_back(std::make_shared<const PromptImage>(std::move(values), config.width));
  }
  prompt_.emplace(data_.tokens, std::move(images), config.vocab_size);
  data_ = PromptData{};
  if (prompt_->length() > model.context_size()) {
    throw Error(ErrorCode::kContextOverflow,
                "the prompt takes " + std::to_string(prompt_->length()) +
                    " positions, but the context holds " + std::to_string(model.context_size()) +
                    ": shorten it, use fewer pictures or load with a larger contextSize");
  }
}

bool Sequence::take_slot(Model& model, int keep) {
  cache_ = &model.kv_cache();
  slot_ = cache_->acquire(*prompt_);
  if (slot_ == nullptr) return false;
  // The positions whose logits are wanted must be run, whatever is cached.
  const int reusable = slot_->reusable_prefix(*prompt_);
  cached_tokens_ = std::min(reusable, keep);
  if (cached_tokens_ < reusable && !slot_->can_truncate(cached_tokens_)) cached_tokens_ = 0;
  slot_->truncate(cached_tokens_);
  return true;
}

Sequence::Progress Sequence::prefill(Model& model, bool alone, int keep,
                                     std::vector<float>& logits) {
  if (slot_ == nullptr && !take_slot(model, keep)) return Progress::kWaiting;
  const Stopwatch stopwatch;
  Pace& pace = model.prefill_pace();
  int count = pace.units(alone ? kChunkMs : kSharedChunkMs, kLeastChunk, Phi3::kMaxChunk);
  count = std::min({count, prompt_->length() - slot_->length(), slot_->ring()});
  // Wanted logits are few per graph: a chunk either ends in front of the first wanted position or
  // holds only wanted ones, except that the last position of a prompt goes with what is before it.
  const int first_wanted = keep - slot_->length();
  if (first_wanted <= 0) {
    count = std::min(count, Phi3::kMaxOutputs);
  } else if (keep < prompt_->length() - 1) {
    count = std::min(count, first_wanted);
  }
  const int end = slot_->length() + count;
  const int outputs = std::max(0, end - std::max(keep, slot_->length()));
  std::vector<float> rows;
  if (!model.text().forward(*slot_, *prompt_, count, outputs, rows)) return Progress::kMore;
  logits.insert(logits.end(), rows.begin(), rows.end());
  pace.record(count, stopwatch.ms());
  return slot_->length() == prompt_->length() ? Progress::kDone : Progress::kMore;
}

bool Sequence::decode(Model& model, int32_t token, std::vector<float>& logits) {
  return model.text().forward(*slot_, token, logits);
}

}  // namespace xgenmm
