#include "tiny_vocabulary.h"

#include <cstring>
#include <map>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "fixture.h"

namespace xgenmm::test {
namespace {

// Reads the fields of one protocol buffer message: varints, 4-byte values and length-delimited
// bytes.
struct ProtobufField {
  int number;
  uint64_t value;
  std::string_view bytes;
};

std::vector<ProtobufField> read_protobuf(std::string_view message) {
  size_t at = 0;
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const uint8_t byte = static_cast<uint8_t>(message.at(at++));
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
  };
  std::vector<ProtobufField> fields;
  while (at < message.size()) {
    const uint64_t tag = varint();
    ProtobufField field{static_cast<int>(tag >> 3), 0, {}};
    if ((tag & 7) == 0) {
      field.value = varint();
    } else {
      const size_t size = (tag & 7) == 5 ? 4 : (tag & 7) == 1 ? 8 : varint();
      field.bytes = message.substr(at, size);
      at += size;
    }
    fields.push_back(field);
  }
  return fields;
}

}  // namespace

void add_token(Vocabulary& vocabulary, const std::string& token, float score, TokenType type) {
  vocabulary.tokens.push_back(token);
  vocabulary.scores.push_back(score);
  vocabulary.types.push_back(type);
}

Vocabulary tiny_vocabulary(TokenizerStyle style, bool add_bos) {
  Vocabulary vocabulary;
  vocabulary.style = style;
  vocabulary.add_bos = add_bos;
  const std::string model = read_bytes(fixture_path("tiny/tokenizer.model"));
  for (const ProtobufField& piece : read_protobuf(model)) {
    if (piece.number != 1) continue;
    std::string token;
    float score = 0.0f;
    TokenType type = TokenType::kNormal;
    for (const ProtobufField& field : read_protobuf(piece.bytes)) {
      if (field.number == 1) token = field.bytes;
      if (field.number == 2) std::memcpy(&score, field.bytes.data(), sizeof score);
      if (field.number == 3) type = static_cast<TokenType>(field.value);
    }
    add_token(vocabulary, token, score, type);
  }

  const auto config = read_json(fixture_path("tiny/tokenizer_config.json"));
  std::map<size_t, nlohmann::json> added;
  for (const auto& [id, token] : config["added_tokens_decoder"].items())
    added[std::stoul(id)] = token;
  for (const auto& [id, token] : added) {
    const std::string text = token["content"];
    if (id == vocabulary.tokens.size()) add_token(vocabulary, text, 0.0f, TokenType::kControl);
    if (vocabulary.tokens.at(id) != text) {
      throw std::runtime_error("tokenizer.model and tokenizer_config.json disagree about " + text);
    }
    vocabulary.types[id] = text == "<unk>" ? TokenType::kUnknown : TokenType::kControl;
    if (token["rstrip"]) vocabulary.rstrip.push_back(static_cast<int>(id));
    for (const auto& [key, place] : {std::pair{"bos_token", &vocabulary.bos},
                                     {"eos_token", &vocabulary.eos},
                                     {"unk_token", &vocabulary.unk},
                                     {"pad_token", &vocabulary.pad}}) {
      if (config[key] == text) *place = static_cast<int>(id);
    }
  }
  vocabulary.image_id = static_cast<int>(vocabulary.tokens.size());
  for (const char* text : {"<image>", "<image placeholder>", "<|endofchunk|>"}) {
    add_token(vocabulary, text, 0.0f, TokenType::kControl);
  }
  return vocabulary;
}

}  // namespace xgenmm::test
