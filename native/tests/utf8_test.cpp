#include "base/utf8.h"

#include <string>
#include <utility>
#include <vector>

#include "harness.h"

namespace xgenmm {
namespace {

// Ill-formed input and what WHATWG's TextDecoder makes of it; R stands for U+FFFD.
const std::vector<std::pair<std::string, std::string>> kTexts = {
    {"", ""},
    {"plain", "plain"},
    {"d\xC3\xA9j\xC3\xA0 \xE2\x96\x81 \xF0\x9F\x98\x80",
     "d\xC3\xA9j\xC3\xA0 \xE2\x96\x81 \xF0\x9F\x98\x80"},
    {std::string("a\0b", 3), std::string("a\0b", 3)},
    {"\x80", "R"},
    {"a\xFF\xFEz", "aRRz"},
    {"\xC0\xAF", "RR"},  // overlong
    {"\xE0\x80\xAF", "RRR"},  // overlong
    {"\xF0\x80\x80\xAF", "RRRR"},  // overlong
    {"\xED\xA0\x80", "RRR"},  // surrogate
    {"\xF4\x90\x80\x80", "RRRR"},  // beyond U+10FFFF
    {"\xF5\x80", "RR"},  // no lead byte
    {"\xE2\x82", "R"},  // cut short at the end
    {"\xE2\x82z", "Rz"},  // cut short by a character
    {"\xF0\x9F\x98\xE2\x82\xAC", "R\xE2\x82\xAC"},  // cut short by another one
    // The Unicode standard's example, table 3-8.
    {"\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64", "aRRRbRcRRd"},
};

std::string spell_out(const std::string& text) {
  std::string out;
  for (const char c : text) c == 'R' ? out += "\xEF\xBF\xBD" : out += c;
  return out;
}

}  // namespace

TEST(utf8_replaces_what_is_ill_formed) {
  for (const auto& [bytes, text] : kTexts) CHECK_EQ(well_formed_utf8(bytes), spell_out(text));
}

TEST(utf8_stream_does_not_depend_on_the_chunks) {
  for (const auto& [bytes, text] : kTexts) {
    for (size_t size = 1; size <= 3; ++size) {
      Utf8Stream stream;
      std::string out;
      for (size_t i = 0; i < bytes.size(); i += size) out += stream.push(bytes.substr(i, size));
      CHECK_EQ(out + stream.flush(), spell_out(text));
    }
  }
}

TEST(utf8_stream_holds_back_an_unfinished_character) {
  Utf8Stream stream;
  CHECK_EQ(stream.push("a\xF0\x9F"), "a");
  CHECK_EQ(stream.push("\x98"), "");
  CHECK_EQ(stream.push("\x80"
                       "b"),
           "\xF0\x9F\x98\x80"
           "b");
  CHECK_EQ(stream.flush(), "");
  CHECK_EQ(stream.push("\xE2\x82"), "");
  CHECK_EQ(stream.flush(), "\xEF\xBF\xBD");
  CHECK_EQ(stream.push("c"), "c");
}

TEST(utf8_step_decodes_every_character) {
  const std::string text = "A\xC3\xA9\xE2\x96\x81\xF4\x8F\xBF\xBF";
  std::string_view rest = text;
  std::vector<char32_t> characters;
  while (!rest.empty()) {
    const Utf8Step step = next_utf8(rest);
    CHECK(step.kind == Utf8Step::Kind::kCharacter);
    characters.push_back(step.character);
    rest.remove_prefix(step.length);
  }
  CHECK(characters == std::vector<char32_t>({0x41, 0xE9, 0x2581, 0x10FFFF}));
}

}  // namespace xgenmm
