#include "engine/logits_task.h"

#include <algorithm>

#include "base/error.h"

namespace xgenmm {

namespace {

// What JavaScript gets in one array, at the official models' width those of 2,647 positions.
constexpr int64_t kMaxHiddenBytes = int64_t{1} << 30;

}  // namespace

void LogitsTask::check_hidden(const TextConfig& config, int rows) {
  const int64_t row_bytes = int64_t{config.layers + 1} * config.width * int64_t{sizeof(float)};
  const int64_t most = kMaxHiddenBytes / row_bytes;
  if (rows <= most) return;
  throw Error(ErrorCode::kInvalidArgument,
              "expected at most " + std::to_string(most) +
                  " positions whose hidden states are wanted, received " + std::to_string(rows) +
                  ": ask for fewer of the last ones");
}

void LogitsTask::prepare(const Model& model) {
  TextTask::prepare(model);
  if (wants_hidden_ && sequence_.stage() == Sequence::Stage::kWaiting)
    check_hidden(model.text_config(), wanted_rows());
}

int LogitsTask::wanted_rows() const {
  const int length = sequence_.prompt().length();
  return last_ == 0 ? length : std::min(last_, length);
}

bool LogitsTask::take_rows(const Model& model, const Rows& rows, double, bool) {
  const TextConfig& config = model.text_config();
  logits_.insert(logits_.end(), rows.logits,
                 rows.logits + std::ptrdiff_t{rows.count} * config.vocab_size);
  if (wants_hidden_ && rows.count > 0) take_hidden(config, rows);
  if (sequence_.stage() == Sequence::Stage::kPrefill) return false;
  send(event::Logits{sequence_.prompt().ids(), std::move(logits_), config.vocab_size,
                     std::move(hidden_)});
  return true;
}

void LogitsTask::take_hidden(const TextConfig& config, const Rows& rows) {
  const size_t width = static_cast<size_t>(config.width);
  const size_t layers = static_cast<size_t>(config.layers) + 1;
  const size_t all = static_cast<size_t>(wanted_rows());
  hidden_.resize(layers * all * width);
  const float* row = rows.hidden;
  for (int i = 0; i < rows.count; ++i, ++taken_) {
    for (size_t layer = 0; layer < layers; ++layer, row += width) {
      std::copy_n(row, width, hidden_.data() + (layer * all + static_cast<size_t>(taken_)) * width);
    }
  }
}

}  // namespace xgenmm
