#pragma once

#include <string>
#include <vector>

namespace xgenmm {

// GGUF's numbers. Added tokens are those of kUnknown, kControl and kUserDefined.
enum class TokenType { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

// MODEL 1.10: where U+2581 is put in front of a text.
enum class TokenizerStyle {
  kSlow,  // once, in front of the whole
  kFast,  // in front of every stretch of text between added tokens
};

// A SentencePiece BPE vocabulary with added tokens. Token i has tokens[i], scores[i] and types[i].
// If a text occurs twice, the last id counts; an empty one is never matched.
struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<TokenType> types;
  // -1 if there is none.
  int bos = -1;
  int eos = -1;
  int unk = -1;
  int pad = -1;
  int image_id = -1;  // <image>
  bool add_bos = false;
  TokenizerStyle style = TokenizerStyle::kSlow;
  std::vector<int> rstrip;  // added tokens that swallow the whitespace after them
};

bool is_added(TokenType type);

// The value of the byte piece "<0xXX>", -1 for any other text.
int byte_value(const std::string& piece);

// kModelInvalid unless the arrays have one length, every type is known, every score a number, every
// id in range, every byte piece spelt <0xXX>, and, where a byte piece is missing or a beginning of
// text is asked for, its token is there.
void check_vocabulary(const Vocabulary& vocabulary);

}  // namespace xgenmm
