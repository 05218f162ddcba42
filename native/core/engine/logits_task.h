#pragma once

#include "engine/text_task.h"

namespace xgenmm {

// A prompt -> the logits after its last positions, and the residual stream there if wanted.
class LogitsTask : public TextTask {
 public:
  LogitsTask(RequestId id, LogitsRequest request, EventSink sink)
      : TextTask(id, std::move(sink), std::move(request.prompt), request.last),
        last_(request.last),
        wants_hidden_(request.hidden) {}

  // Throws kInvalidArgument when the residual stream at `rows` positions is too much to give out.
  static void check_hidden(const TextConfig& config, int rows);

  // Also what check_hidden() throws.
  void prepare(const Model& model) override;
  bool wants_hidden() const override { return wants_hidden_; }

 protected:
  bool take_rows(const Model& model, const Rows& rows, double ms, bool reading) override;

 private:
  // All of them.
  int wanted_rows() const;
  void take_hidden(const TextConfig& config, const Rows& rows);

  int last_;
  bool wants_hidden_;
  int taken_ = 0;  // rows
  std::vector<float> logits_;
  std::vector<float> hidden_;  // [layers + 1, rows, width]
};

}  // namespace xgenmm
