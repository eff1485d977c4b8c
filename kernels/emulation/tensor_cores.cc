// Matrix products of tensor cores, and ldmatrix, with the register layouts of kernels/cuda/arch.h.
#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/cuda/arch.h"

namespace trireme::emulation {
namespace {

struct Rows {
  uint32_t (&r)[4];
  const void* row;
  bool is_transposed;
};

void load_rows(void* const* deposits, int lanes) {
  if (lanes != kWarpLanes) running_block().fail("load_matrices of less than a full warp");
  const uint16_t* rows[kWarpLanes];
  for (int lane = 0; lane < lanes; ++lane) {
    const void* row = static_cast<const Rows*>(deposits[lane])->row;
    check_aligned(row, "load_matrices");
    if (!running_block().is_shared(row, 16)) {
      running_block().fail("load_matrices: lane " + std::to_string(lane) +
                           " gives an address outside shared memory");
    }
    rows[lane] = static_cast<const uint16_t*>(row);
  }
  for (int lane = 0; lane < lanes; ++lane) {
    auto& own = *static_cast<Rows*>(deposits[lane]);
    const int far = lane / 4;
    const int near = 2 * (lane % 4);
    for (int matrix = 0; matrix < 4; ++matrix) {
      const uint16_t* const* of = rows + 8 * matrix;
      const uint32_t low = own.is_transposed ? of[near][far] : of[far][near];
      const uint32_t high = own.is_transposed ? of[near + 1][far] : of[far][near + 1];
      own.r[matrix] = low | high << 16;
    }
  }
}

struct Fragments {
  float (&d)[4];
  const uint32_t (&a)[4];
  const uint32_t (&b)[2];
};

using Left = float[16][16];
using Right = float[16][8];
using Result = float[16][8];

// Products are exact in fp32; each sum is one chain in ascending k, rounded to nearest.
void add_rounded(const Left& a, const Right& b, Result& d) {
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < 16; ++k) {
      for (int column = 0; column < 8; ++column) d[row][column] += a[row][k] * b[k][column];
    }
  }
}

// Products that a tensor core adds at once on sm_80, and the bits of a term that it keeps below the
// leading bit of the largest one (Fasi et al., Numerical behavior of NVIDIA tensor cores, 2021).
// Later ones add sixteen and keep more, so they err less.
constexpr int kGroup = 8;
constexpr int kKeptBits = 24;

// 2^exponent.
double power_of_two(int exponent) {
  return std::bit_cast<double>(static_cast<uint64_t>(1023 + exponent) << 52);
}

float cut_to_float(double value) {
  const float nearest = static_cast<float>(value);
  return std::fabs(nearest) > std::fabs(value) ? std::nextafter(nearest, 0.0f) : nearest;
}

// The sum of the terms, each cut toward zero at bit kKeptBits below the leading bit of the largest;
// they are added exactly and the sum is cut to fp32.
float add_truncated(const float (&terms)[kGroup + 1]) {
  float plain = 0, largest = 0;
  for (const float term : terms) {
    plain += term;
    largest = std::max(largest, std::fabs(term));
  }
  if (!std::isfinite(plain)) return plain;
  const int exponent = std::max(1, static_cast<int>(std::bit_cast<uint32_t>(largest) >> 23)) - 127;
  const double scale = power_of_two(kKeptBits - exponent);
  int64_t units = 0;
  for (const float term : terms) units += static_cast<int64_t>(term * scale);
  return cut_to_float(static_cast<double>(units) * power_of_two(exponent - kKeptBits));
}

void add_truncated(const Left& a, const Right& b, Result& d) {
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      for (int first = 0; first < 16; first += kGroup) {
        float terms[kGroup + 1];
        for (int k = 0; k < kGroup; ++k) terms[k] = a[row][first + k] * b[first + k][column];
        terms[kGroup] = d[row][column];
        d[row][column] = add_truncated(terms);
      }
    }
  }
}

template <class E>
void multiply(void* const* deposits, int lanes) {
  if (lanes != kWarpLanes) running_block().fail("mma_16x8x16 of less than a full warp");
  Left a;
  Right b;
  Result d;
  for (int lane = 0; lane < lanes; ++lane) {
    const auto& own = *static_cast<const Fragments*>(deposits[lane]);
    const int group = lane / 4;
    const int pair = 2 * (lane % 4);
    for (int i = 0; i < 4; ++i) {
      const float2 two = cuda::unpack2<E>(own.a[i]);
      const int row = group + 8 * (i % 2);
      const int column = pair + 8 * (i / 2);
      a[row][column] = two.x;
      a[row][column + 1] = two.y;
      d[row][pair + i / 2] = own.d[2 * (i % 2) + i / 2];
    }
    for (int i = 0; i < 2; ++i) {
      const float2 two = cuda::unpack2<E>(own.b[i]);
      b[pair + 8 * i][group] = two.x;
      b[pair + 8 * i + 1][group] = two.y;
    }
  }
  running_block().truncates_sums() ? add_truncated(a, b, d) : add_rounded(a, b, d);
  for (int lane = 0; lane < lanes; ++lane) {
    const auto& own = *static_cast<const Fragments*>(deposits[lane]);
    for (int i = 0; i < 4; ++i) own.d[i] = d[lane / 4 + 8 * (i / 2)][2 * (lane % 4) + i % 2];
  }
}

}  // namespace

void check_aligned(const void* pointer, const char* operation) {
  if (reinterpret_cast<uintptr_t>(pointer) % 16 == 0) return;
  running_block().fail(std::string(operation) + ": the address is not aligned to 16 bytes");
}

void load_matrices(uint32_t (&r)[4], const void* row, bool is_transposed) {
  Rows own{r, row, is_transposed};
  running_block().warp_operation("load_matrices", &own, load_rows);
}

void multiply_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Fragments own{d, a, b};
  running_block().warp_operation("mma_16x8x16", &own, multiply<cuda::Bf16>);
}

void multiply_fp16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Fragments own{d, a, b};
  running_block().warp_operation("mma_16x8x16", &own, multiply<cuda::Fp16>);
}

}  // namespace trireme::emulation
