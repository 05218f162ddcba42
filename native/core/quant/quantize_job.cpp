#include "quant/quantize_job.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"

namespace xgenmm {

namespace {

constexpr ggml_type kWeightTypes[] = {GGML_TYPE_F32,  GGML_TYPE_F16,  GGML_TYPE_BF16,
                                      GGML_TYPE_Q8_0, GGML_TYPE_Q6_K, GGML_TYPE_Q5_K,
                                      GGML_TYPE_Q4_K, GGML_TYPE_Q4_0, GGML_TYPE_IQ4_NL};

// Far above any activation's square; below it no sum that the searches keep becomes infinite.
constexpr float kMaxImportance = 1e20f;

void expect(bool condition, const std::string& what, int64_t received) {
  if (condition) return;
  throw Error(ErrorCode::kInvalidArgument,
              "expected " + what + ", received " + std::to_string(received));
}

void check_importance(const std::vector<float>& importance, int64_t row_length) {
  if (importance.empty()) return;
  expect(static_cast<int64_t>(importance.size()) == row_length,
         "an importance for each of " + std::to_string(row_length) + " columns",
         static_cast<int64_t>(importance.size()));
  bool any = false;
  for (const float value : importance) {
    if (!(value >= 0 && value <= kMaxImportance)) {
      throw Error(ErrorCode::kInvalidArgument,
                  "expected importances from 0 to 1e20, received " + std::to_string(value));
    }
    any = any || value > 0;
  }
  // Nothing would matter: the searches would store zeros.
  if (!any) throw Error(ErrorCode::kInvalidArgument, "expected importances of which one is not 0");
}

}  // namespace

int64_t QuantizeJob::rows() const {
  return static_cast<int64_t>(source_size / ggml_type_size(source_type)) / source_length;
}

void QuantizeJob::check() const {
  if (source_type != GGML_TYPE_F32 && source_type != GGML_TYPE_F16 && source_type != GGML_TYPE_BF16)
    throw Error(ErrorCode::kInvalidArgument, "expected f32, f16 or bf16 as the source's type");
  if (std::find(std::begin(kWeightTypes), std::end(kWeightTypes), type) == std::end(kWeightTypes))
    throw Error(ErrorCode::kInvalidArgument, "expected a target type that weights are stored in");
  expect(row_length >= 1 && row_length <= kMaxRowLength,
         "rows of 1 to " + std::to_string(kMaxRowLength) + " values", row_length);
  expect(source_length >= 1 && source_length <= row_length,
         "source rows of 1 to " + std::to_string(row_length) + " values", source_length);
  const int64_t block = ggml_blck_size(type);
  expect(row_length % block == 0,
         "rows of a multiple of " + std::to_string(block) + " values for " + ggml_type_name(type),
         row_length);
  const size_t source_row = static_cast<size_t>(source_length) * ggml_type_size(source_type);
  expect(source_size > 0 && source_size % source_row == 0,
         "a source of whole rows of " + std::to_string(source_row) + " bytes",
         static_cast<int64_t>(source_size));
  const size_t target_row = ggml_row_size(type, row_length);
  expect(target_size % target_row == 0 && target_size / target_row == source_size / source_row,
         "a target of " + std::to_string(source_size / source_row) + " rows of " +
             std::to_string(target_row) + " bytes",
         static_cast<int64_t>(target_size));
  const size_t alignment = type == GGML_TYPE_F32 ? alignof(float) : alignof(ggml_fp16_t);
  const size_t misplaced = reinterpret_cast<uintptr_t>(target) % alignment;
  expect(misplaced == 0, "a target at a multiple of " + std::to_string(alignment) + " bytes",
         static_cast<int64_t>(misplaced));
  check_importance(importance, row_length);
}

ggml_type weight_type(const std::string& name) {
  for (const ggml_type type : kWeightTypes) {
    if (name == ggml_type_name(type)) return type;
  }
  throw Error(
      ErrorCode::kInvalidArgument,
      "expected a type that weights are stored in, received \"" + name.substr(0, 64) + "\"");
}

uint32_t magnitude_limit(ggml_type type) {
  switch (type) {
    case GGML_TYPE_F32:
      return 0x7f800000;
    case GGML_TYPE_BF16:
      // Halfway between its largest number and the next power of two.
      return 0x7f7f8000;
    default:
      // The same for an f16, 65520; the other types have f16 scales.
      return 0x477ff000;
  }
}

}  // namespace xgenmm
