#include "engine/sequence.h"

#include <algorithm>

#include "base/error.h"

namespace xgenmm {

Sequence::~Sequence() {
  if (slot_ != nullptr) cache_->release(*slot_);
}

void Sequence::prepare(const Model& model, int keep) {
  const TextConfig& config = model.text_config();
  if (images_.size() < data_.images.size()) {
    // Hashing takes milliseconds.
    std::vector<float>& values = data_.images[images_.size()];
    images_.push_back(std::make_shared<const PromptImage>(std::move(values), config.width));
    return;
  }
  check_length(model);
  prompt_.emplace(data_.tokens, std::move(images_), config.vocab_size);
  data_ = PromptData{};
  first_wanted_ = keep > 0 ? std::max(0, prompt_->length() - keep) : 0;
  stage_ = Stage::kWaiting;
}

void Sequence::check_length(const Model& model) const {
  int64_t length = 0;
  for (const int32_t token : data_.tokens) {
    const size_t image = static_cast<size_t>(-(int64_t{token} + 1));
    length += token < 0 && image < images_.size() ? images_[image]->rows : 1;
  }
  if (length <= model.context_size()) return;
  throw Error(ErrorCode::kContextOverflow,
              "the prompt takes " + std::to_string(length) + " positions, but the context holds " +
                  std::to_string(model.context_size()) +
                  ": shorten it, use fewer pictures or load with a larger contextSize");
}

void Sequence::take_slot(Model& model) {
  cache_ = &model.kv_cache();
  // The positions whose logits are wanted must be run, whatever is cached.
  slot_ = cache_->acquire(*prompt_, first_wanted_);
  if (slot_ == nullptr) return;
  cached_tokens_ = slot_->length();
  slot_->filling = &*prompt_;
  stage_ = Stage::kPrefill;
}

Continuation Sequence::next_part(int most) const {
  if (stage_ == Stage::kDecode) {
    const int count = 1 + static_cast<int>(draft_.size());
    return {slot_, nullptr, token_, count, count, draft_.data()};
  }
  int count = std::min({most, prompt_->length() - slot_->length(), slot_->ring()});
  // Wanted logits are few per graph: a chunk either ends in front of the first wanted position or
  // holds only wanted ones, except that the last position of a prompt goes with what is before it.
  const int before_wanted = first_wanted_ - slot_->length();
  if (before_wanted <= 0) {
    count = std::min(count, Phi3::kMaxOutputs);
  } else if (first_wanted_ < prompt_->length() - 1) {
    count = std::min(count, before_wanted);
  }
  const int outputs = std::max(0, count - std::max(0, before_wanted));
  return {slot_, &*prompt_, -1, count, outputs};
}

void Sequence::advance() {
  if (stage_ != Stage::kPrefill || slot_->length() < prompt_->length()) return;
  slot_->filling = nullptr;
  stage_ = Stage::kDecode;
}

int Sequence::most_drafted(const Model& model) const {
  return std::clamp(model.context_size() - slot_->length() - 1, 0, kMostDrafted);
}

void Sequence::push(const Model& model, int32_t token) {
  token_ = token;
  // How far the slot can be rolled back must not depend on what was guessed: as if it were always
  // as much as can be.
  if (has_room(model)) slot_->begin_write(1 + most_drafted(model));
}

void Sequence::draft(const std::vector<int32_t>& tokens, int count) {
  draft_.assign(tokens.begin(), tokens.begin() + count);
  confirmed_ = 0;
}

bool Sequence::confirm() {
  if (confirmed_ == draft_.size() || draft_[confirmed_] != token_) {
    draft_.clear();
    confirmed_ = 0;
    return false;
  }
  ++confirmed_;
  slot_->append({token_, -1, nullptr});
  return true;
}

double Sequence::prefilled() const {
  if (stage_ == Stage::kDecode) return 1;
  return static_cast<double>(slot_->length() - cached_tokens_) /
         (prompt_->length() - cached_tokens_);
}

}  // namespace xgenmm
