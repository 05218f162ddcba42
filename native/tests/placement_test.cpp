// Which part of a model goes where.
#include "engine/placement.h"

#include "harness.h"

namespace xgenmm::test {
namespace {

constexpr int kCpu = Placement::kCpu;
constexpr size_t kMiB = size_t{1} << 20;

// Four layers of 100 MiB, a head of 50, vision of 200; computing takes 30 and 60.
PlacementQuestion question(const std::vector<size_t>& free_mib) {
  PlacementQuestion question;
  const std::vector<bool> all(free_mib.size(), true);
  for (const size_t mib : free_mib)
    question.gpus.push_back({mib * kMiB + kReserve, true, true, 30 * kMiB, 60 * kMiB});
  question.layers.assign(4, {100 * kMiB, all});
  question.head = {50 * kMiB, all};
  question.vision = {200 * kMiB, all};
  return question;
}

TEST(placement_without_gpus) {
  const Placement placement = place(question({}));
  CHECK_EQ(placement.layers, std::vector<int>(4, kCpu));
  CHECK_EQ(placement.head, kCpu);
  CHECK_EQ(placement.vision, kCpu);
  CHECK_EQ(placement.gpu_layers(), 0);
}

TEST(placement_fills_a_gpu_from_the_last_layer_on) {
  struct Expected {
    size_t mib;
    int head, layers, vision;
  };
  for (const auto& [mib, head, layers, vision] :
       {Expected{0, kCpu, 0, kCpu}, Expected{179, kCpu, 0, kCpu}, Expected{180, 0, 1, kCpu},
        Expected{479, 0, 3, kCpu}, Expected{480, 0, 4, kCpu}, Expected{709, 0, 4, kCpu},
        Expected{710, 0, 4, 0}}) {
    const Placement placement = place(question({mib}));
    CHECK_EQ(placement.head, head);
    CHECK_EQ(placement.gpu_layers(), layers);
    CHECK_EQ(placement.vision, vision);
    for (int i = 0; i < 4; ++i)
      CHECK_EQ(placement.layers[static_cast<size_t>(i)], i < 4 - layers ? kCpu : 0);
  }
}

TEST(placement_goes_on_to_the_next_gpu) {
  // 50 + 100 + 100 beside 30; then 100 + 100 beside 30, and the vision part where it has room.
  const Placement placement = place(question({300, 260, 500}));
  CHECK_EQ(placement.layers, (std::vector<int>{1, 1, 0, 0}));
  CHECK_EQ(placement.head, 0);
  CHECK_EQ(placement.vision, 2);
}

TEST(placement_never_fills_more_than_there_is) {
  for (size_t first = 0; first < 700; first += 17) {
    for (size_t second = 0; second < 700; second += 31) {
      const PlacementQuestion asked = question({first, second});
      const Placement placement = place(asked);
      for (int gpu = 0; gpu < 2; ++gpu) {
        size_t bytes = 0;
        size_t computing = 0;
        const auto add = [&](int where, size_t part, size_t work) {
          if (where != gpu) return;
          bytes += part;
          computing = std::max(computing, work);
        };
        for (const int layer : placement.layers) add(layer, 100 * kMiB, 30 * kMiB);
        add(placement.head, 50 * kMiB, 30 * kMiB);
        add(placement.vision, 200 * kMiB, 60 * kMiB);
        if (bytes > 0)
          CHECK(bytes + computing + kReserve <= asked.gpus[static_cast<size_t>(gpu)].free);
      }
    }
  }
}

TEST(placement_of_as_many_layers_as_asked_for) {
  PlacementQuestion asked = question({1000});
  asked.gpu_layers = 2;
  CHECK_EQ(place(asked).layers, (std::vector<int>{kCpu, kCpu, 0, 0}));
  asked.gpu_layers = 0;
  CHECK_EQ(place(asked).gpu_layers(), 0);
  CHECK_EQ(place(asked).head, kCpu);
  asked.gpu_layers = 99;
  CHECK_EQ(place(asked).gpu_layers(), 4);
  asked = question({300});
  asked.gpu_layers = 3;
  CHECK_THROWS(ErrorCode::kOutOfMemory, place(asked));
  asked.gpu_layers = 2;
  CHECK_EQ(place(asked).gpu_layers(), 2);
}

TEST(placement_leaves_to_the_cpu_what_a_gpu_cannot_compute) {
  PlacementQuestion asked = question({1000});
  asked.layers[2].supported = {false};
  asked.vision.supported = {false};
  asked.gpu_layers = 4;  // no matter of memory
  CHECK_EQ(place(asked).layers, (std::vector<int>{0, 0, kCpu, 0}));
  CHECK_EQ(place(asked).vision, kCpu);
  asked.vision_asked = true;
  CHECK_EQ(place(asked).vision, kCpu);
}

TEST(placement_of_the_vision_part_by_name) {
  PlacementQuestion asked = question({380});
  CHECK_EQ(place(asked).vision, kCpu);
  CHECK_EQ(place(asked).gpu_layers(), 3);
  asked.vision_asked = true;
  CHECK_EQ(place(asked).vision, 0);
  CHECK_EQ(place(asked).gpu_layers(), 0);
  CHECK_EQ(place(asked).head, kCpu);
  asked = question({1000});
  asked.gpus[0].takes_text = false;
  CHECK_EQ(place(asked).gpu_layers(), 0);
  CHECK_EQ(place(asked).vision, 0);
  asked.vision_asked = true;
  asked.gpus[0].free = 200 * kMiB + kReserve;
  CHECK_THROWS(ErrorCode::kOutOfMemory, place(asked));
}

}  // namespace
}  // namespace xgenmm::test
