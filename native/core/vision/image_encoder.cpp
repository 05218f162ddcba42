#include "vision/image_encoder.h"

#include <algorithm>
#include <numeric>

#include "base/pace.h"
#include "base/sha256.h"
#include "image/mask.h"

namespace xgenmm {

namespace {

// Of the graphs that are kept of each part. A picture of five tiles takes 0.6 MiB where steps are
// as long as they can be, on a GPU, so there is room for every number of tiles; and 2.5 MiB on a
// CPU that is so slow that each tile of each block is a step, so there is room for the next
// picture.
constexpr size_t kGraphBytes = size_t{4} << 20;

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
      resampler_(config.resampler, weights_),
      inputs_(config, cpu.free_memory()),
      tower_graphs_(kGraphBytes),
      resampler_graphs_(kGraphBytes) {
  for (const TensorSpec& tensor : vision_tensors(config)) tensor_names_.push_back(tensor.name);
  make_state();
}

void ImageEncoder::make_state() {
  forget_graphs();
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

void ImageEncoder::forget_graphs() {
  tower_graphs_.clear();
  resampler_graphs_.clear();
}

bool ImageEncoder::supports(Device& device) {
  const BufferHandle claim = device.claim(context_.get());
  const int tiles = config_.max_tiles;
  if (!device.supports(*tower_graph(device, 0, tiles, 0, siglip_.blocks(), nullptr).graph))
    return false;
  for (int layer = 0; layer < config_.resampler.layers; ++layer) {
    if (!device.supports(*resample_graph(device, 0, tiles, layer, true, nullptr).graph))
      return false;
  }
  return true;
}

size_t ImageEncoder::measure(Device& device) {
  const BufferHandle claim = device.claim(context_.get());
  size_t bytes = 0;
  for (const KeptGraphs::Built& largest : largest_graphs(device))
    bytes = std::max(bytes, device.measure(*largest.graph));
  return bytes;
}

std::array<KeptGraphs::Built, 2> ImageEncoder::largest_graphs(Device& device) const {
  // All layers look alike.
  return {
      tower_graph(device, 0, config_.max_tiles, 0, 2, nullptr),
      resample_graph(device, 0, config_.max_tiles, config_.resampler.layers - 1, true, nullptr)};
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
  const auto largest = largest_graphs(*device_);
  for (const KeptGraphs::Built& step : largest) device_->reserve(*step.graph);
  if (device_->is_cpu()) return;
  // A backend takes memory beside ours when it first computes.
  for (const KeptGraphs::Built& step : largest) device_->compute(*step.graph);
}

int ImageEncoder::count_tokens(int width, int height, ImageMode mode) const {
  if (mode != ImageMode::kAnyres) return config_.resampler.latents;
  const Canvas canvas = fit_canvas(width, height, config_.canvases).canvas;
  const int crops = (canvas.width / config_.tower.tile) * (canvas.height / config_.tower.tile);
  return (1 + crops) * config_.resampler.latents;
}

void ImageEncoder::begin(const PictureView& picture, ImageMode mode) {
  result_ = EncodedImage{};
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
  tower_tiles_ = inputs_.set(tiles, sources, visible, runs_, whole);
}

void ImageEncoder::set_runs(int tiles, const std::vector<uint8_t>& visible, bool whole) {
  // What is summed up for an importance matrix must not depend on the pictures before.
  const bool spares = !visible.empty() && !whole && cpu_.importance() == nullptr;
  const auto is_unseen = [&](int run) {
    const std::ptrdiff_t patches = config_.tower.patches();
    const auto row = visible.begin() + run * patches;
    return std::find(row, row + patches, 1) == row + patches;
  };
  for (int run = 0; run < tiles; ++run) {
    if (spares && is_unseen(run)) {
      unseen_runs_.push_back(run);
      if (!unseen_.empty() || unseen_runs_.size() > 1) continue;
    }
    runs_.push_back(run);
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
  const int most = tower_tiles_ * (siglip_.blocks() - block_) - tile_;
  const int units = tower_pace_.units(budget_ms, 1, most);
  // Whole blocks over all tiles where the budget allows it, else some tiles of one block.
  const int tiles = std::min(units, tower_tiles_ - tile_);
  const int blocks = tile_ == 0 && units >= tower_tiles_ ? units / tower_tiles_ : 1;
  const auto build = [&] { return tower_graph(*device_, tile_, tiles, block_, blocks, taps); };
  // What is tapped is of no use to another picture.
  KeptGraphs::Built tapped;
  const KeptGraphs::Built& step =
      taps == nullptr ? tower_graphs_.get(*device_, {tile_, tiles, block_, blocks}, build)
                      : tapped = build();
  if (!device_->compute(*step.graph)) return false;
  if (taps != nullptr) step.graph->collect_taps(taps);
  tower_pace_.record(tiles * blocks, stopwatch.ms(), tiles * blocks == most);
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
  const bool masked = inputs_.is_masked();
  const auto build = [&] { return resample_graph(*device_, tile_, runs, layer_, masked, taps); };
  KeptGraphs::Built tapped;
  const KeptGraphs::Built& step =
      taps == nullptr ? resampler_graphs_.get(*device_, {tile_, runs, layer_, masked}, build)
                      : tapped = build();
  if (!device_->compute(*step.graph)) return false;
  if (taps != nullptr) step.graph->collect_taps(taps);
  if (step.out != nullptr) {
    const std::vector<float> rows = Graph::read(step.out);
    const size_t size = rows.size() / static_cast<size_t>(runs);
    for (int i = 0; i < runs; ++i)
      std::copy_n(rows.data() + static_cast<size_t>(i) * size, size,
                  run_rows(runs_[static_cast<size_t>(tile_ + i)]));
  }
  resampler_pace_.record(runs, stopwatch.ms(), runs == all - tile_);
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

KeptGraphs::Built ImageEncoder::tower_graph(Device& device, int first_tile, int tiles,
                                            int first_block, int blocks, const Taps* taps) const {
  const TowerConfig& tower = config_.tower;
  auto graph = device.graph(Siglip::kBlockNodes * static_cast<size_t>(blocks + 2));
  ggml_tensor* x = tiles_view(*graph, features_, first_tile, tiles);
  if (first_block == 0) {
    x = siglip_.embed(
        *graph, graph->input(GGML_TYPE_F32, {3 * tower.patch * tower.patch, tower.patches(), tiles},
                             inputs_.patches(first_tile)));
    graph->tap("vit.0", x, taps);
  }
  for (int i = first_block; i < first_block + blocks; ++i) {
    x = siglip_.block(*graph, x, i);
    if (i % 2 == 1) graph->tap("vit." + std::to_string(i / 2 + 1), x, taps);
  }
  if (first_block + blocks == siglip_.blocks()) {
    x = siglip_.finish(*graph, x);
    graph->tap("vit_out", x, taps);
  }
  graph->expand(ggml_cpy(graph->context(), x, tiles_view(*graph, features_, first_tile, tiles)));
  return {std::move(graph), nullptr};
}

KeptGraphs::Built ImageEncoder::resample_graph(Device& device, int first_run, int runs, int layer,
                                               bool masked, const Taps* taps) const {
  const TowerConfig& tower = config_.tower;
  auto graph = device.graph(Resampler::kLayerNodes * 2);
  ggml_context* context = graph->context();
  const int64_t entries = int64_t{runs} * tower.patches();
  ggml_tensor* features = ggml_reshape_2d(context, features_, tower.width, ggml_nrows(features_));
  ggml_tensor* media = ggml_get_rows(
      context, features, graph->input(GGML_TYPE_I32, {entries}, inputs_.sources(first_run)));
  media = ggml_reshape_3d(context, media, tower.width, tower.patches(), runs);
  if (layer == 0) graph->tap("resampler_in", media, taps);
  const int64_t latents = config_.resampler.latents;
  ggml_tensor* bias = nullptr;
  if (masked) {
    bias = graph->input(GGML_TYPE_F16, {tower.patches() + latents, latents, 1, runs},
                        inputs_.mask(first_run));
  }
  ggml_tensor* z =
      layer == 0 ? resampler_.start(*graph, runs) : tiles_view(*graph, latents_, first_run, runs);
  z = resampler_.layer(*graph, z, media, bias, layer);
  graph->tap("resampler." + std::to_string(layer), z, taps);
  if (layer + 1 < config_.resampler.layers) {
    graph->expand(ggml_cpy(context, z, tiles_view(*graph, latents_, first_run, runs)));
    return {std::move(graph), nullptr};
  }
  ggml_tensor* tokens = resampler_.finish(*graph, z);
  graph->tap("vision_tokens", tokens, taps);
  ggml_tensor* out = graph->output(tokens);
  return {std::move(graph), out};
}

}  // namespace xgenmm
