#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/pace.h"
#include "ggml/cpu_device.h"
#include "ggml/kept_graphs.h"
#include "image/tiling.h"
#include "vision/picture_inputs.h"
#include "vision/resampler.h"
#include "vision/siglip.h"

namespace xgenmm {

// What a picture becomes: rows to stand in a prompt. Plain data.
struct EncodedImage {
  std::vector<float> embeddings;  // [tokens, width], row-major
  int tokens = 0;
  int width = 0;
  int columns = 0;  // of the tile grid; 0 in the single-tile modes
  int rows = 0;
  double preprocess_ms = 0;
  double vision_ms = 0;
  double resample_ms = 0;
};

// Encodes one picture at a time in short steps: picture -> tiles -> tower -> regroup -> resampler.
class ImageEncoder {
 public:
  enum class Progress { kMore, kDone, kAborted };

  ImageEncoder(const VisionConfig& config, std::shared_ptr<const GgufFile> file, CpuDevice& cpu);

  // Bytes of the weights.
  size_t weight_bytes() const { return weights_.bytes(tensor_names_); }
  // Bytes of the largest matrix in f32, to which a backend may widen it to multiply with it.
  size_t widened_bytes() const;
  // Whether the device can compute all of it, and what computing would then take beside
  // state_bytes().
  bool supports(Device& device);
  size_t measure(Device& device);
  // Says where everything is computed, before anything else is. Copies the weights there, or
  // repacks them for our own kernels (Weights). progress: called with 0 .. 1; may throw to give up.
  void place(Device& device, const std::function<void(double)>& progress);
  // Reserves everything that the largest picture needs.
  void reserve();
  const Device& device() const { return *device_; }

  const VisionConfig& config() const { return config_; }
  // Of the residual streams between steps.
  size_t state_bytes() const { return ggml_nbytes(features_) + ggml_nbytes(latents_); }
  // Tokens of a picture of this size; the same arithmetic as begin().
  int count_tokens(int width, int height, ImageMode mode) const;

  // Starts on a picture, which must stay as it is until tiled(); what was unfinished is dropped.
  void begin(const PictureView& picture, ImageMode mode);
  // Whether the tiles have been made, and the key with them.
  bool tiled() const { return !tiler_; }
  // SHA-256 of all that the result depends on: the tiles' pixels, their grid and the masks.
  const std::array<uint8_t, 32>& key() const { return key_; }
  // How much of the picture in work is done, 0 .. 1.
  double fraction() const;
  // Computes for about budget_ms; with taps also what is not seen. After kDone the result is in
  // take(). After kAborted begin() starts anew.
  Progress advance(double budget_ms, Taps* taps = nullptr);
  EncodedImage take() { return std::move(result_); }

 private:
  // The tensors of the state, without memory.
  void make_state();
  void forget_graphs();
  // Of the tower and of the resampler.
  std::array<KeptGraphs::Built, 2> largest_graphs(Device& device) const;
  void tile_step(double budget_ms, bool whole);
  // whole: whether also to compute what is not seen.
  void set_tiles(const Tiles& tiles, bool whole);
  // visible: [tiles, patches] of the media entries, empty: all (tile_masks).
  void set_runs(int tiles, const std::vector<uint8_t>& visible, bool whole);
  bool tower_step(double budget_ms, Taps* taps);
  bool resample_step(double budget_ms, Taps* taps);
  void fill_unseen_runs();
  // Of the result: values of a tile, and those of tile `run`.
  size_t run_values() const;
  float* run_rows(int run);
  // Of tiles of inputs_.
  KeptGraphs::Built tower_graph(Device& device, int first_tile, int tiles, int first_block,
                                int blocks, const Taps* taps) const;
  // Gives out the last layer's [output width, latents, runs].
  KeptGraphs::Built resample_graph(Device& device, int first_run, int runs, int layer, bool masked,
                                   const Taps* taps) const;

  VisionConfig config_;
  Weights weights_;
  std::vector<std::string> tensor_names_;
  CpuDevice& cpu_;
  Device* device_;
  Siglip siglip_;
  Resampler resampler_;
  ContextHandle context_;
  // The residual streams between steps.
  ggml_tensor* features_;  // [width, patches, max tiles]
  ggml_tensor* latents_;  // [width, latents, max tiles]
  BufferHandle buffer_;
  PictureInputs inputs_;
  KeptGraphs tower_graphs_;
  KeptGraphs resampler_graphs_;

  // The picture in work.
  std::optional<Tiler> tiler_;  // until its tiles are made
  int picture_width_ = 0;
  int picture_height_ = 0;
  std::array<uint8_t, 32> key_{};
  int tower_tiles_ = 0;  // the whole picture, and the crops of which something is seen
  std::vector<int> runs_;  // those that the resampler reads, of the tiles of the result
  // A run of which nothing is seen makes the same of every picture: [latents, output width], empty
  // until there has been one.
  std::vector<float> unseen_;
  std::vector<int> unseen_runs_;  // to be filled with it
  int block_ = 0;  // of the tower
  int layer_ = 0;  // of the resampler
  int tile_ = 0;  // within the block or layer
  Pace tower_pace_;  // unit: one tile in one block
  Pace resampler_pace_;  // unit: one tile in one layer
  EncodedImage result_;
};

}  // namespace xgenmm
