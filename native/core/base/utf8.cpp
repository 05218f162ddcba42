#include "base/utf8.h"

#include <cstdint>
#include <utility>

namespace xgenmm {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Appends the well-formed text of `bytes` to `out` and returns how many bytes at the end are an
// unfinished character.
size_t append_well_formed(std::string_view bytes, std::string& out) {
  while (!bytes.empty()) {
    const Utf8Step step = next_utf8(bytes);
    if (step.kind == Utf8Step::Kind::kIncomplete) return step.length;
    if (step.kind == Utf8Step::Kind::kCharacter) {
      out.append(bytes.substr(0, step.length));
    } else {
      out.append(kReplacement);
    }
    bytes.remove_prefix(step.length);
  }
  return 0;
}

}  // namespace

Utf8Step next_utf8(std::string_view bytes) {
  using Kind = Utf8Step::Kind;
  constexpr char32_t kReplacementCharacter = 0xFFFD;
  const uint8_t lead = static_cast<uint8_t>(bytes[0]);
  if (lead < 0x80) return {Kind::kCharacter, 1, lead};
  if (lead < 0xC2 || lead > 0xF4) return {Kind::kIllFormed, 1, kReplacementCharacter};

  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t character = lead & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if (i == bytes.size()) return {Kind::kIncomplete, i, kReplacementCharacter};
    const uint8_t byte = static_cast<uint8_t>(bytes[i]);
    // The second byte excludes overlong forms, surrogates and what lies beyond U+10FFFF (Unicode,
    // table 3-7).
    const uint8_t low = i > 1 ? 0x80 : lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const uint8_t high = i > 1 ? 0xBF : lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (byte < low || byte > high) return {Kind::kIllFormed, i, kReplacementCharacter};
    character = character << 6 | (byte & 0x3F);
  }
  return {Kind::kCharacter, length, character};
}

std::string well_formed_utf8(std::string_view bytes) {
  Utf8Stream stream;
  std::string text = stream.push(bytes);
  return text += stream.flush();
}

std::string Utf8Stream::push(std::string_view bytes) {
  std::string all = std::exchange(held_, {});
  all.append(bytes);
  std::string text;
  text.reserve(all.size());
  const size_t unfinished = append_well_formed(all, text);
  held_.assign(all, all.size() - unfinished, unfinished);
  return text;
}

std::string Utf8Stream::flush() {
  const bool unfinished = !held_.empty();
  held_.clear();
  return std::string(unfinished ? kReplacement : "");
}

}  // namespace xgenmm
