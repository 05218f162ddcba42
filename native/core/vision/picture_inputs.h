#pragma once

#include <cstdint>
#include <vector>

#include "ggml.h"
#include "gguf/config.h"
#include "image/tiling.h"

namespace xgenmm {

// What goes into the graphs of the picture in work. Its memory is that of the largest picture from
// the start and never moves: graphs that are kept for the next picture point at it.
class PictureInputs {
 public:
  // Black: zeros, of which everything is visible. Throws std::bad_alloc, also where they need more
  // than `free` bytes.
  PictureInputs(const VisionConfig& config, size_t free);
  PictureInputs(const PictureInputs&) = delete;
  PictureInputs& operator=(const PictureInputs&) = delete;

  // Takes over a picture. sources: [tiles, patches], where each media entry comes from in the
  // tiles; visible: whether it is seen, empty: all are; runs: rows of both, which the resampler
  // reads; whole: whether the tower also computes tiles of which nothing is seen.
  // -> how many tiles it computes
  int set(const Tiles& tiles, const std::vector<int32_t>& sources,
          const std::vector<uint8_t>& visible, const std::vector<int>& runs, bool whole);

  // Of the tower's tile `tile` and those behind it: [tiles, patches, 3 * patch * patch].
  const float* patches(int tile) const { return patches_.data() + tile_values_ * index(tile); }
  // Of run `run` of those that were set and those behind it. [runs, patches]: where each media
  // entry comes from in the tower's tiles.
  const int32_t* sources(int run) const { return sources_.data() + entries_ * index(run); }
  // [runs, latents, patches + latents] of 0 and -inf, while is_masked().
  const ggml_fp16_t* mask(int run) const { return mask_.data() + run_mask_values() * index(run); }
  // Whether anything may be hidden from the resampler.
  bool is_masked() const { return is_masked_; }

 private:
  static size_t index(int value) { return static_cast<size_t>(value); }
  size_t run_mask_values() const { return latents_ * (entries_ + latents_); }
  void set_mask(const std::vector<uint8_t>& visible, const std::vector<int>& runs);
  // -> the tiles that the tower computes, in its order
  std::vector<int> set_sources(const std::vector<int32_t>& sources,
                               const std::vector<uint8_t>& visible, const std::vector<int>& runs);
  void set_patches(const Tiles& tiles, const std::vector<int>& seen);

  int side_;  // of a patch, in pixels
  size_t entries_;  // patches of a tile
  size_t latents_;
  size_t tile_values_;
  std::vector<float> patches_;
  std::vector<int32_t> sources_;
  std::vector<ggml_fp16_t> mask_;
  bool is_masked_ = false;
};

}  // namespace xgenmm
