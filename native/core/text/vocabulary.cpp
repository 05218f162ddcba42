#include "text/vocabulary.h"

#include <bitset>
#include <cmath>

#include "base/error.h"

namespace xgenmm {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorCode::kModelInvalid, "the vocabulary is damaged: " + what);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

bool is_added(TokenType type) {
  return type == TokenType::kUnknown || type == TokenType::kControl ||
         type == TokenType::kUserDefined;
}

int byte_value(const std::string& piece) {
  if (piece.size() != 6 || piece.compare(0, 3, "<0x") != 0 || piece[5] != '>') return -1;
  const int high = hex_digit(piece[3]), low = hex_digit(piece[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

void check_vocabulary(const Vocabulary& vocabulary) {
  const size_t size = vocabulary.tokens.size();
  const auto check_id = [size](int id, int lowest, const std::string& name) {
    if (id < lowest || (id >= 0 && static_cast<size_t>(id) >= size)) {
      fail("expected the " + name + " token to be one of " + std::to_string(size) +
           " tokens, received id " + std::to_string(id));
    }
  };

  if (size == 0) fail("expected at least one token, received none");
  if (vocabulary.scores.size() != size || vocabulary.types.size() != size) {
    fail("expected as many scores and types as tokens (" + std::to_string(size) + "), received " +
         std::to_string(vocabulary.scores.size()) + " and " +
         std::to_string(vocabulary.types.size()));
  }
  std::bitset<256> bytes;
  for (size_t id = 0; id < size; ++id) {
    const TokenType type = vocabulary.types[id];
    if (type < TokenType::kNormal || type > TokenType::kByte) {
      fail("token " + std::to_string(id) + " has the unknown type " +
           std::to_string(static_cast<int>(type)));
    }
    if (std::isnan(vocabulary.scores[id])) {
      fail("the score of token " + std::to_string(id) + " is not a number");
    }
    if (type != TokenType::kByte) continue;
    const int value = byte_value(vocabulary.tokens[id]);
    if (value < 0) {
      fail("expected byte token " + std::to_string(id) + " to read <0xXX>, received \"" +
           vocabulary.tokens[id] + "\"");
    }
    bytes.set(value);
  }
  check_id(vocabulary.bos, vocabulary.add_bos ? 0 : -1, "beginning-of-text");
  check_id(vocabulary.eos, -1, "end-of-text");
  check_id(vocabulary.unk, bytes.all() ? -1 : 0, "unknown");
  check_id(vocabulary.pad, -1, "padding");
  check_id(vocabulary.image_id, -1, "<image>");
  for (const int id : vocabulary.rstrip) check_id(id, 0, "whitespace-swallowing");
}

}  // namespace xgenmm
