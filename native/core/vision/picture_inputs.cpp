#include "vision/picture_inputs.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "image/patches.h"

namespace xgenmm {

PictureInputs::PictureInputs(const VisionConfig& config, size_t free)
    : side_(config.tower.patch),
      entries_(static_cast<size_t>(config.tower.patches())),
      latents_(static_cast<size_t>(config.resampler.latents)),
      tile_values_(entries_ * 3 * index(side_) * index(side_)) {
  const size_t tile_bytes = tile_values_ * sizeof(float) + entries_ * sizeof(int32_t) +
                            run_mask_values() * sizeof(ggml_fp16_t);
  const size_t tiles = index(config.max_tiles);
  // Systems that promise more memory than they have would end the process when it is cleared.
  if (tile_bytes > free / tiles) throw std::bad_alloc();
  patches_.resize(tiles * tile_values_);
  sources_.resize(tiles * entries_);
  mask_.resize(tiles * run_mask_values());
}

int PictureInputs::set(const Tiles& tiles, const std::vector<int32_t>& sources,
                       const std::vector<uint8_t>& visible, const std::vector<int>& runs,
                       bool whole) {
  set_mask(visible, runs);
  const std::vector<int> seen =
      set_sources(sources, whole ? std::vector<uint8_t>() : visible, runs);
  set_patches(tiles, seen);
  return static_cast<int>(seen.size());
}

void PictureInputs::set_mask(const std::vector<uint8_t>& visible, const std::vector<int>& runs) {
  is_masked_ = !visible.empty();
  if (!is_masked_) return;
  const ggml_fp16_t zero = ggml_fp32_to_fp16(0.0f);
  const ggml_fp16_t minus_infinity = ggml_fp32_to_fp16(-INFINITY);
  auto out = mask_.begin();
  for (const int run : runs) {
    const uint8_t* row = visible.data() + entries_ * index(run);
    for (size_t latent = 0; latent < latents_; ++latent) {
      out = std::transform(row, row + entries_, out,
                           [&](uint8_t seen) { return seen != 0 ? zero : minus_infinity; });
      out = std::fill_n(out, latents_, zero);
    }
  }
}

std::vector<int> PictureInputs::set_sources(const std::vector<int32_t>& sources,
                                            const std::vector<uint8_t>& visible,
                                            const std::vector<int>& runs) {
  const auto entries = static_cast<int32_t>(entries_);
  std::vector<int> slots(sources.size() / entries_, -1);
  for (size_t i = 0; i < sources.size(); ++i) {
    if (visible.empty() || visible[i] != 0) slots[index(sources[i] / entries)] = 0;
  }
  std::vector<int> seen;
  for (size_t tile = 0; tile < slots.size(); ++tile) {
    if (slots[tile] < 0) continue;
    slots[tile] = static_cast<int>(seen.size());
    seen.push_back(static_cast<int>(tile));
  }
  auto out = sources_.begin();
  for (const int run : runs) {
    const int32_t* row = sources.data() + entries_ * index(run);
    out = std::transform(row, row + entries_, out, [&](int32_t source) {
      const int slot = slots[index(source / entries)];
      // What is not there is masked; anything that is a number will do.
      return slot < 0 ? 0 : slot * entries + source % entries;
    });
  }
  return seen;
}

void PictureInputs::set_patches(const Tiles& tiles, const std::vector<int>& seen) {
  const size_t tile_bytes = 3 * index(tiles.side) * index(tiles.side);
  float* out = patches_.data();
  for (const int tile : seen) {
    tile_to_patches(tiles.pixels.data() + tile_bytes * index(tile), tiles.side, side_, out);
    out += tile_values_;
  }
}

}  // namespace xgenmm
