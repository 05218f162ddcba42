#pragma once

#include <cstdint>
#include <vector>

#include "text/kv_cache.h"

namespace xgenmm {

// What one sequence adds in a forward pass: the next `count` positions of its prompt, or one
// generated token and behind it count - 1 drafted ones.
struct Continuation {
  KvSlot* slot;
  const Prompt* prompt;  // nullptr: `token` follows
  int32_t token;
  int count;
  int outputs;  // of how many of the last of them logits are wanted
  const int32_t* draft = nullptr;  // [count - 1] behind `token`

  PromptPosition operator[](int index) const {
    if (prompt != nullptr) return (*prompt)[slot->length() + index];
    return {index == 0 ? token : draft[index - 1], -1, nullptr};
  }
  // How many of the positions are known to stand there.
  int sure() const { return prompt == nullptr ? 1 : count; }
};

// Neighbouring columns of a batch that continue one sequence.
struct Span {
  const KvSlot* slot;
  int first_column;
  int first_position;
  int count;
};

// The columns of a forward pass: all continuations side by side.
struct Batch {
  int count = 0;
  std::vector<float> embeddings;  // [count, width]
  std::vector<int32_t> outputs;  // columns whose logits are wanted
  std::vector<Span> spans;
  std::vector<Span> output_spans;  // the same without the columns that are not wanted

  // Columns behind the others. wanted: of how many of the last of them logits are wanted.
  void add(const KvSlot& slot, int first_position, int columns, int wanted);
  // Whether both are of the same columns of the same slots, but for tokens and positions.
  bool is_like(const Batch& other) const;
  // Takes over the other's tokens and positions, where these are.
  void take(const Batch& other);
};

}  // namespace xgenmm
