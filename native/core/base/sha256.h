#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace xgenmm {

// SHA-256 (FIPS 180-4) of bytes that arrive in pieces.
class Sha256 {
 public:
  void update(const void* data, size_t size);
  // Ends the message; call it once and update no more.
  std::array<uint8_t, 32> digest();

 private:
  void compress(const uint8_t* block);

  std::array<uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> block_{};
  size_t filled_ = 0;  // bytes in block_
  uint64_t length_ = 0;  // bytes seen
};

std::array<uint8_t, 32> sha256(const void* data, size_t size);

}  // namespace xgenmm
