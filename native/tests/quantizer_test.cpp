// Weights in other types, on several threads: ggml's bytes, or the place of the value that has
// none.
#include "quant/quantizer.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <future>
#include <limits>
#include <random>

#include "harness.h"
#include "quant/widening.h"

namespace xgenmm::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr ggml_type kTypes[] = {GGML_TYPE_F32,  GGML_TYPE_F16,  GGML_TYPE_BF16,
                                GGML_TYPE_Q8_0, GGML_TYPE_Q6_K, GGML_TYPE_Q5_K,
                                GGML_TYPE_Q4_K, GGML_TYPE_Q4_0, GGML_TYPE_IQ4_NL};

// What a row may be made of.
enum class Kind { kRandom, kConstant, kZero, kSubnormal, kHuge, kOutlier, kMixed, kBits, kTies };
constexpr Kind kKinds[] = {Kind::kRandom,    Kind::kConstant, Kind::kZero,
                           Kind::kSubnormal, Kind::kHuge,     Kind::kOutlier,
                           Kind::kMixed,     Kind::kBits,     Kind::kTies};

std::vector<float> make_values(Kind kind, size_t count, uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.02f);
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) {
    const float value = normal(random);
    switch (kind) {
      case Kind::kRandom:
        values[i] = value;
        break;
      case Kind::kConstant:
        values[i] = -0.375f;
        break;
      case Kind::kZero:
        values[i] = i % 3 == 0 ? -0.0f : 0.0f;
        break;
      case Kind::kSubnormal:
        values[i] = value * 1e-38f;
        break;
      case Kind::kHuge:
        values[i] = value < 0 ? -65519.0f : 65519.0f * std::abs(std::sin(value * 100));
        break;
      case Kind::kOutlier:
        values[i] = i % 97 == 0 ? 60000.0f : value * 1e-6f;
        break;
      case Kind::kMixed:
        values[i] = std::ldexp(value, static_cast<int>(random() % 40) - 30);
        break;
      case Kind::kBits: {
        // Any number below 65520; every second one halfway between two f16s or two subnormal ones.
        const uint32_t bits = static_cast<uint32_t>(random()) % 0x477ff000;
        const uint32_t tie = bits < 0x38800000 ? 0 : (bits & ~0xfffu) | 0x1000;
        const uint32_t chosen = i % 2 == 0 || tie >= 0x477ff000 ? bits : tie;
        std::memcpy(&values[i], &chosen, sizeof(float));
        if (chosen == 0 && i % 2 == 1)
          values[i] = std::ldexp(static_cast<float>(2 * (random() % 1024) + 1), -25);
        if (random() % 2 == 0) values[i] = -values[i];
        break;
      }
      case Kind::kTies:
        // Halfway between two steps of q8_0, whose block the first value scales.
        values[i] = i % 32 == 0 ? 127.0f : static_cast<float>(random() % 254) - 126.5f;
        break;
    }
  }
  return values;
}

std::vector<float> make_importance(size_t columns) {
  std::mt19937 random(2);
  std::vector<float> importance(columns);
  for (float& value : importance) {
    // Some columns never meet anything.
    value = random() % 5 == 0 ? 0 : std::exp(static_cast<float>(random() % 1000) / 100 - 5);
  }
  return importance;
}

