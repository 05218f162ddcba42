#include "vision/image_encoder.h"

#include <algorithm>
#include <cmath>

#include "base/pace.h"
#include "base/sha256.h"
#include "image/mask.h"
#include "image/patches.h"

namespace xgenmm {

ImageEncoder::ImageEncoder(const VisionConfig& config, std::shared_ptr<const GgufFile> file,
                           Device& device)
    : config_(config),
      weights_(std::move(file), vision_tensors(config)),
      device_(device),
      siglip_(config.tower, weights_),
      resampler_(config.resampler, weights_) {
  context_.reset(ggml_init({ggml_tensor_overhead(), nullptr, true}));
  if (!context_) throw std::bad_alloc();
  features_ = ggml_new_tensor_3d(context_.get(), GGML_TYPE_F32, config.tower.width,
                                 config.tower.patches(), config.max_tiles);
  buffer_ = device.allocate(context_.get(), "the vision tower's state");
  Graph tower(Siglip::kLayerNodes * 3);
  // All layers look alike, so one with both ends attached is the largest step.
  tower_graph(tower, 0, config.max_tiles, 0, 1, nullptr, nullptr);
  device.reserve(tower);
  Graph resampler(resampler_.nodes());
  const ggml_fp16_t any_mask{};
  resample_graph(resampler, config.max_tiles, nullptr, &any_mask, nullptr);
  device.reserve(resampler);
}

int ImageEncoder::count_tokens(int width, int height, ImageMode mode) const {
  if (mode != ImageMode::kAnyres) return config_.resampler.latents;
  const Canvas canvas = fit_canvas(width, height, config_.canvases).canvas;
  const int crops = (canvas.width / config_.tower.tile) * (canvas.height / config_.tower.tile);
  return (1 + crops) * config_.resampler.latents;
}

void ImageEncoder::begin(const PictureView& picture, ImageMode mode) {
  const Stopwatch stopwatch;
  const TowerConfig& tower = config_.tower;
  const Tiles tiles = make_tiles(picture, mode, tower.tile, config_.canvases);
  const size_t patch_values = static_cast<size_t>(3) * tower.patch * tower.patch;
  const size_t tile_bytes = static_cast<size_t>(3) * tower.tile * tower.tile;
  const int patches = tower.patches();
  tiles_ = tiles.count;
  patches_.resize(patch_values * static_cast<size_t>(patches) * static_cast<size_t>(tiles_));
  sources_.resize(static_cast<size_t>(patches) * static_cast<size_t>(tiles_));
  for (int t = 0; t < tiles_; ++t) {
    tile_to_patches(
        tiles.pixels.data() + tile_bytes * static_cast<size_t>(t), tower.tile, tower.patch,
        patches_.data() + patch_values * static_cast<size_t>(patches) * static_cast<size_t>(t));
  }
  // The whole picture stays as it is; the crops are re-cut (MODEL 1.8).
  for (int i = 0; i < patches; ++i) sources_[static_cast<size_t>(i)] = i;
  Sha256 key;
  const int grid[] = {tiles.columns, tiles.rows};
  key.update(grid, sizeof grid);
  key.update(tiles.pixels.data(), tiles.pixels.size());
  mask_.clear();
  if (tiles.columns > 0) {
    const std::vector<int32_t> crops = regroup_indices(tiles.columns, tiles.rows, tower.grid());
    std::transform(crops.begin(), crops.end(), sources_.begin() + patches,
                   [patches](int32_t source) { return source + patches; });
    const std::vector<uint8_t> visible =
        tile_masks(picture.width, picture.height, tiles.columns, tiles.rows, tower.grid());
    key.update(visible.data(), visible.size());
    const int latents = config_.resampler.latents;
    const ggml_fp16_t zero = ggml_fp32_to_fp16(0.0f);
    const ggml_fp16_t minus_infinity = ggml_fp32_to_fp16(-INFINITY);
    mask_.reserve(static_cast<size_t>(tiles_) * static_cast<size_t>(latents) *
                  static_cast<size_t>(patches + latents));
    for (int t = 0; t < tiles_; ++t) {
      const uint8_t* row = visible.data() + static_cast<size_t>(t) * static_cast<size_t>(patches);
      for (int latent = 0; latent < latents; ++latent) {
        for (int i = 0; i < patches; ++i) mask_.push_back(row[i] ? zero : minus_infinity);
        mask_.insert(mask_.end(), static_cast<size_t>(latents), zero);
      }
    }
  }
  key_ = key.digest();
  layer_ = 0;
  tile_ = 0;
  result_ = EncodedImage{};
  result_.tokens = tiles_ * config_.resampler.latents;
  result_.width = config_.output_width;
  result_.columns = tiles.columns;
  result_.rows = tiles.rows;
  result_.embeddings.reserve(static_cast<size_t>(result_.tokens) *
                             static_cast<size_t>(result_.width));
  result_.preprocess_ms = stopwatch.ms();
}

double ImageEncoder::fraction() const {
  // The resampler's work on a tile is about that of one of the tower's layers.
  const int layers = config_.tower.layers;
  return static_cast<double>(layer_ * tiles_ + tile_) / ((layers + 1) * tiles_);
}

ImageEncoder::Progress ImageEncoder::advance(double budget_ms, Taps* taps) {
  const bool finished =
      layer_ < config_.tower.layers ? tower_step(budget_ms, taps) : resample_step(budget_ms, taps);
  if (!finished) return Progress::kAborted;
  return layer_ == config_.tower.layers && tile_ == tiles_ ? Progress::kDone : Progress::kMore;
}

bool ImageEncoder::tower_step(double budget_ms, Taps* taps) {
  const Stopwatch stopwatch;
  const int units = tower_pace_.units(budget_ms, 1, tiles_ * (config_.tower.layers - layer_));
  // Whole layers over all tiles where the budget allows it, else some tiles of one layer.
  const int tiles = std::min(units, tiles_ - tile_);
  const int layers = tile_ == 0 && units >= tiles_ ? units / tiles_ : 1;
  Graph graph(Siglip::kLayerNodes * static_cast<size_t>(layers + 2));
  const size_t tile_values = patches_.size() / static_cast<size_t>(tiles_);
  tower_graph(graph, tile_, tiles, layer_, layers,
              patches_.data() + tile_values * static_cast<size_t>(tile_), taps);
  if (!device_.compute(graph)) return false;
  if (taps != nullptr) graph.collect_taps(taps);
  tower_pace_.record(tiles * layers, stopwatch.ms());
  result_.vision_ms += stopwatch.ms();
  tile_ += tiles;
  if (tile_ == tiles_) {
    tile_ = 0;
    layer_ += layers;
  }
  return true;
}

bool ImageEncoder::resample_step(double budget_ms, Taps* taps) {
  const Stopwatch stopwatch;
  const int tiles = resampler_pace_.units(budget_ms, 1, tiles_ - tile_);
  const size_t mask_values = mask_.size() / static_cast<size_t>(tiles_);
  const ggml_fp16_t* mask =
      mask_.empty() ? nullptr : mask_.data() + mask_values * static_cast<size_t>(tile_);
  Graph graph(resampler_.nodes());
  const int32_t* sources =
      sources_.data() + static_cast<size_t>(tile_) * static_cast<size_t>(config_.tower.patches());
  ggml_tensor* tokens = resample_graph(graph, tiles, sources, mask, taps);
  if (!device_.compute(graph)) return false;
  if (taps != nullptr) graph.collect_taps(taps);
  const std::vector<float> rows = Graph::read(tokens);
  result_.embeddings.insert(result_.embeddings.end(), rows.begin(), rows.end());
  resampler_pace_.record(tiles, stopwatch.ms());
  result_.resample_ms += stopwatch.ms();
  tile_ += tiles;
  return true;
}

ggml_tensor* ImageEncoder::features_view(Graph& graph, int first_tile, int tiles) const {
  return ggml_view_3d(graph.context(), features_, features_->ne[0], features_->ne[1], tiles,
                      features_->nb[1], features_->nb[2],
                      static_cast<size_t>(first_tile) * features_->nb[2]);
}

ggml_tensor* ImageEncoder::tower_graph(Graph& graph, int first_tile, int tiles, int first_layer,
                                       int layers, const float* patches, const Taps* taps) const {
  const TowerConfig& tower = config_.tower;
  ggml_tensor* x = features_view(graph, first_tile, tiles);
  if (first_layer == 0) {
    x = siglip_.embed(
        graph, graph.input(GGML_TYPE_F32, {3 * tower.patch * tower.patch, tower.patches(), tiles},
                           patches));
    graph.tap("vit.0", x, taps);
  }
  for (int i = first_layer; i < first_layer + layers; ++i) {
    x = siglip_.layer(graph, x, i);
    graph.tap("vit." + std::to_string(i + 1), x, taps);
  }
  if (first_layer + layers == tower.layers) {
    x = siglip_.finish(graph, x);
    graph.tap("vit_out", x, taps);
  }
  x = ggml_cpy(graph.context(), x, features_view(graph, first_tile, tiles));
  graph.expand(x);
  return x;
}

ggml_tensor* ImageEncoder::resample_graph(Graph& graph, int tiles, const int32_t* sources,
                                          const ggml_fp16_t* mask, const Taps* taps) const {
  ggml_context* context = graph.context();
  const TowerConfig& tower = config_.tower;
  const int64_t entries = int64_t{tiles} * tower.patches();
  ggml_tensor* features = ggml_reshape_2d(context, features_, tower.width, ggml_nrows(features_));
  ggml_tensor* media =
      ggml_get_rows(context, features, graph.input(GGML_TYPE_I32, {entries}, sources));
  media = ggml_reshape_3d(context, media, tower.width, tower.patches(), tiles);
  graph.tap("resampler_in", media, taps);
  const int64_t latents = config_.resampler.latents;
  ggml_tensor* bias = nullptr;
  if (mask != nullptr) {
    bias = graph.input(GGML_TYPE_F16, {tower.patches() + latents, latents, 1, tiles}, mask);
  }
  ggml_tensor* tokens = resampler_.build(graph, media, bias, taps);
  graph.tap("vision_tokens", tokens, taps);
  return graph.output(tokens);
}

}  // namespace xgenmm
