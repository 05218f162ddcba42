#pragma once

#include <cstdint>
#include <cstring>

namespace xgenmm {
namespace {

// The eight tiles of AMX, of which each thread has its own. In assembly, because in some compilers
// the intrinsics do not say that they read memory.
class Tiles {
 public:
  // rows[i] rows of bytes[i] for tile i; all are empty then. To be released at last.
  static void configure(const uint8_t (&rows)[8], const uint8_t (&bytes)[8]) {
    struct {
      uint8_t palette, start_row, unused[14];
      uint16_t bytes[16];
      uint8_t rows[16];
    } shapes = {};
    static_assert(sizeof shapes == 64);
    shapes.palette = 1;
    for (int i = 0; i < 8; ++i) {
      shapes.rows[i] = rows[i];
      shapes.bytes[i] = bytes[i];
    }
    __asm__ volatile("ldtilecfg (%0)" ::"r"(&shapes) : "memory");
  }
  static void release() { __asm__ volatile("tilerelease" ::: "memory"); }

  // stride: bytes from one row to the next.
  template <int Tile>
  static void load(const void* at, int64_t stride) {
    __asm__ volatile("tileloadd (%1,%2,1), %%tmm%c0" ::"i"(Tile), "r"(at), "r"(stride) : "memory");
  }
  template <int Tile>
  static void store(void* at, int64_t stride) {
    __asm__ volatile("tilestored %%tmm%c0, (%1,%2,1)" ::"i"(Tile), "r"(at), "r"(stride) : "memory");
  }
  template <int Tile>
  static void clear() {
    __asm__ volatile("tilezero %%tmm%c0" ::"i"(Tile));
  }
  // sums[m][n] += a[m][k] b[k][n], over groups k of four signed bytes.
  template <int Sums, int A, int B>
  static void multiply() {
    __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(Sums), "i"(A), "i"(B));
  }
};

}  // namespace
}  // namespace xgenmm
