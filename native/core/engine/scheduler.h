#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace xgenmm {

// Decides what is computed next. Knows nothing of models: what tasks want goes in, a step comes
// out.
class Scheduler {
 public:
  enum class Want { kNothing, kEncode, kPrefill, kDecode };
  struct Candidate {
    uint64_t id;  // ascending in order of arrival
    Want want;
  };
  // Indices into the candidates. Either pictures or text: never both.
  struct Step {
    std::optional<size_t> encode;
    std::optional<size_t> prefill;  // at most one prompt is read in a step, ...
    std::vector<size_t> decode;  // ... together with all running answers
    bool shared = false;  // somebody else is waiting for what comes after: the step should be short

    bool idle() const { return !encode && !prefill && decode.empty(); }
  };

  // Pictures, in order of arrival, and text take turns; prompts take turns chunk by chunk.
  Step next(const std::vector<Candidate>& candidates);

 private:
  bool encoded_last_ = false;
  uint64_t prefilled_last_ = 0;  // id
};

}  // namespace xgenmm
