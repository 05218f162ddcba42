#pragma once

#include <string>

#include "text/vocabulary.h"

namespace xgenmm::test {

void add_token(Vocabulary& vocabulary, const std::string& token, float score, TokenType type);

// The vocabulary of test/fixtures/tiny as the converter writes it, read from tokenizer.model and
// tokenizer_config.json.
Vocabulary tiny_vocabulary(TokenizerStyle style, bool add_bos);

}  // namespace xgenmm::test
