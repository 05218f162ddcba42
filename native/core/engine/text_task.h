#pragma once

#include "engine/drafter.h"
#include "engine/sequence.h"
#include "engine/task.h"

namespace xgenmm {

// A request that runs a prompt through the language model.
class TextTask : public Task {
 public:
  // keep: as for Sequence::prepare().
  TextTask(RequestId id, EventSink sink, PromptData prompt, int keep)
      : Task(id, std::move(sink)), sequence_(std::move(prompt)), keep_(keep) {}

  Sequence& sequence() { return sequence_; }
  const Sequence& sequence() const { return sequence_; }
  // Throws what Sequence::prepare() throws.
  virtual void prepare(const Model& model) { sequence_.prepare(model, keep_); }

  // Whether the residual stream is wanted where logits are.
  virtual bool wants_hidden() const { return false; }

  // Guesses how the answer goes on, as far as it may; nullptr where nobody does.
  virtual const Drafter* guess(const Model&) { return nullptr; }

  // What a part of a step has given for the positions whose logits are wanted.
  struct Rows {
    const float* logits;  // [count, vocab_size]
    const float* hidden;  // [count, layers + 1, width]; nullptr unless somebody wants it
    int count;
  };
  // Takes what the sequence's next part has given. ms: what the step took. True when the request
  // has ended.
  bool accept(const Model& model, const Rows& rows, double ms) {
    const bool reading = sequence_.stage() == Sequence::Stage::kPrefill;
    sequence_.advance();
    if (reading) send(event::Progress{sequence_.prefilled()});
    return take_rows(model, rows, ms, reading);
  }

 protected:
  // reading: the rows follow positions of the prompt.
  virtual bool take_rows(const Model& model, const Rows& rows, double ms, bool reading) = 0;

  Sequence sequence_;

 private:
  int keep_;
};

}  // namespace xgenmm
