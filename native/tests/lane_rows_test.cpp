#include "quant/lane_rows.h"

#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "harness.h"
#include "quant/row_quantizer.h"

namespace xgenmm {
namespace {

constexpr ggml_type kTypes[] = {GGML_TYPE_Q4_K, GGML_TYPE_Q5_K, GGML_TYPE_Q6_K, GGML_TYPE_Q4_0,
                                GGML_TYPE_IQ4_NL};

using Random = std::mt19937;

float normal(Random& random) {
  return std::normal_distribution<float>()(random);
}

float uniform(Random& random, float from, float to) {
  return std::uniform_real_distribution<float>(from, to)(random);
}

struct Source {
  const char* name;
  // Value `i` of a row; `level` is the same for 16 values one after another.
  std::function<float(Random&, int i, float level)> value;
};

const std::vector<Source>& value_sources() {
  static const std::vector<Source> sources = {
      {"normal", [](Random& random, int, float) { return 0.02f * normal(random); }},
      {"uniform", [](Random& random, int, float) { return uniform(random, -1.0f, 1.0f); }},
      {"heavy tails", [](Random& random, int,
                         float) { return 0.01f * normal(random) / std::abs(normal(random)); }},
      {"outliers",
       [](Random& random, int i, float) { return normal(random) * (i % 61 == 7 ? 1e3f : 1e-3f); }},
      {"positive", [](Random& random, int, float) { return uniform(random, 3.0f, 4.0f); }},
      {"negative", [](Random& random, int, float) { return uniform(random, -1.0f, -0.9999f); }},
      {"nearly equal",
       [](Random& random, int, float level) { return level + 1e-6f * std::round(normal(random)); }},
      {"constant", [](Random&, int, float level) { return level; }},
      {"zero", [](Random&, int i, float) { return i % 3 == 0 ? -0.0f : 0.0f; }},
      {"all the same and negative", [](Random&, int, float) { return -0.37f; }},
      {"denormal", [](Random& random, int, float) { return 1e-42f * normal(random); }},
      {"around the smallest that counts",
       [](Random& random, int, float level) { return 1e-15f * level * normal(random); }},
      {"too small for f16", [](Random& random, int, float) { return 1e-8f * normal(random); }},
      {"too large for f16", [](Random& random, int, float) { return 1e7f * normal(random); }},
      {"squares overflow", [](Random& random, int, float) { return 1e20f * normal(random); }},
      {"huge", [](Random& random, int, float) { return 1e30f * normal(random); }},
      {"alternating", [](Random&, int i, float level) { return i % 2 == 0 ? level : -level; }},
      {"sparse",
       [](Random& random, int, float) { return random() % 40 == 0 ? normal(random) : 0.0f; }},
      {"sub-blocks of all sizes",
       [](Random& random, int, float level) { return std::exp(12.0f * level) * normal(random); }},
      {"few different",
       [](Random& random, int, float level) {
         return level + 0.125f * static_cast<float>(random() % 3);
       }},
  };
  return sources;
}

const std::vector<Source>& importance_sources() {
  static const std::vector<Source> sources = {
      {"random", [](Random& random, int, float) { return uniform(random, 0.0f, 1.0f); }},
      {"all of it zero", [](Random&, int, float) { return 0.0f; }},
      {"one column", [](Random&, int i, float) { return i == 300 ? 1.0f : 0.0f; }},
      {"heavy tails", [](Random& random, int, float) { return std::exp(6.0f * normal(random)); }},
      {"huge", [](Random& random, int, float) { return uniform(random, 0.0f, 3e38f); }},
      {"tiny", [](Random& random, int, float) { return uniform(random, 0.0f, 1e-38f); }},
  };
  return sources;
}

std::vector<float> values_of(const Source& source, Random& random, int64_t count, int row_length) {
  std::vector<float> values(static_cast<size_t>(count * row_length));
  float level = 0.0f;
  for (size_t i = 0; i < values.size(); ++i) {
    if (i % 16 == 0) level = normal(random);
    values[i] = source.value(random, static_cast<int>(i % static_cast<size_t>(row_length)), level);
  }
  return values;
}

// Every lane set and quantize_rows() must give what ggml gives for these rows.
void check_rows(const std::vector<float>& rows, int row_length, const float* importance,
                const std::string& what) {
  const int64_t count = static_cast<int64_t>(rows.size()) / row_length;
  for (const ggml_type type : kTypes) {
    if (row_length % ggml_blck_size(type) != 0) continue;
    const std::string name = std::string(ggml_type_name(type)) + " of " + what;
    const size_t row_size = ggml_row_size(type, row_length);
    std::vector<uint8_t> expected(row_size * static_cast<size_t>(count)), actual;
    ggml_quantize_chunk(type, rows.data(), expected.data(), 0, count, row_length, importance);
    const auto check = [&](const std::string& by) {
      for (size_t i = 0; i < expected.size(); ++i) {
        if (actual[i] == expected[i]) continue;
        FAIL(name + " by " + by + ": byte " + std::to_string(i) + " is " +
             std::to_string(actual[i]) + ", expected " + std::to_string(expected[i]));
      }
    };
    for (const LaneSet set : lane_sets()) {
      if (!is_searched_in_lanes(type, importance != nullptr)) continue;
      actual.assign(expected.size(), 0xA5);
      quantize_lane_rows(set, type, rows.data(), actual.data(), count, row_length, importance);
      check("lane set " + std::to_string(static_cast<int>(set)));
    }
    actual.assign(expected.size(), 0xA5);
    quantize_rows(type, rows.data(), actual.data(), count, row_length, importance);
    check("quantize_rows");
  }
}

// Rows of 3 super-blocks, `count` for each source of values, in all types, without importance and
// with each kind.
void check_all_sources(unsigned seed, int64_t count) {
  constexpr int kRowLength = 768;
  Random random(seed);
  for (const Source& source : value_sources()) {
    const std::vector<float> rows = values_of(source, random, count, kRowLength);
    check_rows(rows, kRowLength, nullptr, source.name);
    for (const Source& weight : importance_sources()) {
      const std::vector<float> importance = values_of(weight, random, 1, kRowLength);
      check_rows(rows, kRowLength, importance.data(),
                 std::string(source.name) + ", importance: " + weight.name);
    }
  }
}

}  // namespace

#if defined(__x86_64__) && defined(__GNUC__) && !defined(_WIN32) && !defined(__FMA__)
// Without them everything else here would hold, too.
TEST(lane_rows_have_lanes_on_x86) {
  CHECK(!lane_sets().empty());
  CHECK(lane_sets().back() == LaneSet::kSse2);
}
#endif

// 20 sources of values, 7 of importance, 5 types, 240 times 256 values each.
TEST(lane_rows_are_those_of_ggml) {
  check_all_sources(1, 80);
}

TEST(lane_rows_of_any_number_fill_the_lanes) {
  Random random(2);
  for (const int row_length : {32, 96, 256, 1280}) {
    for (int64_t count = 1; count <= 18; ++count) {
      const std::vector<float> rows = values_of(value_sources()[0], random, count, row_length);
      const std::vector<float> importance =
          values_of(importance_sources()[0], random, 1, row_length);
      const std::string what =
          std::to_string(count) + " rows of " + std::to_string(row_length) + " values";
      check_rows(rows, row_length, nullptr, what);
      check_rows(rows, row_length, importance.data(), what + ", with importance");
    }
  }
}

}  // namespace xgenmm
