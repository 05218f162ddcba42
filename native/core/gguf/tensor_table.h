#pragma once

#include <string>
#include <vector>

#include "gguf/config.h"
#include "gguf/file.h"

namespace xgenmm {

// The one list of what a file must hold: docs/gguf-format.md, "Tensors".
struct TensorSpec {
  enum class Role {
    kVector,  // F32: norms, biases, position embeddings, latents
    kMatrix,  // any type that has a matrix product
  };
  std::string name;
  std::vector<int64_t> shape;  // ggml order
  Role role;
};

// tied_output: the output head is the embedding (plain phi3 files may leave it out); output_bias:
// xgenmm's head has one.
std::vector<TensorSpec> text_tensors(const TextConfig& text, bool tied_output, bool output_bias);
std::vector<TensorSpec> vision_tensors(const VisionConfig& vision);

// kModelInvalid when a tensor of the table is missing or has another shape or an unusable type.
void check_tensors(const GgufFile& file, const std::vector<TensorSpec>& table);

}  // namespace xgenmm
