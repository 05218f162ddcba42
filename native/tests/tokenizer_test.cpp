#include "text/tokenizer.h"

#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "fixture.h"
#include "gguf/file.h"
#include "harness.h"
#include "tiny_vocabulary.h"

namespace xgenmm {
namespace {

using test::fixture_path;
using test::read_bytes;
using test::read_json;
using test::tiny_vocabulary;

Tokenizer tiny_tokenizer(TokenizerStyle style, bool add_bos = false) {
  return Tokenizer(tiny_vocabulary(style, add_bos));
}

Segment text(const std::string& text) {
  return {Segment::Kind::kText, text};
}

Segment special(const std::string& text) {
  return {Segment::Kind::kSpecial, text};
}

const Segment kImage{Segment::Kind::kImage, ""};

using Ids = std::vector<int32_t>;

// Merges the best neighbours one by one, as the reference does.
std::vector<std::string> merge_naively(std::vector<std::string> symbols,
                                       const std::map<std::string, float>& scores) {
  while (true) {
    size_t best = symbols.size();
    float best_score = 0.0f;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto hit = scores.find(symbols[i] + symbols[i + 1]);
      if (hit != scores.end() && (best == symbols.size() || hit->second > best_score)) {
        best = i;
        best_score = hit->second;
      }
    }
    if (best == symbols.size()) return symbols;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

}  // namespace

TEST(tokenizer_matches_the_reference) {
  const auto fixture = read_json(fixture_path("tokenizer/cases.json"));
  for (const bool add_bos : {false, true}) {
    for (const bool slow : {false, true}) {
      const Tokenizer tokenizer =
          tiny_tokenizer(slow ? TokenizerStyle::kSlow : TokenizerStyle::kFast, add_bos);
      const std::string flavour = std::string(slow ? "slow" : "fast") + (add_bos ? "_bos" : "");
      CHECK_EQ(fixture["cases"].size(), size_t{40});
      for (const auto& entry : fixture["cases"]) {
        const std::string input = entry["text"];
        CHECK_EQ(tokenizer.encode({text(input)}, true, false), entry[flavour].get<Ids>());
        // Where a text is cut makes no difference.
        const size_t half = input.size() / 2;
        const std::vector<Segment> halves = {text(input.substr(0, half)), text(input.substr(half))};
        CHECK_EQ(tokenizer.encode(halves, true, false), entry[flavour].get<Ids>());
      }
    }
  }
}

TEST(tokenizer_matches_the_prompts_and_answers_of_all_cases) {
  for (const std::string& name : test::fixture_folders("cases")) {
    const std::string folder = "cases/" + name;
    const auto description = read_json(fixture_path(folder + "/case.json"));
    const auto style =
        description["tokenizer_style"] == "slow" ? TokenizerStyle::kSlow : TokenizerStyle::kFast;
    const Tokenizer tokenizer = tiny_tokenizer(style, description["add_bos"]);
    const std::string prompt = description["prompt"];
    Ids expected = test::read_safetensors(fixture_path(folder + "/expected.safetensors"))
                       .at("prompt_ids")
                       .values<int32_t>();
    CHECK_EQ(tokenizer.encode({text(prompt)}, true, false), expected);

    // The same with pictures in the place of <image>.
    std::vector<Segment> segments;
    const std::string marker = "<image>";
    size_t begin = 0;
    for (size_t end; (end = prompt.find(marker, begin)) != std::string::npos;
         begin = end + marker.size()) {
      segments.push_back(text(prompt.substr(begin, end - begin)));
      segments.push_back(kImage);
    }
    segments.push_back(text(prompt.substr(begin)));
    int32_t images = 0;
    for (int32_t& id : expected) {
      if (id == tokenizer.vocabulary().image_id) id = -1 - images++;
    }
    CHECK_EQ(tokenizer.encode(segments, true, false), expected);

    const Ids answer = description["greedy_ids"];
    const std::string bytes = tokenizer.decode(answer.data(), answer.size());
    CHECK_EQ(test::hex(bytes.data(), bytes.size()), description["text_hex_all"].get<std::string>());
  }
}

TEST(tokenizer_matches_llama_cpp_on_the_real_vocabulary) {
  const GgufFile file(fixture_path("phi3-vocab/phi-3.gguf"));
  Vocabulary vocabulary;
  vocabulary.tokens = file.string_array("tokenizer.ggml.tokens");
  vocabulary.scores = file.f32_array("tokenizer.ggml.scores");
  for (const int32_t type : file.i32_array("tokenizer.ggml.token_type")) {
    vocabulary.types.push_back(static_cast<TokenType>(type));
  }
  vocabulary.unk = static_cast<int>(file.u32("tokenizer.ggml.unknown_token_id"));
  vocabulary.style = TokenizerStyle::kFast;
  const Tokenizer tokenizer(std::move(vocabulary));

  const std::string inputs = read_bytes(fixture_path("phi3-vocab/phi-3.inp"));
  std::istringstream outputs(read_bytes(fixture_path("phi3-vocab/phi-3.out")));
  const std::string separator = "\n__ggml_vocab_test__\n";
  int compared = 0;
  for (size_t begin = 0; begin < inputs.size();) {
    const size_t end = std::min(inputs.find(separator, begin), inputs.size());
    const std::string input = inputs.substr(begin, end - begin);
    begin = end + separator.size();
    std::string line;
    std::getline(outputs, line);
    std::istringstream numbers(line);
    Ids expected;
    for (int32_t id; numbers >> id;) expected.push_back(id);
    const Ids ids = tokenizer.encode({text(input)}, true, false);
    CHECK_EQ(ids, expected);
    CHECK_EQ(tokenizer.decode(ids.data(), ids.size()), input);
    ++compared;
  }
  CHECK_EQ(compared, 46);
}

TEST(tokenizer_merges_like_the_naive_loop) {
  const Vocabulary vocabulary = tiny_vocabulary(TokenizerStyle::kFast, false);
  std::map<std::string, float> scores;
  std::vector<std::string> characters;
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    if (vocabulary.types[i] != TokenType::kNormal) continue;
    scores[vocabulary.tokens[i]] = vocabulary.scores[i];
    const bool ascii = vocabulary.tokens[i].size() == 1;
    if (ascii || vocabulary.tokens[i] == "\xE2\x96\x81") characters.push_back(vocabulary.tokens[i]);
  }
  const Tokenizer tokenizer(vocabulary);
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    // Few different characters, so that merges compete and scores tie.
    const size_t kinds = 2 + random() % 12;
    std::vector<std::string> alphabet;
    for (size_t i = 0; i < kinds; ++i) alphabet.push_back(characters[random() % characters.size()]);
    std::vector<std::string> symbols;
    std::string input;
    for (size_t i = 0; i < 60; ++i) input += symbols.emplace_back(alphabet[random() % kinds]);
    symbols.insert(symbols.begin(), "\xE2\x96\x81");

