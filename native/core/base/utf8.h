#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace xgenmm {

// What stands at the front of some bytes.
struct Utf8Step {
  enum class Kind {
    kCharacter,  // a well-formed character of `length` bytes
    kIllFormed,  // `length` bytes that are the maximal subpart of an ill-formed sequence
    kIncomplete,  // all `length` bytes are the beginning of a character
  };
  Kind kind;
  size_t length;
  char32_t character;  // U+FFFD unless kCharacter
};

// `bytes` must not be empty.
Utf8Step next_utf8(std::string_view bytes);

// The same text with every ill-formed sequence replaced by U+FFFD, one per maximal subpart, as
// WHATWG's TextDecoder does.
std::string well_formed_utf8(std::string_view bytes);

// Turns bytes that arrive in arbitrary chunks into well-formed UTF-8: an unfinished character at
// the end of a chunk is held back, ill-formed sequences become U+FFFD as in `well_formed_utf8`.
class Utf8Stream {
 public:
  std::string push(std::string_view bytes);
  // Ends the text: what is held back becomes one U+FFFD. The stream can be used again.
  std::string flush();

 private:
  std::string held_;
};

}  // namespace xgenmm
