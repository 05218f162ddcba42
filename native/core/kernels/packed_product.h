#pragma once

#include <cstdint>

#include "kernels/epilogue.h"
#include "kernels/packed_weights.h"

namespace xgenmm {

// Whether the functions below know weights of this type and the processor has the instructions.
bool has_packed_product(ggml_type type);

// Rounds columns [first, last) of `columns` into panels (PanelShape); first must begin a panel.
// Column c is at x + c * stride, in values. Values that are not finite give results that are not.
void pack_columns(const PanelShape& shape, const float* x, int64_t stride, int64_t columns,
                  int64_t first, int64_t last, uint8_t* panels);

// The epilogue of weights[r] · column c, for all columns and the rows of tiles [first_tile,
// last_tile) of the result. Column c is at out + c * rows of the result. Every value is added up in
// the same order whatever the number of columns.
void packed_product(const PackedWeights& weights, const uint8_t* panels, int64_t columns,
                    const Epilogue& epilogue, int64_t first_tile, int64_t last_tile, float* out);

}  // namespace xgenmm
