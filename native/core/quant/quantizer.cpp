#include "quant/quantizer.h"

#include <algorithm>
#include <new>
#include <system_error>

#include "base/cores.h"
#include "base/error.h"
#include "quant/row_quantizer.h"
#include "quant/widening.h"

namespace xgenmm {

namespace {

// Values in a piece: few enough to stay in a core's cache and to be done within milliseconds, many
// enough that taking one costs nothing.
constexpr int64_t kPiece = 1 << 15;

// Rows [first, first + count): the index in the source of the first bad value, or -1.
int64_t quantize_piece(const QuantizeJob& job, int64_t first, int64_t count, float* scratch) {
  const size_t source_row =
      static_cast<size_t>(job.source_length) * ggml_type_size(job.source_type);
  const uint8_t* source = job.source + static_cast<size_t>(first) * source_row;
  if (job.source_length == job.row_length) {
    widen(job.source_type, source, count * job.row_length, scratch);
  } else {
    for (int64_t row = 0; row < count; ++row) {
      float* out = scratch + row * job.row_length;
      widen(job.source_type, source + static_cast<size_t>(row) * source_row, job.source_length,
            out);
      std::fill(out + job.source_length, out + job.row_length, 0.0f);
    }
  }
  const int64_t bad = find_magnitude(scratch, count * job.row_length, magnitude_limit(job.type));
  if (bad >= 0) return (first + bad / job.row_length) * job.source_length + bad % job.row_length;
  quantize_rows(job.type, scratch,
                job.target + static_cast<size_t>(first) * ggml_row_size(job.type, job.row_length),
                count, job.row_length, job.importance.empty() ? nullptr : job.importance.data());
  return -1;
}

}  // namespace

Quantizer::Quantizer(int threads) {
  const int count =
      std::clamp(threads > 0 ? threads : read_cores().independent_threads(), 1, kMaxThreads);
  for (int i = 0; i < count; ++i) {
    // Not initialised: what no row is long enough for is never touched.
    scratch_.push_back(std::unique_ptr<float[]>(new float[std::max(kMaxRowLength, kPiece)]));
  }
  threads_.reserve(static_cast<size_t>(count));
  try {
    for (const auto& scratch : scratch_)
      threads_.emplace_back([this, memory = scratch.get()] { work(memory); });
  } catch (const std::bad_alloc&) {
    stop();
    throw;
  } catch (const std::system_error&) {
    stop();
    throw Error(ErrorCode::kDeviceUnavailable,
                "expected to start " + std::to_string(count) +
                    " threads, but the system allows fewer: use fewer `threads`");
  }
}

Quantizer::~Quantizer() {
  stop();
}

void Quantizer::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Quantizer::submit(QuantizeJob job, Done done) {
  job.check();
  const int64_t rows = job.rows();
  const int64_t step = std::max<int64_t>(kPiece / job.row_length, 1);
  auto open =
      std::make_shared<Open>(Open{std::move(job), std::move(done), rows, step, 0, rows, -1});
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back(std::move(open));
  }
  wake_.notify_all();
}

void Quantizer::work(float* scratch) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const std::shared_ptr<Open> open = queue_.front();
    const int64_t first = open->next;
    const int64_t count = std::min(open->step, open->rows - first);
    open->next += count;
    if (open->next == open->rows) queue_.pop_front();
    // What comes behind a bad value changes nothing.
    if (open->bad < 0 || first * open->job.source_length < open->bad) {
      lock.unlock();
      const int64_t bad = quantize_piece(open->job, first, count, scratch);
      lock.lock();
      if (bad >= 0 && (open->bad < 0 || bad < open->bad)) open->bad = bad;
    }
    open->left -= count;
    if (open->left > 0) continue;
    lock.unlock();
    open->done(open->bad);
    lock.lock();
  }
}

}  // namespace xgenmm
