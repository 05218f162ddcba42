#pragma once

#include <memory>
#include <vector>

#include "engine/load_options.h"
#include "ggml/gpu.h"
#include "text/phi3.h"
#include "vision/image_encoder.h"

namespace xgenmm {

// What of a model is computed where.
struct ModelPlacement {
  std::vector<std::unique_ptr<Gpu>> gpus;  // those that have something to do
  std::vector<Device*> units;  // of Phi3::units()
  Device* vision;
};

// Opens the GPUs that the options allow, asks them for what they can compute and have room for, and
// decides (placement.h). vision may be nullptr. Throws kDeviceUnavailable, kInvalidArgument and
// kOutOfMemory.
ModelPlacement place_model(const LoadOptions& options, const Phi3& text, ImageEncoder* vision,
                           ggml_type kv_type, int context_size, CpuDevice& cpu);

}  // namespace xgenmm
