#pragma once

#include "gguf/file.h"
#include "text/vocabulary.h"

namespace xgenmm {

// Reads the tokenizer's keys, `size` tokens. Throws kModelInvalid, or kModelUnsupported for another
// kind of tokenizer.
Vocabulary read_vocabulary(const GgufFile& file, int size);

}  // namespace xgenmm