std::vector<uint8_t> bytes_of(const std::vector<float>& values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<uint8_t> bytes_of(const std::vector<uint16_t>& values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(uint16_t));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// A job whose rows are not filled up, and the memory for its target.
QuantizeJob make_job(const std::vector<uint8_t>& source, ggml_type source_type, int64_t row_length,
                     ggml_type type, std::vector<uint8_t>& target) {
  const size_t row = static_cast<size_t>(row_length) * ggml_type_size(source_type);
  target.assign(source.size() / row * ggml_row_size(type, row_length), 0xa5);
  return {source.data(), source.size(), source_type,   row_length, row_length,
          type,          target.data(), target.size(), {}};
}

std::future<int64_t> start(Quantizer& quantizer, QuantizeJob job) {
  auto promise = std::make_shared<std::promise<int64_t>>();
  std::future<int64_t> bad = promise->get_future();
  quantizer.submit(std::move(job), [promise](int64_t index) { promise->set_value(index); });
  return bad;
}

std::vector<uint8_t> reference(ggml_type type, const std::vector<float>& values, int64_t row_length,
                               const std::vector<float>& importance) {
  const int64_t rows = static_cast<int64_t>(values.size()) / row_length;
  std::vector<uint8_t> out(static_cast<size_t>(rows) * ggml_row_size(type, row_length));
  ggml_quantize_chunk(type, values.data(), out.data(), 0, rows, row_length,
                      importance.empty() ? nullptr : importance.data());
  return out;
}

// Compared without printing thousands of bytes.
void check_same(const std::vector<uint8_t>& actual, const std::vector<uint8_t>& expected,
                ggml_type type) {
  CHECK_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    if (actual[i] != expected[i])
      FAIL(std::string(ggml_type_name(type)) + " differs in byte " + std::to_string(i));
  }
}

TEST(quantizer_gives_ggmls_bytes_for_odd_values) {
  Quantizer quantizer(2);
  constexpr int64_t kRow = 512;
  for (const ggml_type type : kTypes) {
    for (const Kind kind : kKinds) {
      const std::vector<float> values = make_values(kind, 7 * kRow);
      for (const std::vector<float>& importance :
           {std::vector<float>(), make_importance(kRow), std::vector<float>(kRow, 1.0f)}) {
        const std::vector<uint8_t> source = bytes_of(values);
        std::vector<uint8_t> target;
        QuantizeJob job = make_job(source, GGML_TYPE_F32, kRow, type, target);
        job.importance = importance;
        CHECK_EQ(start(quantizer, std::move(job)).get(), -1);
        check_same(target, reference(type, values, kRow, importance), type);
      }
    }
  }
}

TEST(quantizer_gives_the_same_bytes_whatever_the_threads_and_pieces) {
  constexpr int64_t kRow = 768;
  for (const int threads : {1, 2, 3}) {
    Quantizer quantizer(threads);
    CHECK_EQ(quantizer.threads(), threads);
    for (const ggml_type type : kTypes) {
      // A piece has 42 rows.
      for (const size_t rows : {1, 41, 42, 43, 131}) {
        const std::vector<float> values = make_values(Kind::kRandom, rows * kRow, 3);
        const std::vector<uint8_t> source = bytes_of(values);
        std::vector<uint8_t> target;
        QuantizeJob job = make_job(source, GGML_TYPE_F32, kRow, type, target);
        if (rows == 131) job.importance = make_importance(kRow);
        const std::vector<float> importance = job.importance;
        CHECK_EQ(start(quantizer, std::move(job)).get(), -1);
        check_same(target, reference(type, values, kRow, importance), type);
      }
    }
  }
}

TEST(quantizer_takes_rows_longer_than_a_piece) {
  Quantizer quantizer(2);
  constexpr int64_t kRow = 3 << 15;
  const std::vector<float> values = make_values(Kind::kRandom, 3 * kRow);
  const std::vector<uint8_t> source = bytes_of(values);
  for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_Q8_0, GGML_TYPE_Q4_0}) {
    std::vector<uint8_t> target;
    QuantizeJob job = make_job(source, GGML_TYPE_F32, kRow, type, target);
    job.importance = make_importance(kRow);
    const std::vector<float> importance = job.importance;
    CHECK_EQ(start(quantizer, std::move(job)).get(), -1);
    check_same(target, reference(type, values, kRow, importance), type);
  }
}

// Half values, each as a row of its own, so that one which is not finite hides no other.
void check_halves(ggml_type source_type, const std::function<float(uint16_t)>& widened) {
  std::vector<uint16_t> finite;
  Quantizer quantizer(1);
  for (uint32_t half = 0; half < (1 << 16); ++half) {
    const uint16_t bits = static_cast<uint16_t>(half);
    if (std::isfinite(widened(bits))) {
      finite.push_back(bits);
    } else {
      float out = 0;
      const std::vector<uint8_t> one = bytes_of(std::vector<uint16_t>{bits});
      widen(source_type, one.data(), 1, &out);
      CHECK(!std::isfinite(out));
    }
  }
  std::vector<uint8_t> target;
  const std::vector<uint8_t> source = bytes_of(finite);
  QuantizeJob job = make_job(source, source_type, 1, GGML_TYPE_F32, target);
  CHECK_EQ(start(quantizer, std::move(job)).get(), -1);
  std::vector<float> expected;
  for (const uint16_t half : finite) expected.push_back(widened(half));
  check_same(target, bytes_of(expected), GGML_TYPE_F32);
  // And back, each into itself.
  QuantizeJob same = make_job(source, source_type, 1, source_type, target);
  CHECK_EQ(start(quantizer, std::move(same)).get(), -1);
  check_same(target, source, source_type);
}

