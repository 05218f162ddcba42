#include "text/vocabulary_file.h"

#include "base/error.h"

namespace xgenmm {

namespace {

int token_id(const GgufFile& file, const std::string& key) {
  if (!file.has(key)) return -1;
  const uint32_t id = file.u32(key);
  return id > INT32_MAX ? INT32_MAX : static_cast<int>(id);
}

// llama.cpp's convention for phi-3: every special token swallows the whitespace after it, but for
// three.
std::vector<int> plain_rstrip(const Vocabulary& vocabulary) {
  std::vector<int> ids;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& text = vocabulary.tokens[id];
    const bool added = is_added(vocabulary.types[id]) || text == "</s>";
    if (added && text != "<unk>" && text != "<s>" && text != "<|endoftext|>")
      ids.push_back(static_cast<int>(id));
  }
  return ids;
}

}  // namespace

Vocabulary read_vocabulary(const GgufFile& file, int size) {
  const std::string kind = file.string("tokenizer.ggml.model");
  if (kind != "llama") {
    throw Error(ErrorCode::kModelUnsupported,
                file.path() + ": expected a SentencePiece tokenizer (\"llama\"), received \"" +
                    kind.substr(0, 64) + "\"");
  }
  Vocabulary vocabulary;
  vocabulary.tokens = file.string_array("tokenizer.ggml.tokens");
  vocabulary.scores = file.f32_array("tokenizer.ggml.scores");
  for (const int32_t type : file.i32_array("tokenizer.ggml.token_type")) {
    vocabulary.types.push_back(static_cast<TokenType>(type));
  }
  if (vocabulary.tokens.size() != static_cast<size_t>(size)) {
    file.fail("expected " + std::to_string(size) +
              " tokens, one for each row of token_embd.weight, received " +
              std::to_string(vocabulary.tokens.size()));
  }
  vocabulary.bos = token_id(file, "tokenizer.ggml.bos_token_id");
  vocabulary.eos = token_id(file, "tokenizer.ggml.eos_token_id");
  vocabulary.unk = token_id(file, "tokenizer.ggml.unknown_token_id");
  vocabulary.pad = token_id(file, "tokenizer.ggml.padding_token_id");
  const bool plain = file.string("general.architecture") == "phi3";
  vocabulary.add_bos = file.boolean("tokenizer.ggml.add_bos_token", false);
  if (plain) {
    vocabulary.style = TokenizerStyle::kFast;
    check_vocabulary(vocabulary);
    vocabulary.rstrip = plain_rstrip(vocabulary);
    return vocabulary;
  }
  vocabulary.image_id = static_cast<int>(file.u32("xgenmm.initial_tokenizer_len"));
  if (vocabulary.image_id != size - 3) {
    file.fail("expected xgenmm.initial_tokenizer_len to be the vocabulary's size less three, " +
              std::to_string(size - 3) + ", received " + std::to_string(vocabulary.image_id));
  }
  const std::string style = file.string("tokenizer.xgenmm.style");
  if (style != "slow" && style != "fast")
    file.fail("key \"tokenizer.xgenmm.style\" must be slow or fast");
  vocabulary.style = style == "slow" ? TokenizerStyle::kSlow : TokenizerStyle::kFast;
  vocabulary.rstrip = file.i32_array("tokenizer.xgenmm.rstrip_ids");
  return vocabulary;
}

}  // namespace xgenmm
