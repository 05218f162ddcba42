#pragma once

#include <cstddef>
#include <vector>

namespace xgenmm {

// Which part of a model is computed where.
struct Placement {
  static constexpr int kCpu = -1;

  std::vector<int> layers;  // of each the GPU's index, or kCpu
  int head = kCpu;  // what makes logits
  int vision = kCpu;

  int gpu_layers() const;
};

// What a model needs and what there is, in bytes.
struct PlacementQuestion {
  struct Gpu {
    size_t free;
    bool takes_text, takes_vision;
    size_t computing;  // for the text model, if a part of it is placed here
    size_t vision_computing;  // the same of the vision part; of both only the larger is needed
  };
  struct Part {
    size_t bytes;  // weights, and what is kept with them
    std::vector<bool> supported;  // by each GPU; those that are missing do not
  };

  std::vector<Gpu> gpus;
  std::vector<Part> layers;
  Part head;
  Part vision;  // supported by none where there is none
  int gpu_layers = -1;  // -1: as many as fit
  bool vision_asked = false;  // for a GPU by name, not just where there is room
};

// The last layers go to the GPUs first and the head with them, as in llama.cpp; the vision part
// next to them if it fits, or before them if it was asked for. What does not fit is left to the
// CPU. A GPU is never filled further than to kReserve. Throws kOutOfMemory when what was asked for
// does not fit.
Placement place(const PlacementQuestion& question);

// What is left of a GPU's memory for its driver's own needs.
constexpr size_t kReserve = size_t{384} << 20;

}  // namespace xgenmm