    std::vector<std::string> pieces;
    for (const int32_t id : tokenizer.encode({text(input)}, false, false))
      pieces.push_back(vocabulary.tokens[id]);
    CHECK(pieces == merge_naively(symbols, scores));
  }
}

TEST(tokenizer_reads_markup_in_texts_only_when_asked) {
  const Tokenizer tokenizer = tiny_tokenizer(TokenizerStyle::kSlow);
  const int32_t image = tokenizer.vocabulary().image_id;
  CHECK_EQ(tokenizer.encode({text("<image>")}, true, false), (Ids{image}));
  for (const int32_t id : tokenizer.encode({text("<image><|end|></s><unk>")}, false, false)) {
    CHECK(!is_added(tokenizer.vocabulary().types[id]));
  }
  CHECK_EQ(tokenizer.encode({special("<image>")}, false, false), (Ids{image}));
}

TEST(tokenizer_treats_segments_like_the_same_text) {
  for (const TokenizerStyle style : {TokenizerStyle::kSlow, TokenizerStyle::kFast}) {
    const Tokenizer tokenizer = tiny_tokenizer(style);
    const Ids whole = tokenizer.encode(
        {text("<|user|>\n \xE3\x80\x80hello<|end|>\n<|assistant|>\n")}, true, false);
    CHECK_EQ(
        tokenizer.encode({special("<|user|>"), text("\n "), text("\xE3\x80\x80hel"), text("lo"),
                          special("<|end|>"), text("\n"), special("<|assistant|>"), text("\n")},
                         false, false),
        whole);
  }
}

TEST(tokenizer_numbers_the_pictures) {
  const Tokenizer tokenizer = tiny_tokenizer(TokenizerStyle::kSlow);
  CHECK_EQ(tokenizer.encode({kImage, kImage}, false, false), (Ids{-1, -2}));
  CHECK_EQ(tokenizer.encode({text(""), kImage}, false, true), (Ids{-1}));
}

