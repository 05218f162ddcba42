#include "engine/placement.h"

#include <algorithm>
#include <string>

#include "base/error.h"

namespace xgenmm {

namespace {

using Question = PlacementQuestion;

// The GPUs as they fill up.
class Room {
 public:
  explicit Room(const std::vector<Question::Gpu>& gpus) : gpus_(gpus), taken_(gpus.size()) {}

  // The first GPU from `start` on that takes the part and has room for it, which it then no longer
  // has, or kCpu.
  int take(const Question::Part& part, bool vision, int start) {
    for (auto i = static_cast<size_t>(start); i < gpus_.size(); ++i) {
      const bool takes = vision ? gpus_[i].takes_vision : gpus_[i].takes_text;
      if (!takes || i >= part.supported.size() || !part.supported[i]) continue;
      Taken taken = taken_[i];
      taken.parts += part.bytes;
      const size_t computing = vision ? gpus_[i].vision_computing : gpus_[i].computing;
      taken.computing = std::max(taken.computing, computing);
      if (taken.parts + taken.computing + kReserve > gpus_[i].free) continue;
      taken_[i] = taken;
      return static_cast<int>(i);
    }
    return Placement::kCpu;
  }

 private:
  struct Taken {
    size_t parts = 0;
    size_t computing = 0;
  };
  const std::vector<Question::Gpu>& gpus_;
  std::vector<Taken> taken_;
};

bool is_supported(const Question::Part& part) {
  return std::find(part.supported.begin(), part.supported.end(), true) != part.supported.end();
}

std::string mebibytes(size_t bytes) {
  return std::to_string((bytes + (size_t{1} << 20) - 1) >> 20) + " MiB";
}

[[noreturn]] void refuse(const Question& question, const std::string& what, size_t bytes,
                         bool vision) {
  size_t free = 0;
  size_t other = 0;
  for (const Question::Gpu& gpu : question.gpus) {
    if (!(vision ? gpu.takes_vision : gpu.takes_text)) continue;
    free += gpu.free;
    other += kReserve + (vision ? gpu.vision_computing : gpu.computing);
  }
  throw Error(ErrorCode::kOutOfMemory, "expected " + mebibytes(bytes) + " of GPU memory for " +
                                           what + " and " + mebibytes(other) +
                                           " to compute in, received " + mebibytes(free) +
                                           " that are free");
}

}  // namespace

int Placement::gpu_layers() const {
  return static_cast<int>(layers.size() -
                          static_cast<size_t>(std::count(layers.begin(), layers.end(), kCpu)));
}

Placement place(const Question& question) {
  const int layers = static_cast<int>(question.layers.size());
  const int wanted = question.gpu_layers < 0 ? layers : std::min(question.gpu_layers, layers);
  Placement placement;
  placement.layers.assign(question.layers.size(), Placement::kCpu);
  Room room(question.gpus);
  const auto place_vision = [&] { placement.vision = room.take(question.vision, true, 0); };
  if (question.vision_asked) {
    place_vision();
    if (is_supported(question.vision) && placement.vision == Placement::kCpu)
      refuse(question, "the vision part", question.vision.bytes, true);
  }
  // In order, so that a step goes from one GPU to the next once.
  int gpu = 0;
  if (wanted > 0) placement.head = room.take(question.head, false, gpu);
  gpu = std::max(gpu, placement.head);
  for (int layer = layers - 1; layer >= layers - wanted; --layer) {
    const Question::Part& part = question.layers[static_cast<size_t>(layer)];
    if (!is_supported(part)) continue;
    const int found = room.take(part, false, gpu);
    if (found == Placement::kCpu) {
      if (question.gpu_layers < 0) break;
      size_t bytes = question.head.bytes;
      for (int i = layers - wanted; i < layers; ++i)
        bytes += question.layers[static_cast<size_t>(i)].bytes;
      refuse(question, std::to_string(wanted) + (wanted == 1 ? " layer" : " layers"), bytes, false);
    }
    placement.layers[static_cast<size_t>(layer)] = gpu = found;
  }
  // Alone it is not worth the way there and back.
  if (placement.gpu_layers() == 0) placement.head = Placement::kCpu;
  if (!question.vision_asked) place_vision();
  return placement;
}

}  // namespace xgenmm