TEST(quantizer_widens_every_half) {
  check_halves(GGML_TYPE_F16, [](uint16_t half) { return ggml_fp16_to_fp32(half); });
  check_halves(GGML_TYPE_BF16, [](uint16_t half) { return ggml_bf16_to_fp32({half}); });
}

TEST(quantizer_takes_sources_of_every_type_from_anywhere) {
  Quantizer quantizer(3);
  constexpr int64_t kRow = 256;
  constexpr size_t kRows = 150;
  const std::vector<float> values = make_values(Kind::kRandom, kRows * kRow);
  for (const ggml_type source_type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16}) {
    const std::vector<uint8_t> narrow = reference(source_type, values, kRow, {});
    std::vector<float> seen(values.size());
    widen(source_type, narrow.data(), static_cast<int64_t>(values.size()), seen.data());
    std::vector<uint8_t> source(narrow.size() + 1);
    std::memcpy(source.data() + 1, narrow.data(), narrow.size());
    for (const ggml_type type : kTypes) {
      std::vector<uint8_t> target;
      QuantizeJob job = make_job(narrow, source_type, kRow, type, target);
      job.source = source.data() + 1;
      CHECK_EQ(start(quantizer, std::move(job)).get(), -1);
      check_same(target, reference(type, seen, kRow, {}), type);
    }
  }
}

TEST(quantizer_fills_rows_up_with_zeros) {
  Quantizer quantizer(2);
  constexpr int64_t kShort = 300, kRow = 512;
  constexpr size_t kRows = 100;
  const std::vector<float> values = make_values(Kind::kRandom, kRows * kShort);
  std::vector<float> padded(kRows * kRow);
  for (size_t row = 0; row < kRows; ++row) {
    std::copy_n(values.begin() + static_cast<ptrdiff_t>(row * kShort), kShort,
                padded.begin() + static_cast<ptrdiff_t>(row * kRow));
  }
  for (const ggml_type type : kTypes) {
    std::vector<uint8_t> source = bytes_of(values);
    std::vector<uint8_t> target(kRows * ggml_row_size(type, kRow), 0xa5);
    const QuantizeJob job{source.data(), source.size(), GGML_TYPE_F32, kShort, kRow,
                          type,          target.data(), target.size(), {}};
    CHECK_EQ(start(quantizer, job).get(), -1);
    check_same(target, reference(type, padded, kRow, {}), type);
    // The index counts the values that are there.
    const size_t place = 97 * kShort + 299;
    std::memcpy(source.data() + 4 * place, &kInfinity, sizeof(float));
    CHECK_EQ(start(quantizer, job).get(), static_cast<int64_t>(place));
  }
}

TEST(quantizer_finds_the_first_bad_value) {
  constexpr int64_t kRow = 256;
  constexpr size_t kRows = 700;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const int threads : {1, 3}) {
    Quantizer quantizer(threads);
    for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_Q8_0, GGML_TYPE_Q4_K}) {
      std::mt19937 random(5);
      for (int round = 0; round < 10; ++round) {
        std::vector<float> values = make_values(Kind::kRandom, kRows * kRow);
        size_t first = values.size();
        for (int i = 0; i < 1 + round; ++i) {
          const size_t place = random() % values.size();
          values[place] = i % 3 == 0 ? nan : i % 3 == 1 ? kInfinity : -kInfinity;
          first = std::min(first, place);
        }
        const std::vector<uint8_t> source = bytes_of(values);
        std::vector<uint8_t> target;
        QuantizeJob job = make_job(source, GGML_TYPE_F32, kRow, type, target);
        CHECK_EQ(start(quantizer, std::move(job)).get(), static_cast<int64_t>(first));
      }
    }
  }
}