TEST(tokenizer_continues_a_prompt) {
  const Tokenizer slow = tiny_tokenizer(TokenizerStyle::kSlow, true);
  const Tokenizer fast = tiny_tokenizer(TokenizerStyle::kFast, true);
  const std::string underline = "\xE2\x96\x81";
  const auto piece = [&](const Tokenizer& tokenizer, int32_t id) {
    return tokenizer.vocabulary().tokens.at(id);
  };

  const Ids first = slow.encode({special("<|user|>")}, false, false);
  CHECK_EQ(first, (Ids{slow.vocabulary().bos, slow.encode({text(" ")}, false, true)[0],
                       slow.find_added("<|user|>")}));
  CHECK_EQ(piece(slow, first[1]), underline);
  CHECK_EQ(slow.encode({special("<|user|>")}, false, true), (Ids{slow.find_added("<|user|>")}));
  CHECK_EQ(slow.encode({text("the")}, false, false),
           (Ids{slow.vocabulary().bos, slow.encode({text(" the")}, false, true).at(0)}));
  // A lone U+2581 that is the text's own stays.
  CHECK_EQ(slow.encode({text(" "), kImage}, false, true), (Ids{first[1], -1}));

  Ids with_bos = fast.encode({text("the")}, false, true);
  with_bos.insert(with_bos.begin(), fast.vocabulary().bos);
  CHECK_EQ(fast.encode({text("the")}, false, false), with_bos);

  CHECK_EQ(slow.encode({}, false, true), Ids{});
  CHECK_EQ(slow.encode({}, false, false), (Ids{slow.vocabulary().bos}));
}

TEST(tokenizer_names_an_unknown_special) {
  const Tokenizer tokenizer = tiny_tokenizer(TokenizerStyle::kSlow);
  CHECK_THROWS(ErrorCode::kInvalidArgument,
               tokenizer.encode({special("<|nobody|>")}, false, false));
  CHECK_THROWS(ErrorCode::kInvalidArgument, tokenizer.encode({special("")}, false, false));
  try {
    tokenizer.encode({special("<|nobody|>")}, false, false);
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("<|nobody|>") != std::string::npos);
  }
}

TEST(tokenizer_finds_the_longest_added_token) {
  Vocabulary vocabulary = tiny_vocabulary(TokenizerStyle::kFast, false);
  for (const char* token : {"<a", "<a>", "<ab", "<abc>", "", "<a>"}) {
    test::add_token(vocabulary, token, 0.0f, TokenType::kControl);
  }
  const int32_t last = static_cast<int32_t>(vocabulary.tokens.size()) - 1;
  const Tokenizer tokenizer(std::move(vocabulary));
  const int32_t a = last - 5, ab = last - 3, abc = last - 2;
  // The last of two equal tokens counts; the empty one never matches.
  CHECK_EQ(tokenizer.encode({text("<a><abc><ab<a<a>")}, true, false),
           (Ids{last, abc, ab, a, last}));
  // Where a text sorts behind a longer token that it does not begin with.
  CHECK_EQ(tokenizer.encode({text("<abd")}, true, false).at(0), ab);
  CHECK_EQ(tokenizer.encode({text("<ad")}, true, false).at(0), a);
  CHECK_EQ(tokenizer.find_added("<ab"), ab);
  CHECK_EQ(tokenizer.find_added("<abc"), -1);
  CHECK_EQ(tokenizer.find_added(""), -1);
}

TEST(tokenizer_keeps_bytes_that_are_not_utf8) {
  const Tokenizer tokenizer = tiny_tokenizer(TokenizerStyle::kSlow);
  for (const std::string& bytes :
       {std::string("\xFF"), std::string("a\xE2\x96 b\xC0\x80"), std::string("\0\x80", 2)}) {
    const Ids ids = tokenizer.encode({text(bytes)}, true, false);
    CHECK_EQ(tokenizer.decode(ids.data(), ids.size()), bytes);
  }
}

TEST(tokenizer_handles_a_megabyte) {
  const Tokenizer tokenizer = tiny_tokenizer(TokenizerStyle::kSlow);
  std::string words, markup;
  while (words.size() < (1 << 20)) words += "the yellow kettle (item 3) ";
  while (markup.size() < (1 << 20)) markup += "<|<im<image placeholder";
  for (const std::string& input :
       {words, markup, std::string(1 << 20, 'a'), std::string(1 << 20, ' ')}) {
    const Ids ids = tokenizer.encode({text(input)}, true, false);
    CHECK(tokenizer.decode(ids.data(), ids.size()) == input);
  }
}

TEST(detokenizer_leaves_out_what_is_no_text) {
  const Tokenizer tokenizer = tiny_tokenizer(TokenizerStyle::kSlow);
  const Ids hello = tokenizer.encode({text("hello there")}, false, false);
  Detokenizer detokenizer(tokenizer);
  std::string bytes;
  for (const int32_t id : {tokenizer.find_added("<|assistant|>"), tokenizer.vocabulary().unk, -1}) {
    CHECK_EQ(detokenizer.push(id), "");
  }
  for (const int32_t id : hello) bytes += detokenizer.push(id);
  CHECK_EQ(bytes, "hello there");
  CHECK_THROWS(ErrorCode::kInvalidArgument,
               detokenizer.push(static_cast<int32_t>(tokenizer.vocabulary().tokens.size())));
  CHECK_THROWS(ErrorCode::kInvalidArgument, detokenizer.push(std::numeric_limits<int32_t>::max()));
}

}  // namespace xgenmm
