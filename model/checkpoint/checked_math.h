// Products of sizes read from a file, without overflow. Pure functions.
#pragma once

#include <cstdint>
#include <optional>

namespace trireme {

// a * b; empty if a factor is negative or the product does not fit int64.
inline std::optional<int64_t> checked_product(int64_t a, int64_t b) {
  int64_t product = 0;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

}  // namespace trireme
