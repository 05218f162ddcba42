#pragma once

#include <cstdint>

namespace xgenmm {

// What becomes of a matrix product's sums before they are stored.
struct Epilogue {
  enum class Curve {
    kNone,
    kGelu,  // gelu_tanh()
    // The matrix has the gates first and as many values after them: silu(gate) * value, which are
    // half as many rows. Their number must be a multiple of kTileRows.
    kGatedSilu,
  };
  Curve curve = Curve::kNone;
  const float* bias = nullptr;  // [the matrix's rows], added before the curve
  const float* residual = nullptr;  // [columns, rows of the result], added after it

  int64_t rows(int64_t matrix_rows) const {
    return curve == Curve::kGatedSilu ? matrix_rows / 2 : matrix_rows;
  }
};

}  // namespace xgenmm
