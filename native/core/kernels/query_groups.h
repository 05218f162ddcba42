#pragma once

// After one of lanes_*.h.
#include <cstdint>

namespace xgenmm {
namespace {

// A number that is known when the kernel is compiled.
template <int N>
struct Count {
  static constexpr int value = N;
};

// Blocks of 16 keys that so many queries meet at once: as many sums as a product has.
constexpr int blocks_at_once(int queries) {
  const int blocks = kTilesAtOnce * kColumnsAtOnce / queries;
  return blocks < 1 ? 1 : blocks > 8 ? 8 : blocks;
}

// Calls visit(first, Count<…>) for groups of neighbouring queries that are computed at once and
// make up 0 .. queries - 1.
template <typename Visit>
void each_query_group(int64_t queries, const Visit& visit) {
  int64_t first = 0;
  while (first < queries) {
    const auto take = [&](auto count) {
      visit(first, count);
      first += count.value;
    };
    const int64_t left = queries - first;
    if (left >= kQueriesAtOnce) {
      take(Count<kQueriesAtOnce>());
    } else if (left >= 4) {
      take(Count<4>());
    } else if (left >= 2) {
      take(Count<2>());
    } else {
      take(Count<1>());
    }
  }
}

}  // namespace
}  // namespace xgenmm
