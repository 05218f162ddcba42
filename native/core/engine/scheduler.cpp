#include "engine/scheduler.h"

namespace xgenmm {

Scheduler::Step Scheduler::next(const std::vector<Candidate>& candidates) {
  std::optional<size_t> encode, first_prompt, next_prompt;
  std::vector<size_t> decode;
  size_t wanting = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& candidate = candidates[i];
    switch (candidate.want) {
      case Want::kNothing:
        continue;
      case Want::kEncode:
        if (!encode) encode = i;
        break;
      case Want::kPrefill:
        if (!first_prompt) first_prompt = i;
        if (!next_prompt && candidate.id > prefilled_last_) next_prompt = i;
        break;
      case Want::kDecode:
        decode.push_back(i);
        break;
    }
    ++wanting;
  }
  Step step;
  step.shared = wanting > 1;
  const bool text = first_prompt || !decode.empty();
  if (encode && (!text || !encoded_last_)) {
    step.encode = encode;
    encoded_last_ = true;
    return step;
  }
  encoded_last_ = false;
  step.prefill = next_prompt ? next_prompt : first_prompt;
  step.decode = std::move(decode);
  if (step.prefill) prefilled_last_ = candidates[*step.prefill].id;
  return step;
}

}  // namespace xgenmm
