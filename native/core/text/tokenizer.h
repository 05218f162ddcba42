#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "text/vocabulary.h"

namespace xgenmm {

// One stretch of a prompt.
struct Segment {
  enum class Kind {
    kText,  // UTF-8; neighbouring texts are joined before anything else
    kSpecial,  // exactly one added token, by its text
    kImage,  // a picture; acts as the added token <image>
  };
  Kind kind;
  std::string text;  // empty for kImage
};

// SentencePiece BPE with added tokens (MODEL 1.10). Immutable, so that any number of threads can
// use it.
class Tokenizer {
 public:
  // kModelInvalid as `check_vocabulary`.
  explicit Tokenizer(Vocabulary vocabulary);
  // `pieces_` and `added_` point into `vocabulary_`, which survives a move but not a copy.
  Tokenizer(Tokenizer&&) = default;

  // Token ids; -1-k stands for picture k. With `parse_special`, added tokens are found in the texts
  // as well. A `continuation` follows earlier text of the same prompt: it gets no beginning-of-text
  // token and, in the slow style, no U+2581 in front. Bytes that are not UTF-8 become byte pieces.
  // kInvalidArgument for a special that the vocabulary does not have.
  std::vector<int32_t> encode(const std::vector<Segment>& segments, bool parse_special,
                              bool continuation) const;

  // The raw bytes of `count` tokens, as Detokenizer yields them.
  std::string decode(const int32_t* tokens, size_t count) const;

  // The added token that reads `text`, or -1.
  int32_t find_added(std::string_view text) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  friend class Detokenizer;

  // A stretch of text and the token after it.
  struct Run {
    std::string text;
    int32_t token;
  };
  struct Added {
    std::string_view text;
    int32_t id;
    int parent;  // index of the longest other added token that this one begins with, or -1
  };

  void index_added();
  const Added* match_added(std::string_view text) const;
  std::vector<Run> cut(const std::vector<Segment>& segments, bool parse_special) const;
  void cut_text(std::string text, bool parse_special, std::vector<Run>& runs) const;
  void append_pieces(const std::string& text, std::vector<int32_t>& ids) const;

  Vocabulary vocabulary_;
  std::unordered_map<std::string_view, int32_t> pieces_;  // normal pieces
  size_t longest_piece_ = 0;  // bytes
  std::array<int32_t, 256> bytes_;  // the token of each byte
  std::vector<Added> added_;  // sorted by text
  std::array<bool, 256> begins_added_{};  // bytes that an added token begins with
  std::unordered_set<int32_t> rstrip_;
  std::unordered_set<int32_t>
      named_;  // added tokens before which the slow style drops a lone U+2581
};

// Turns tokens into bytes one at a time; a character may be spread over several tokens.
class Detokenizer {
 public:
  // `tokenizer` must outlive this.
  explicit Detokenizer(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // Added tokens and pictures (negative ids) give nothing. The first piece loses one leading space.
  // kInvalidArgument for an id beyond the vocabulary.
  std::string push(int32_t token);

 private:
  const Tokenizer& tokenizer_;
  bool at_start_ = true;
};

}  // namespace xgenmm
