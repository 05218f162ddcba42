#include "text/vocabulary.h"

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "harness.h"
#include "text/tokenizer.h"
#include "tiny_vocabulary.h"

namespace xgenmm {

TEST(vocabulary_without_a_byte_piece_falls_back_to_unknown) {
  Vocabulary vocabulary;
  test::add_token(vocabulary, "<unk>", 0.0f, TokenType::kUnknown);
  test::add_token(vocabulary, "a", -1.0f, TokenType::kNormal);
  test::add_token(vocabulary, "<0x62>", 0.0f, TokenType::kByte);
  vocabulary.unk = 0;
  const Tokenizer tokenizer(vocabulary);
  const Segment abc{Segment::Kind::kText, "abc"};
  // No U+2581 either: the prefix is three unknown bytes.
  CHECK_EQ(tokenizer.encode({abc}, false, false), (std::vector<int32_t>{0, 0, 0, 1, 2, 0}));
  CHECK_EQ(tokenizer.encode({abc}, false, true), (std::vector<int32_t>{1, 2, 0}));
  vocabulary.unk = -1;
  CHECK_THROWS(ErrorCode::kModelInvalid, Tokenizer(vocabulary));
}

TEST(vocabulary_faults_are_refused) {
  const Vocabulary good = test::tiny_vocabulary(TokenizerStyle::kSlow, true);
  const int size = static_cast<int>(good.tokens.size());
  check_vocabulary(good);
  const auto refuse = [&](void (*damage)(Vocabulary&, int)) {
    Vocabulary bad = good;
    damage(bad, size);
    CHECK_THROWS(ErrorCode::kModelInvalid, Tokenizer(std::move(bad)));
  };
  refuse([](Vocabulary& v, int) { v = {}; });
  refuse([](Vocabulary& v, int) { v.scores.pop_back(); });
  refuse([](Vocabulary& v, int) { v.types.pop_back(); });
  refuse([](Vocabulary& v, int) { v.types[300] = static_cast<TokenType>(7); });
  refuse([](Vocabulary& v, int) { v.types[300] = static_cast<TokenType>(0); });
  refuse([](Vocabulary& v, int) { v.types[300] = TokenType::kByte; });
  refuse([](Vocabulary& v, int) { v.scores[300] = std::numeric_limits<float>::quiet_NaN(); });
  refuse([](Vocabulary& v, int) { v.bos = -1; });
  refuse([](Vocabulary& v, int size) { v.eos = size; });
  refuse([](Vocabulary& v, int) { v.pad = -2; });
  refuse([](Vocabulary& v, int size) { v.image_id = size; });
  refuse([](Vocabulary& v, int) { v.rstrip.push_back(-1); });
}

}  // namespace xgenmm
