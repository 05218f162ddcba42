// llama-tower THREADS ROUNDS: how long SigLIP so400m takes for one 384 tile in a plain graph of
// ggml's operations, as llama.cpp's own vision code makes it: f16 weights (random), softmax over
// whole rows, ggml's CPU backend as llama.cpp builds it. Prints milliseconds, a line for each
// round.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "ggml.h"

namespace {

constexpr int64_t kWidth = 1152, kInner = 4304, kHeads = 16, kPatches = 729;
constexpr int kLayers = 27;
constexpr float kEpsilon = 1e-6f;

struct Tower {
  ggml_context* weights;
  ggml_context* nodes;

  ggml_tensor* matrix(int64_t in, int64_t out) const {
    return ggml_new_tensor_2d(weights, GGML_TYPE_F16, in, out);
  }
  ggml_tensor* vector(int64_t size) const {
    return ggml_new_tensor_1d(weights, GGML_TYPE_F32, size);
  }
  ggml_tensor* linear(ggml_tensor* x, int64_t out) const {
    return ggml_add(nodes, ggml_mul_mat(nodes, matrix(x->ne[0], out), x), vector(out));
  }
  ggml_tensor* norm(ggml_tensor* x) const {
    x = ggml_mul(nodes, ggml_norm(nodes, x, kEpsilon), vector(kWidth));
    return ggml_add(nodes, x, vector(kWidth));
  }
  ggml_tensor* heads(ggml_tensor* x) const {
    return ggml_reshape_3d(nodes, linear(x, kWidth), kWidth / kHeads, kHeads, kPatches);
  }
  ggml_tensor* attention(ggml_tensor* x) const {
    ggml_tensor* q = ggml_permute(nodes, heads(x), 0, 2, 1, 3);
    ggml_tensor* k = ggml_permute(nodes, heads(x), 0, 2, 1, 3);
    ggml_tensor* v = ggml_cont(nodes, ggml_permute(nodes, heads(x), 1, 2, 0, 3));
    const float scale = 1.0f / std::sqrt(static_cast<float>(kWidth / kHeads));
    ggml_tensor* scores = ggml_soft_max_ext(nodes, ggml_mul_mat(nodes, k, q), nullptr, scale, 0.0f);
    ggml_tensor* mixed = ggml_permute(nodes, ggml_mul_mat(nodes, v, scores), 0, 2, 1, 3);
    return linear(ggml_cont_2d(nodes, mixed, kWidth, kPatches), kWidth);
  }
  ggml_tensor* layer(ggml_tensor* x) const {
    x = ggml_add(nodes, x, attention(norm(x)));
    ggml_tensor* h = ggml_gelu(nodes, linear(norm(x), kInner));
    return ggml_add(nodes, x, linear(h, kWidth));
  }
};

void fill(ggml_context* context) {
  std::mt19937 random(1);
  std::normal_distribution<float> distribution(0.0f, 0.02f);
  std::vector<float> some(1 << 16);
  for (float& value : some) value = distribution(random);
  std::vector<ggml_fp16_t> halves(some.size());
  ggml_fp32_to_fp16_row(some.data(), halves.data(), static_cast<int64_t>(some.size()));
  for (ggml_tensor* t = ggml_get_first_tensor(context); t != nullptr;
       t = ggml_get_next_tensor(context, t)) {
    const void* source = t->type == GGML_TYPE_F16 ? static_cast<void*>(halves.data()) : some.data();
    const size_t chunk = some.size() * ggml_type_size(t->type);
    for (size_t at = 0; at < ggml_nbytes(t); at += chunk)
      ggml_backend_tensor_set(t, source, at, std::min(chunk, ggml_nbytes(t) - at));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: llama-tower THREADS ROUNDS\n");
    return 2;
  }
  constexpr size_t kNodes = 2048;
  const ggml_init_params params{
      kNodes * ggml_tensor_overhead() + ggml_graph_overhead_custom(kNodes, false), nullptr, true};
  const Tower tower{ggml_init(params), ggml_init(params)};
  ggml_backend_t backend = ggml_backend_cpu_init();
  ggml_backend_cpu_set_n_threads(backend, std::atoi(argv[1]));
  ggml_tensor* input = ggml_new_tensor_2d(tower.weights, GGML_TYPE_F32, kWidth, kPatches);
  ggml_tensor* x = input;
  for (int i = 0; i < kLayers; ++i) x = tower.layer(x);
  ggml_backend_buffer_t memory = ggml_backend_alloc_ctx_tensors(tower.weights, backend);
  fill(tower.weights);
  ggml_cgraph* graph = ggml_new_graph_custom(tower.nodes, kNodes, false);
  ggml_build_forward_expand(graph, x);
  ggml_gallocr_t allocator = ggml_gallocr_new(ggml_backend_get_default_buffer_type(backend));
  ggml_gallocr_alloc_graph(allocator, graph);
  for (int round = 0; round < std::atoi(argv[2]); ++round) {
    const auto start = std::chrono::steady_clock::now();
    ggml_backend_graph_compute(backend, graph);
    const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
    std::printf("%.0f\n", ms.count());
    std::fflush(stdout);
  }
  ggml_gallocr_free(allocator);
  ggml_backend_buffer_free(memory);
  ggml_backend_free(backend);
  ggml_free(tower.nodes);
  ggml_free(tower.weights);
  return 0;
}
