// llama-logits MODEL.gguf PROMPT.txt OUT THREADS [--no-flash-attention]: llama.cpp's logits for a
// prompt, with its default settings but for that. OUT gets, little-endian: int32 positions, int32
// vocabulary, int32 token id per position, f32 [positions, vocabulary].
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "llama-cpp.h"

namespace {

std::string read_text(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(std::string("cannot read ") + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<llama_token> tokenize(const llama_model* model, const std::string& text) {
  const llama_vocab* vocab = llama_model_get_vocab(model);
  const auto length = static_cast<int32_t>(text.size());
  // No token is shorter than a byte; the first may be <s>, the second the prefixed space.
  std::vector<llama_token> tokens(text.size() + 2);
  const int32_t count = llama_tokenize(vocab, text.data(), length, tokens.data(),
                                       static_cast<int32_t>(tokens.size()), true, false);
  if (count <= 0) throw std::runtime_error("the prompt cannot be tokenized");
  tokens.resize(count);
  return tokens;
}

llama_context_ptr make_context(llama_model* model, uint32_t positions, int threads,
                               bool flash_attention) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = positions;
  // Logits are kept for one batch.
  params.n_batch = positions;
  params.n_threads = threads;
  params.n_threads_batch = threads;
  if (!flash_attention) params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  llama_context_ptr context(llama_init_from_model(model, params));
  if (!context) throw std::runtime_error("no context could be made");
  return context;
}

struct BatchDeleter {
  void operator()(llama_batch* batch) const {
    llama_batch_free(*batch);
    delete batch;
  }
};

void decode(llama_context* context, const std::vector<llama_token>& tokens) {
  const auto count = static_cast<int32_t>(tokens.size());
  const std::unique_ptr<llama_batch, BatchDeleter> batch(
      new llama_batch(llama_batch_init(count, 0, 1)));
  batch->n_tokens = count;
  for (int32_t i = 0; i < count; ++i) {
    batch->token[i] = tokens[i];
    batch->pos[i] = i;
    batch->n_seq_id[i] = 1;
    batch->seq_id[i][0] = 0;
    batch->logits[i] = 1;
  }
  if (llama_decode(context, *batch) != 0) throw std::runtime_error("decoding failed");
}

template <typename T>
void write(std::ofstream& file, const T* values, size_t count) {
  file.write(reinterpret_cast<const char*>(values),
             static_cast<std::streamsize>(count * sizeof(T)));
}

void run(const char* model_path, const char* prompt_path, const char* output_path, int threads,
         bool flash_attention) {
  const llama_model_ptr model(llama_model_load_from_file(model_path, llama_model_default_params()));
  if (!model) throw std::runtime_error(std::string("cannot load ") + model_path);
  const std::vector<llama_token> tokens = tokenize(model.get(), read_text(prompt_path));
  const llama_context_ptr context =
      make_context(model.get(), static_cast<uint32_t>(tokens.size()), threads, flash_attention);
  decode(context.get(), tokens);

  const auto positions = static_cast<int32_t>(tokens.size());
  const int32_t vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model.get()));
  std::ofstream file(output_path, std::ios::binary);
  write(file, &positions, 1);
  write(file, &vocabulary, 1);
  write(file, tokens.data(), tokens.size());
  for (int32_t i = 0; i < positions; ++i) {
    write(file, llama_get_logits_ith(context.get(), i), vocabulary);
  }
  file.close();
  if (!file) throw std::runtime_error(std::string("cannot write ") + output_path);
}

}  // namespace

int main(int argc, char** argv) {
  const bool flash_attention = argc == 5;
  if (!flash_attention && (argc != 6 || std::strcmp(argv[5], "--no-flash-attention") != 0)) {
    std::cerr << "usage: llama-logits MODEL.gguf PROMPT.txt OUT THREADS [--no-flash-attention]\n";
    return 2;
  }
  llama_log_set(
      [](ggml_log_level level, const char* text, void*) {
        if (level == GGML_LOG_LEVEL_ERROR) std::cerr << text;
      },
      nullptr);
  llama_backend_init();
  try {
    run(argv[1], argv[2], argv[3], std::atoi(argv[4]), flash_attention);
  } catch (const std::exception& error) {
    std::cerr << "llama-logits: " << error.what() << '\n';
    return 1;
  }
  llama_backend_free();
  return 0;
}
