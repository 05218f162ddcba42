#include "gguf/tensor_table.h"

#include "ggml-cpu.h"

namespace xgenmm {

namespace {

using Role = TensorSpec::Role;

class Table {
 public:
  void vector(const std::string& name, std::vector<int64_t> shape) {
    specs_.push_back({name, std::move(shape), Role::kVector});
  }
  void matrix(const std::string& name, std::vector<int64_t> shape) {
    specs_.push_back({name, std::move(shape), Role::kMatrix});
  }
  void norm(const std::string& name, int64_t width) {
    vector(name + ".weight", {width});
    vector(name + ".bias", {width});
  }
  void linear(const std::string& name, int64_t in, int64_t out) {
    matrix(name + ".weight", {in, out});
    vector(name + ".bias", {out});
  }
  std::vector<TensorSpec> take() { return std::move(specs_); }

 private:
  std::vector<TensorSpec> specs_;
};

std::string shape_text(const int64_t* shape, size_t dimensions) {
  std::string text = "[";
  for (size_t d = 0; d < dimensions; ++d) text += (d ? ", " : "") + std::to_string(shape[d]);
  return text + "]";
}

bool usable_matrix_type(ggml_type type) {
  return ggml_get_type_traits_cpu(type)->vec_dot != nullptr &&
         (type == GGML_TYPE_F32 || ggml_get_type_traits(type)->to_float != nullptr);
}

}  // namespace

std::vector<TensorSpec> text_tensors(const TextConfig& text, bool tied_output, bool output_bias) {
  Table table;
  table.matrix("token_embd.weight", {text.width, text.vocab_size});
  for (int i = 0; i < text.layers; ++i) {
    const std::string layer = "blk." + std::to_string(i) + ".";
    table.vector(layer + "attn_norm.weight", {text.width});
    table.matrix(layer + "attn_qkv.weight", {text.width, text.width + 2 * text.kv_width()});
    table.matrix(layer + "attn_output.weight", {text.width, text.width});
    table.vector(layer + "ffn_norm.weight", {text.width});
    table.matrix(layer + "ffn_up.weight", {text.width, 2 * text.mlp_width});
    table.matrix(layer + "ffn_down.weight", {text.mlp_width, text.width});
  }
  table.vector("output_norm.weight", {text.width});
  if (!tied_output) table.matrix("output.weight", {text.width, text.vocab_size});
  if (output_bias) table.vector("output.bias", {text.vocab_size});
  return table.take();
}

std::vector<TensorSpec> vision_tensors(const VisionConfig& vision) {
  const TowerConfig& tower = vision.tower;
  const ResamplerConfig& resampler = vision.resampler;
  Table table;
  table.matrix("v.patch_embd.weight", {tower.patch, tower.patch, 3, tower.width});
  table.vector("v.patch_embd.bias", {tower.width});
  table.vector("v.position_embd.weight", {tower.width, tower.patches()});
  for (int i = 0; i < tower.layers; ++i) {
    const std::string layer = "v.blk." + std::to_string(i) + ".";
    table.norm(layer + "ln1", tower.width);
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_out"}) {
      table.linear(layer + name, tower.width, tower.width);
    }
    table.norm(layer + "ln2", tower.width);
    table.linear(layer + "ffn_up", tower.width, tower.mlp_width);
    table.linear(layer + "ffn_down", tower.mlp_width, tower.width);
  }
  table.norm("v.post_ln", tower.width);
  table.vector("resampler.latents", {tower.width, resampler.latents});
  for (int i = 0; i < resampler.layers; ++i) {
    const std::string layer = "resampler.blk." + std::to_string(i) + ".";
    table.norm(layer + "norm_media", tower.width);
    table.norm(layer + "norm_latents", tower.width);
    table.matrix(layer + "attn_q.weight", {tower.width, resampler.inner_width()});
    table.matrix(layer + "attn_kv.weight", {tower.width, 2 * resampler.inner_width()});
    table.matrix(layer + "attn_out.weight", {resampler.inner_width(), tower.width});
    table.norm(layer + "ffn_norm", tower.width);
    table.matrix(layer + "ffn_up.weight", {tower.width, 4 * tower.width});
    table.matrix(layer + "ffn_down.weight", {4 * tower.width, tower.width});
  }
  table.norm("resampler.norm", tower.width);
  table.linear("resampler.proj", tower.width, vision.output_width);
  return table.take();
}

void check_tensors(const GgufFile& file, const std::vector<TensorSpec>& table) {
  for (const TensorSpec& spec : table) {
    const TensorInfo* tensor = file.find_tensor(spec.name);
    if (tensor == nullptr) file.fail("tensor \"" + spec.name + "\" is missing");
    bool same = true;
    for (size_t d = 0; d < GGML_MAX_DIMS; ++d) {
      same = same && tensor->shape[d] == (d < spec.shape.size() ? spec.shape[d] : 1);
    }
    if (!same) {
      file.fail("tensor \"" + spec.name + "\" must have shape " +
                shape_text(spec.shape.data(), spec.shape.size()) + ", received " +
                shape_text(tensor->shape, GGML_MAX_DIMS));
    }
    const bool usable = spec.role == Role::kVector ? tensor->type == GGML_TYPE_F32
                                                   : usable_matrix_type(tensor->type);
    if (!usable) {
      file.fail("tensor \"" + spec.name + "\" has type " + ggml_type_name(tensor->type) +
                ", which cannot be used there");
    }
  }
}

}  // namespace xgenmm
