// How many times faster the searches in lanes are than ggml's: a table of every type that has them,
// without and with importance, in millions of weights in a second of one thread. Both take turns,
// and the best of each counts.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <random>
#include <vector>

#include "quant/lane_rows.h"

namespace {

constexpr int64_t kRowLength = 3072, kRows = 128;
constexpr int kTurns = 9;

// In processor time, which other programs disturb less than the clock.
template <typename Work>
double seconds_of(Work work) {
  const std::clock_t before = std::clock();
  work();
  return static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
}

void measure(ggml_type type, const std::vector<float>& rows, const float* importance) {
  const std::vector<xgenmm::LaneSet>& sets = xgenmm::lane_sets();
  std::vector<uint8_t> out(ggml_row_size(type, kRowLength) * kRows);
  double reference = 1e9;
  std::vector<double> best(sets.size(), 1e9);
  for (int turn = 0; turn < kTurns; ++turn) {
    reference = std::min(reference, seconds_of([&] {
                           ggml_quantize_chunk(type, rows.data(), out.data(), 0, kRows, kRowLength,
                                               importance);
                         }));
    for (size_t i = 0; i < sets.size(); ++i) {
      best[i] = std::min(best[i], seconds_of([&] {
                           xgenmm::quantize_lane_rows(sets[i], type, rows.data(), out.data(), kRows,
                                                      kRowLength, importance);
                         }));
    }
  }
  const double millions = 1e-6 * kRowLength * kRows;
  std::printf("| %s | %s | %.1f |", ggml_type_name(type), importance ? "yes" : "no",
              millions / reference);
  for (const double seconds : best) {
    std::printf(" %.1f (%.1fx) |", millions / seconds, reference / seconds);
  }
  std::printf("\n");
}

}  // namespace

int main() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  std::vector<float> rows(kRowLength * kRows), importance(kRowLength);
  for (float& x : rows) x = normal(random);
  for (float& x : importance) x = std::abs(normal(random));

  std::printf("| type | importance | ggml |");
  for (const xgenmm::LaneSet set : xgenmm::lane_sets()) {
    const char* const kNames[] = {"SSE2", "AVX2", "AVX-512"};
    std::printf(" %s |", kNames[static_cast<int>(set)]);
  }
  std::printf("\n");
  for (const ggml_type type :
       {GGML_TYPE_Q4_K, GGML_TYPE_Q5_K, GGML_TYPE_Q6_K, GGML_TYPE_IQ4_NL, GGML_TYPE_Q4_0}) {
    if (xgenmm::is_searched_in_lanes(type, false)) measure(type, rows, nullptr);
    measure(type, rows, importance.data());
  }
}