TEST(quantizer_knows_what_is_too_large_for_a_type) {
  Quantizer quantizer(1);
  const float most = std::numeric_limits<float>::max();
  float bf16_most, bf16_over;
  const uint32_t bits[] = {0x7f7f7fff, 0x7f7f8000};
  std::memcpy(&bf16_most, &bits[0], sizeof(float));
  std::memcpy(&bf16_over, &bits[1], sizeof(float));
  for (const ggml_type type : kTypes) {
    const float held = type == GGML_TYPE_F32    ? most
                       : type == GGML_TYPE_BF16 ? bf16_most
                                                : std::nextafter(65520.0f, 0.0f);
    const float over = type == GGML_TYPE_F32    ? kInfinity
                       : type == GGML_TYPE_BF16 ? bf16_over
                                                : 65520.0f;
    for (const float sign : {1.0f, -1.0f}) {
      for (const float value : {held, over}) {
        std::vector<float> values = make_values(Kind::kRandom, 512);
        values[300] = sign * value;
        const std::vector<uint8_t> source = bytes_of(values);
        std::vector<uint8_t> target;
        QuantizeJob job = make_job(source, GGML_TYPE_F32, 256, type, target);
        CHECK_EQ(start(quantizer, std::move(job)).get(), value == held ? -1 : 300);
        if (value == over || type == GGML_TYPE_F32) continue;
        // What is let through comes back as numbers.
        std::vector<float> read(512);
        ggml_get_type_traits(type)->to_float(target.data(), read.data(), 512);
        for (const float number : read) CHECK(std::isfinite(number));
      }
    }
  }
}

TEST(quantizer_stays_finite_with_extreme_importances) {
  Quantizer quantizer(1);
  constexpr int64_t kRow = 512;
  std::mt19937 random(8);
  for (const ggml_type type :
       {GGML_TYPE_Q6_K, GGML_TYPE_Q5_K, GGML_TYPE_Q4_K, GGML_TYPE_Q4_0, GGML_TYPE_IQ4_NL}) {
    for (const Kind kind : kKinds) {
      for (int round = 0; round < 20; ++round) {
        const std::vector<float> values = make_values(kind, kRow, random());
        const std::vector<uint8_t> source = bytes_of(values);
        std::vector<uint8_t> target;
        QuantizeJob job = make_job(source, GGML_TYPE_F32, kRow, type, target);
        const float extremes[] = {0, 1e-38f, 1e-20f, 1, 1e10f, 1e20f};
        for (int64_t i = 0; i < kRow; ++i)
          job.importance.push_back(round == 0 ? 1e20f : extremes[random() % 6]);
        CHECK_EQ(start(quantizer, job).get(), -1);
        check_same(target, reference(type, values, kRow, job.importance), type);
        std::vector<float> read(kRow);
        ggml_get_type_traits(type)->to_float(target.data(), read.data(), kRow);
        for (const float number : read) CHECK(std::isfinite(number));
      }
    }
  }
}

