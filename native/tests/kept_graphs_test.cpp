// Graphs are kept within bounds, and none is computed that has lost its place.
#include "ggml/kept_graphs.h"

#include <algorithm>

#include "ggml/cpu_device.h"
#include "ggml/cpu_graph.h"
#include "harness.h"

namespace xgenmm::test {
namespace {

class CountedGraph : public CpuGraph {
 public:
  CountedGraph(size_t nodes, ThreadPool& pool, int& alive)
      : CpuGraph(nodes, pool, nullptr), alive_(alive) {
    ++alive_;
  }
  ~CountedGraph() override { --alive_; }

 private:
  int& alive_;
};

// Doubles some numbers, and again.
struct Doubler {
  CpuDevice device{1};
  std::vector<float> numbers = std::vector<float>(size_t{1} << 16, 1.0f);
  int alive = 0;
  int built = 0;

  KeptGraphs::Built build(int times, int count) {
    ++built;
    auto graph =
        std::make_unique<CountedGraph>(static_cast<size_t>(times) + 1, device.pool(), alive);
    ggml_tensor* x = graph->input(GGML_TYPE_F32, {count}, numbers.data());
    for (int i = 0; i < times; ++i) x = ggml_scale(graph->context(), x, 2.0f);
    ggml_tensor* out = graph->output(x);
    return {std::move(graph), out};
  }
  const KeptGraphs::Built& get(KeptGraphs& graphs, int times, int count) {
    return graphs.get(device, {times, count, 0, 0}, [&] { return build(times, count); });
  }
  float compute(KeptGraphs& graphs, int times, int count = 1) {
    const KeptGraphs::Built& built = get(graphs, times, count);
    CHECK(device.compute(*built.graph));
    return Graph::read(built.out).back();
  }
  size_t bytes(int times) { return ggml_used_mem(build(times, 1).graph->context()); }
};

constexpr size_t kPlenty = size_t{1} << 20;

}  // namespace

TEST(kept_graphs_are_built_once_and_take_new_numbers) {
  Doubler doubler;
  KeptGraphs graphs(kPlenty);
  for (const float number : {1.0f, 3.0f, 5.0f}) {
    std::fill(doubler.numbers.begin(), doubler.numbers.end(), number);
    CHECK_EQ(doubler.compute(graphs, 1), 2 * number);
    CHECK_EQ(doubler.compute(graphs, 3), 8 * number);
    CHECK_EQ(doubler.compute(graphs, 3, 7), 8 * number);
  }
  CHECK_EQ(doubler.built, 3);
  graphs.clear();
  CHECK_EQ(doubler.alive, 0);
  CHECK_EQ(doubler.compute(graphs, 1), 10.0f);
  CHECK_EQ(doubler.built, 4);
}

TEST(kept_graphs_stay_within_their_bytes) {
  Doubler doubler;
  const size_t each = doubler.bytes(10);
  CHECK(each > 10 * ggml_tensor_overhead());
  KeptGraphs graphs(3 * each);
  int most = 0;
  for (int count = 1; count < 20; ++count) {
    CHECK_EQ(doubler.compute(graphs, 10, count), 1024.0f);
    CHECK(doubler.alive >= 1 && doubler.alive <= 3);
    most = std::max(most, doubler.alive);
  }
  CHECK_EQ(most, 3);
  // Larger than all that it may keep.
  CHECK(doubler.bytes(100) > 3 * each);
  doubler.compute(graphs, 100);
  CHECK_EQ(doubler.alive, 1);
  doubler.compute(graphs, 10);
  CHECK_EQ(doubler.alive, 1);
}

TEST(kept_graphs_are_built_anew_when_the_activation_buffer_has_grown) {
  Doubler doubler;
  KeptGraphs graphs(kPlenty);
  doubler.compute(graphs, 1);
  doubler.compute(graphs, 2);
  const size_t bytes = doubler.device.activation_bytes();
  doubler.compute(graphs, 1, 1 << 16);
  CHECK(doubler.device.activation_bytes() > bytes);
  CHECK_EQ(doubler.built, 3);
  CHECK_EQ(doubler.compute(graphs, 2), 4.0f);
  CHECK_EQ(doubler.compute(graphs, 1), 2.0f);
  CHECK_EQ(doubler.built, 5);
  CHECK_EQ(doubler.compute(graphs, 1), 2.0f);
  CHECK_EQ(doubler.compute(graphs, 2), 4.0f);
  CHECK_EQ(doubler.built, 5);
}

// A step whose memory could not be had, or that was never computed, is no different.
TEST(kept_graphs_without_a_place_are_built_anew) {
  Doubler doubler;
  KeptGraphs graphs(kPlenty);
  for (int i = 0; i < 2; ++i) doubler.get(graphs, 1, 1);
  CHECK_EQ(doubler.built, 2);
  CHECK_EQ(doubler.alive, 1);
  CHECK_EQ(doubler.compute(graphs, 1), 2.0f);
}

}  // namespace xgenmm::test
