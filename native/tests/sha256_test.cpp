#include "base/sha256.h"

#include <algorithm>
#include <string>

#include "fixture.h"
#include "harness.h"

namespace xgenmm {

// FIPS 180-4 examples.
TEST(sha256_matches_the_published_examples) {
  const auto hash = [](const std::string& text) {
    return test::sha256_hex(text.data(), text.size());
  };
  CHECK_EQ(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK_EQ(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK_EQ(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
           "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK_EQ(hash(std::string(1000000, 'a')),
           "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(sha256_does_not_depend_on_the_pieces) {
  for (const size_t size : {1, 55, 56, 57, 63, 64, 65, 119, 120, 200}) {
    std::string text;
    for (size_t i = 0; i < size; ++i) text += static_cast<char>(i * 7);
    for (const size_t piece : {1, 3, 64, 100}) {
      Sha256 hash;
      for (size_t i = 0; i < size; i += piece)
        hash.update(text.data() + i, std::min(piece, size - i));
      CHECK(hash.digest() == sha256(text.data(), size));
    }
  }
}

}  // namespace xgenmm
