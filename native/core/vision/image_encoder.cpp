#include "vision/image_encoder.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "base/pace.h"
#include "base/sha256.h"
#include "image/mask.h"
#include "image/patches.h"

namespace xgenmm {

namespace {

// Some tiles of a residual stream.
ggml_tensor* tiles_view(Graph& graph, ggml_tensor* stream, int first, int count) {
  return ggml_view_3d(graph.context(), stream, stream->ne[0], stream->ne[1], count, stream->nb[1],
                      stream->nb[2], static_cast<size_t>(first) * stream->nb[2]);
}

}  // namespace

ImageEncoder::ImageEncoder(const VisionConfig& config, std::shared_ptr<const GgufFile> file,
                           CpuDevice& cpu)
    : config_(config),
      weights_(std::move(file), vision_tensors(config)),
      cpu_(cpu),
      device_(&cpu),
      siglip_(config.tower, weights_),
      resampler_(config.resampler, weights_) {
  for (const TensorSpec& tensor : vision_tensors(config)) tensor_names_.push_back(tensor.name);
  make_state();
}

void ImageEncoder::make_state() {
  context_.reset(ggml_init({2 * ggml_tensor_overhead(), nullptr, true}));
  if (!context_) throw std::bad_alloc();
  features_ = ggml_new_tensor_3d(context_.get(), GGML_TYPE_F32, config_.tower.width,
                                 config_.tower.patches(), config_.max_tiles);
  latents_ = ggml_new_tensor_3d(context_.get(), GGML_TYPE_F32, config_.tower.width,
                                config_.resampler.latents, config_.max_tiles);
}

size_t ImageEncoder::widened_bytes() const {
  int64_t values = 0;
  for (const std::string& name : tensor_names_)
    values = std::max(values, ggml_nelements(weights_.get(name)));
  return static_cast<size_t>(values) * sizeof(float);
}

bool ImageEncoder::supports(Device& device) {
  const BufferHandle claim = device.claim(context_.get());
  const Black black(config_);
  const std::unique_ptr<Graph> tower = whole_tower_graph(device, siglip_.blocks(), black);
  if (!device.supports(*tower)) return false;
  for (int layer = 0; layer < config_.resampler.layers; ++layer) {
    if (!device.supports(*whole_resample_graph(device, layer, black))) return false;
  }
  return true;
}

size_t ImageEncoder::measure(Device& device) {
  const BufferHandle claim = device.claim(context_.get());
  const Black black(config_);
  // All layers look alike, so these are the largest steps.
  return std::max(
      device.measure(*whole_tower_graph(device, 2, black)),
      device.measure(*whole_resample_graph(device, config_.resampler.layers - 1, black)));
}

void ImageEncoder::place(Device& device, const std::function<void(double)>& progress) {
  device_ = &device;
  if (device.is_cpu()) {
    weights_.pack(cpu_.pool(), cpu_.free_memory(), nullptr, progress);
    return;
  }
  weights_.upload(device, tensor_names_, progress);
  siglip_ = Siglip(config_.tower, weights_);
  resampler_ = Resampler(config_.resampler, weights_);
}

void ImageEncoder::reserve() {
  // Another device may have claimed it.
  make_state();
  buffer_ = device_->allocate(context_.get(), "the vision tower's state");
  const Black black(config_);
  const auto tower = whole_tower_graph(*device_, 2, black);
  const auto resampler = whole_resample_graph(*device_, config_.resampler.layers - 1, black);
  device_->reserve(*tower);
  device_->reserve(*resampler);
  if (device_->is_cpu()) return;
  // A backend takes memory beside ours when it first computes.
  device_->compute(*tower);
  device_->compute(*resampler);
}

ImageEncoder::Black::Black(const VisionConfig& config) {
  const auto tiles = static_cast<size_t>(config.max_tiles);
  const auto patch = static_cast<size_t>(config.tower.patch);
  const auto latents = static_cast<size_t>(config.resampler.latents);
  const auto entries = static_cast<size_t>(config.tower.patches());
  patches.resize(tiles * entries * 3 * patch * patch);
  sources.resize(tiles * entries);
  mask.resize(tiles * latents * (entries + latents));
}

std::unique_ptr<Graph> ImageEncoder::whole_tower_graph(Device& device, int blocks,
                                                       const Black& black) const {
  auto graph = device.graph(Siglip::kBlockNodes * static_cast<size_t>(blocks + 2));
  tower_graph(*graph, 0, config_.max_tiles, 0, blocks, black.patches.data(), nullptr);
  return graph;
}

std::unique_ptr<Graph> ImageEncoder::whole_resample_graph(Device& device, int layer,
                                                          const Black& black) const {
  auto graph = device.graph(Resampler::kLayerNodes * 2);
  resample_graph(*graph, 0, config_.max_tiles, layer, black.sources.data(), black.mask.data(),
                 nullptr);
  return graph;
}

int ImageEncoder::count_tokens(int width, int height, ImageMode mode) const {
  if (mode != ImageMode::kAnyres) return config_.resampler.latents;
  const Canvas canvas = fit_canvas(width, height, config_.canvases).canvas;
  const int crops = (canvas.width / config_.tower.tile) * (canvas.height / config_.tower.tile);
  return (1 + crops) * config_.resampler.latents;
}

void ImageEncoder::begin(const PictureView& picture, ImageMode mode) {
  result_ = EncodedImage{};
  tower_tiles_ = 0;
  runs_.clear();
  unseen_runs_.clear();
  block_ = 0;
  layer_ = 0;
  tile_ = 0;
  picture_width_ = picture.width;
  picture_height_ = picture.height;
  tiler_.emplace(picture, mode, config_.tower.tile, config_.canvases);
}

void ImageEncoder::tile_step(double budget_ms, bool whole) {
  const Stopwatch stopwatch;
  if (tiler_->advance(budget_ms)) {
    set_tiles(tiler_->take(), whole);
    tiler_.reset();
  }
  result_.preprocess_ms += stopwatch.ms();
}

void ImageEncoder::set_tiles(const Tiles& tiles, bool whole) {
  const TowerConfig& tower = config_.tower;
  const int patches = tower.patches();
  Sha256 key;
  const int grid[] = {tiles.columns, tiles.rows};
  key.update(grid, sizeof grid);
  key.update(tiles.pixels.data(), tiles.pixels.size());
  // The whole picture stays as it is; the crops are re-cut (MODEL 1.8).
  std::vector<int32_t> sources(static_cast<size_t>(patches) * static_cast<size_t>(tiles.count));
  std::iota(sources.begin(), sources.end(), 0);
  std::vector<uint8_t> visible;
  if (tiles.columns > 0) {
    const std::vector<int32_t> crops = regroup_indices(tiles.columns, tiles.rows, tower.grid());
    std::transform(crops.begin(), crops.end(), sources.begin() + patches,
                   [patches](int32_t source) { return source + patches; });
    visible = tile_masks(picture_width_, picture_height_, tiles.columns, tiles.rows, tower.grid());
    key.update(visible.data(), visible.size());
  }
  key_ = key.digest();
  result_.tokens = tiles.count * config_.resampler.latents;
  result_.width = config_.output_width;
  result_.columns = tiles.columns;
  result_.rows = tiles.rows;
  result_.embeddings.resize(static_cast<size_t>(result_.tokens) *
                            static_cast<size_t>(result_.width));
  set_runs(tiles.count, visible, whole);
  set_patches(tiles, set_sources(sources, whole ? std::vector<uint8_t>() : visible));
}

void ImageEncoder::set_runs(int tiles, const std::vector<uint8_t>& visible, bool whole) {
  const int patches = config_.tower.patches();
  const int latents = config_.resampler.latents;
  mask_.clear();
  const ggml_fp16_t zero = ggml_fp32_to_fp16(0.0f);
  const ggml_fp16_t minus_infinity = ggml_fp32_to_fp16(-INFINITY);
  for (int run = 0; run < tiles; ++run) {
    if (visible.empty()) {
      runs_.push_back(run);
      continue;
    }
    const auto row = visible.begin() + std::ptrdiff_t{run} * patches;
    // What is summed up for an importance matrix must not depend on the pictures before.
    if (!whole && cpu_.importance() == nullptr &&
        std::find(row, row + patches, 1) == row + patches) {
      unseen_runs_.push_back(run);
      if (!unseen_.empty() || unseen_runs_.size() > 1) continue;
    }
    runs_.push_back(run);
    for (int latent = 0; latent < latents; ++latent) {
      std::transform(row, row + patches, std::back_inserter(mask_),
                     [&](uint8_t seen) { return seen != 0 ? zero : minus_infinity; });
      mask_.insert(mask_.end(), static_cast<size_t>(latents), zero);
    }
  }
}

std::vector<int> ImageEncoder::set_sources(const std::vector<int32_t>& sources,
                                           const std::vector<uint8_t>& visible) {
  const int patches = config_.tower.patches();
  std::vector<int> slots(sources.size() / static_cast<size_t>(patches), -1);
  for (size_t i = 0; i < sources.size(); ++i) {
    if (visible.empty() || visible[i] != 0) slots[static_cast<size_t>(sources[i] / patches)] = 0;
  }
  std::vector<int> seen;
  for (size_t tile = 0; tile < slots.size(); ++tile) {
    if (slots[tile] < 0) continue;
    slots[tile] = static_cast<int>(seen.size());
    seen.push_back(static_cast<int>(tile));
  }
  sources_.clear();
  for (const int run : runs_) {
    for (int i = 0; i < patches; ++i) {
      const int32_t source =
          sources[static_cast<size_t>(run) * static_cast<size_t>(patches) + static_cast<size_t>(i)];
      const int slot = slots[static_cast<size_t>(source / patches)];
      // What is not there is masked; anything that is a number will do.
      sources_.push_back(slot < 0 ? 0 : slot * patches + source % patches);
    }
  }
  return seen;
}

void ImageEncoder::set_patches(const Tiles& tiles, const std::vector<int>& seen) {
  const TowerConfig& tower = config_.tower;
  const size_t tile_bytes = static_cast<size_t>(3) * tower.tile * tower.tile;
  const size_t tile_values =
      static_cast<size_t>(3) * tower.patch * tower.patch * static_cast<size_t>(tower.patches());
  tower_tiles_ = static_cast<int>(seen.size());
  patches_.resize(tile_values * seen.size());
  for (size_t slot = 0; slot < seen.size(); ++slot) {
    tile_to_patches(tiles.pixels.data() + tile_bytes * static_cast<size_t>(seen[slot]), tower.tile,
                    tower.patch, patches_.data() + tile_values * slot);
  }
}

double ImageEncoder::fraction() const {
  if (tiler_) return 0;
  const int runs = static_cast<int>(runs_.size());
  const int all = siglip_.blocks() * tower_tiles_ + config_.resampler.layers * runs;
  return static_cast<double>(block_ * tower_tiles_ + layer_ * runs + tile_) / all;
}

ImageEncoder::Progress ImageEncoder::advance(double budget_ms, Taps* taps) {
  if (tiler_) {
    tile_step(budget_ms, taps != nullptr);
    return Progress::kMore;
  }
  const bool finished =
      block_ < siglip_.blocks() ? tower_step(budget_ms, taps) : resample_step(budget_ms, taps);
  if (!finished) return Progress::kAborted;
  return layer_ == config_.resampler.layers ? Progress::kDone : Progress::kMore;
}

bool ImageEncoder::tower_step(double budget_ms, Taps* taps) {
  const Stopwatch stopwatch;
  const int units = tower_pace_.units(budget_ms, 1, tower_tiles_ * (siglip_.blocks() - block_));
  // Whole blocks over all tiles where the budget allows it, else some tiles of one block.
  const int tiles = std::min(units, tower_tiles_ - tile_);
  const int blocks = tile_ == 0 && units >= tower_tiles_ ? units / tower_tiles_ : 1;
  const std::unique_ptr<Graph> graph =
      device_->graph(Siglip::kBlockNodes * static_cast<size_t>(blocks + 2));
  const size_t tile_values = patches_.size() / static_cast<size_t>(tower_tiles_);
  tower_graph(*graph, tile_, tiles, block_, blocks,
              patches_.data() + tile_values * static_cast<size_t>(tile_), taps);
  if (!device_->compute(*graph)) return false;
  if (taps != nullptr) graph->collect_taps(taps);
  tower_pace_.record(tiles * blocks, stopwatch.ms());
  result_.vision_ms += stopwatch.ms();
  tile_ += tiles;
  if (tile_ == tower_tiles_) {
    tile_ = 0;
    block_ += blocks;
  }
  return true;
}

bool ImageEncoder::resample_step(double budget_ms, Taps* taps) {
  const Stopwatch stopwatch;
  const int all = static_cast<int>(runs_.size());
  const int runs = resampler_pace_.units(budget_ms, 1, all - tile_);
  const ggml_fp16_t* mask =
      mask_.empty() ? nullptr
                    : mask_.data() + mask_.size() / runs_.size() * static_cast<size_t>(tile_);
  const std::unique_ptr<Graph> graph = device_->graph(Resampler::kLayerNodes * 2);
  const int32_t* sources =
      sources_.data() + static_cast<size_t>(tile_) * static_cast<size_t>(config_.tower.patches());
  ggml_tensor* tokens = resample_graph(*graph, tile_, runs, layer_, sources, mask, taps);
  if (!device_->compute(*graph)) return false;
  if (taps != nullptr) graph->collect_taps(taps);
  if (tokens != nullptr) {
    const std::vector<float> rows = Graph::read(tokens);
    const size_t size = rows.size() / static_cast<size_t>(runs);
    for (int i = 0; i < runs; ++i)
      std::copy_n(rows.data() + static_cast<size_t>(i) * size, size,
                  run_rows(runs_[static_cast<size_t>(tile_ + i)]));
  }
  resampler_pace_.record(runs, stopwatch.ms());
  result_.resample_ms += stopwatch.ms();
  tile_ += runs;
  if (tile_ == all) {
    tile_ = 0;
    ++layer_;
    if (layer_ == config_.resampler.layers) fill_unseen_runs();
  }
  return true;
}

void ImageEncoder::fill_unseen_runs() {
  if (unseen_runs_.empty()) return;
  if (unseen_.empty()) {
    const float* first = run_rows(unseen_runs_.front());
    unseen_.assign(first, first + run_values());
  }
  for (const int run : unseen_runs_) std::copy(unseen_.begin(), unseen_.end(), run_rows(run));
}

size_t ImageEncoder::run_values() const {
  return static_cast<size_t>(config_.resampler.latents) * static_cast<size_t>(config_.output_width);
}

float* ImageEncoder::run_rows(int run) {
  return result_.embeddings.data() + static_cast<size_t>(run) * run_values();
}

void ImageEncoder::tower_graph(Graph& graph, int first_tile, int tiles, int first_block, int blocks,
                               const float* patches, const Taps* taps) const {
  const TowerConfig& tower = config_.tower;
  ggml_tensor* x = tiles_view(graph, features_, first_tile, tiles);
  if (first_block == 0) {
    x = siglip_.embed(
        graph, graph.input(GGML_TYPE_F32, {3 * tower.patch * tower.patch, tower.patches(), tiles},
                           patches));
    graph.tap("vit.0", x, taps);
  }
  for (int i = first_block; i < first_block + blocks; ++i) {
    x = siglip_.block(graph, x, i);
    if (i % 2 == 1) graph.tap("vit." + std::to_string(i / 2 + 1), x, taps);
  }
  if (first_block + blocks == siglip_.blocks()) {
    x = siglip_.finish(graph, x);
    graph.tap("vit_out", x, taps);
  }
  graph.expand(ggml_cpy(graph.context(), x, tiles_view(graph, features_, first_tile, tiles)));
}

ggml_tensor* ImageEncoder::resample_graph(Graph& graph, int first_tile, int tiles, int layer,
                                          const int32_t* sources, const ggml_fp16_t* mask,
                                          const Taps* taps) const {
  ggml_context* context = graph.context();
  const TowerConfig& tower = config_.tower;
  const int64_t entries = int64_t{tiles} * tower.patches();
  ggml_tensor* features = ggml_reshape_2d(context, features_, tower.width, ggml_nrows(features_));
  ggml_tensor* media =
      ggml_get_rows(context, features, graph.input(GGML_TYPE_I32, {entries}, sources));
  media = ggml_reshape_3d(context, media, tower.width, tower.patches(), tiles);
  if (layer == 0) graph.tap("resampler_in", media, taps);
  const int64_t latents = config_.resampler.latents;
  ggml_tensor* bias = nullptr;
  if (mask != nullptr) {
    bias = graph.input(GGML_TYPE_F16, {tower.patches() + latents, latents, 1, tiles}, mask);
  }
  ggml_tensor* z =
      layer == 0 ? resampler_.start(graph, tiles) : tiles_view(graph, latents_, first_tile, tiles);
  z = resampler_.layer(graph, z, media, bias, layer);
  graph.tap("resampler." + std::to_string(layer), z, taps);
  if (layer + 1 < config_.resampler.layers) {
    graph.expand(ggml_cpy(context, z, tiles_view(graph, latents_, first_tile, tiles)));
    return nullptr;
  }
  ggml_tensor* tokens = resampler_.finish(graph, z);
  graph.tap("vision_tokens", tokens, taps);
  return graph.output(tokens);
}

}  // namespace xgenmm