TEST(quantizer_refuses_what_does_not_fit_together) {
  Quantizer quantizer(1);
  const std::vector<uint8_t> source = bytes_of(make_values(Kind::kRandom, 1024));
  std::vector<uint8_t> target;
  const QuantizeJob good = make_job(source, GGML_TYPE_F32, 512, GGML_TYPE_Q4_K, target);
  CHECK_EQ(start(quantizer, good).get(), -1);
  const auto refused = [&](const std::function<void(QuantizeJob&)>& spoil) {
    QuantizeJob job = good;
    spoil(job);
    CHECK_THROWS(ErrorCode::kInvalidArgument, quantizer.submit(job, [](int64_t) {}));
  };
  refused([](QuantizeJob& job) { job.source_type = GGML_TYPE_Q8_0; });
  refused([](QuantizeJob& job) { job.type = GGML_TYPE_Q2_K; });
  refused([](QuantizeJob& job) { job.type = GGML_TYPE_I32; });
  refused([](QuantizeJob& job) { job.type = GGML_TYPE_COUNT; });
  for (const int64_t length : {int64_t{-1}, int64_t{0}, int64_t{513}, INT64_MAX, INT64_MIN})
    refused([&](QuantizeJob& job) { job.source_length = length; });
  for (const int64_t length :
       {int64_t{-256}, int64_t{0}, int64_t{128}, int64_t{384}, int64_t{1} << 23, INT64_MAX}) {
    refused([&](QuantizeJob& job) { job.source_length = job.row_length = length; });
  }
  for (const size_t size : {0, 4, 4095, 4097, 2048, 8192})
    refused([&](QuantizeJob& job) { job.source_size = size; });
  for (const size_t size : {size_t{0}, target.size() - 1, target.size() + 1, target.size() / 2,
                            target.size() * 2, SIZE_MAX})
    refused([&](QuantizeJob& job) { job.target_size = size; });
  refused([](QuantizeJob& job) { ++job.target; });
  refused([](QuantizeJob& job) { job.importance.assign(511, 1.0f); });
  refused([](QuantizeJob& job) { job.importance.assign(513, 1.0f); });
  refused([](QuantizeJob& job) { job.importance.assign(512, 0.0f); });
  for (const float value : {-1.0f, 2e20f, kInfinity, std::nanf("")}) {
    refused([&](QuantizeJob& job) {
      job.importance.assign(512, 1.0f);
      job.importance[511] = value;
    });
  }
  // A product beyond 64 bits: 2^47 rows of 2^25 bytes.
  refused([](QuantizeJob& job) {
    job.type = GGML_TYPE_F32;
    job.source_length = 1;
    job.row_length = kMaxRowLength;
    job.source_size = size_t{1} << 49;
    job.target_size = 0;
  });
  // The quantizer is none the worse.
  CHECK_EQ(start(quantizer, good).get(), -1);
  CHECK_THROWS(ErrorCode::kInvalidArgument, weight_type("q2_K"));
  CHECK_THROWS(ErrorCode::kInvalidArgument, weight_type(""));
  for (const ggml_type type : kTypes) CHECK_EQ(weight_type(ggml_type_name(type)), type);
}

TEST(quantizer_works_on_many_jobs_at_once) {
  Quantizer quantizer(3);
  constexpr int64_t kRow = 256;
  const std::vector<float> values = make_values(Kind::kRandom, 300 * kRow);
  const std::vector<uint8_t> source = bytes_of(values);
  std::vector<std::vector<uint8_t>> targets(std::size(kTypes) * 4);
  std::vector<std::future<int64_t>> results(targets.size());
  // From two threads, as two environments might.
  const auto submit = [&](size_t first) {
    for (size_t i = first; i < targets.size(); i += 2) {
      results[i] = start(quantizer, make_job(source, GGML_TYPE_F32, kRow,
                                             kTypes[i % std::size(kTypes)], targets[i]));
    }
  };
  std::thread other([&] { submit(1); });
  submit(0);
  other.join();
  for (size_t i = 0; i < targets.size(); ++i) {
    const ggml_type type = kTypes[i % std::size(kTypes)];
    CHECK_EQ(results[i].get(), -1);
    check_same(targets[i], reference(type, values, kRow, {}), type);
  }
}

TEST(quantizer_leaves_open_jobs_when_it_goes) {
  constexpr int64_t kRow = 256;
  const std::vector<uint8_t> source = bytes_of(make_values(Kind::kRandom, 4000 * kRow));
  int done = 0;
  std::mutex mutex;
  for (int round = 0; round < 5; ++round) {
    std::vector<std::vector<uint8_t>> targets(20);
    {
      Quantizer quantizer(2);
      for (std::vector<uint8_t>& target : targets) {
        quantizer.submit(make_job(source, GGML_TYPE_F32, kRow, GGML_TYPE_IQ4_NL, target),
                         [&](int64_t) {
                           const std::lock_guard<std::mutex> lock(mutex);
                           ++done;
                         });
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(round));
    }
    // From here on nobody may write to them: the sanitizers watch.
  }
  CHECK(done < 100);
}

}  // namespace
}  // namespace xgenmm::test
