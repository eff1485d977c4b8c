#include <array>
#include <cmath>
#include <limits>

#include "base/dtype.h"
#include "tests/emulation/emulated.h"

namespace trireme::emulation {
namespace arch_test {

using cuda::Bf16;
using cuda::Fp16;

constexpr Order kOrders[] = {Order::kForward, Order::kReverse, Order::kRandom};

// A number of few bits, so that products and sums of 16 are exact in every type.
float small_number(size_t i) { return static_cast<float>(static_cast<int>(i * 37 % 17) - 8); }

struct Tile {
  alignas(16) uint16_t a[16][16];
  alignas(16) uint16_t b[16][8];
};

// d = a b + c with the fragments of load_matrices; every element of c is the same.
template <class E>
__global__ void multiply_tile(const uint16_t* a, const uint16_t* b, float c, float* d) {
  auto& tile = cuda::shared_memory<Tile>();
  for (uint32_t i = threadIdx.x; i < 256; i += 32) tile.a[i / 16][i % 16] = a[i];
  for (uint32_t i = threadIdx.x; i < 128; i += 32) tile.b[i / 8][i % 8] = b[i];
  __syncwarp();
  const uint32_t lane = threadIdx.x;
  uint32_t left[4], right[4];
  cuda::load_matrices(left, &tile.a[lane % 16][lane / 16 * 8]);
  cuda::load_matrices_transposed(right, &tile.b[lane % 16][0]);
  const uint32_t of_b[2] = {right[0], right[1]};
  float sums[4] = {c, c, c, c};
  cuda::mma_16x8x16<E>(sums, left, of_b);
  for (uint32_t i = 0; i < 4; ++i) {
    d[(lane / 4 + 8 * (i / 2)) * 8 + 2 * (lane % 4) + i % 2] = sums[i];
  }
}

template <class E>
void expect_product(uint16_t (*narrowed)(float)) {
  std::vector<uint16_t> a(256), b(128);
  for (size_t i = 0; i < a.size(); ++i) a[i] = narrowed(small_number(i));
  for (size_t i = 0; i < b.size(); ++i) b[i] = narrowed(small_number(i + 5));
  const DeviceArray<uint16_t> device_a(a), device_b(b);
  const DeviceArray<float> device_d(128);
  run({.shared_bytes = sizeof(Tile)},
      multiply_tile<E>,
      device_a.data(),
      device_b.data(),
      0.0f,
      device_d.data());
  const std::vector<float> d = device_d.read();
  for (size_t row = 0; row < 16; ++row) {
    for (size_t column = 0; column < 8; ++column) {
      double sum = 0;
      for (size_t k = 0; k < 16; ++k) {
        sum += double{small_number(row * 16 + k)} * double{small_number(k * 8 + column + 5)};
      }
      EXPECT_EQ(d[row * 8 + column], sum) << row << ' ' << column;
    }
  }
}

TEST(Arch, FragmentsMultiplyAsMatrices) {
  for (const Order order : kOrders) {
    const ScopedSettings scoped(order);
    expect_product<Bf16>([](float value) { return uint16_t{float_to_bf16(value)}; });
    expect_product<Fp16>([](float value) { return uint16_t{float_to_fp16(value)}; });
  }
}

// c + the products of `first` with 1, in k = 0, and of `others` with 1, in each of 1 to 15.
float sum_of(float c, float first, float others, bool truncates) {
  const ScopedSettings scoped;
  Settings now = settings();
  now.truncates_sums = truncates;
  set_settings(now);
  std::vector<uint16_t> a(256), b(128, float_to_bf16(1));
  for (size_t i = 0; i < a.size(); ++i) a[i] = float_to_bf16(i % 16 == 0 ? first : others);
  const DeviceArray<uint16_t> device_a(a), device_b(b);
  const DeviceArray<float> device_d(128);
  run({.shared_bytes = sizeof(Tile)},
      multiply_tile<Bf16>,
      device_a.data(),
      device_b.data(),
      c,
      device_d.data());
  const std::vector<float> d = device_d.read();
  for (const float each : d) EXPECT_EQ(__float_as_uint(each), __float_as_uint(d[0]));
  return d[0];
}

TEST(Arch, TruncatedProductsAreCutTowardZeroBelowTheLargestTerm) {
  EXPECT_EQ(sum_of(1, 0x1.8p-24f, 0, false), 1 + 0x1p-23f);  // to nearest
  EXPECT_EQ(sum_of(1, 0x1.8p-24f, 0, true), 1);
  EXPECT_EQ(sum_of(-1, -0x1.8p-24f, 0, true), -1);
  EXPECT_EQ(sum_of(1, -0x1.8p-24f, 0, true), 1 - 0x1p-24f);  // the term is cut to 2^-24
  EXPECT_EQ(sum_of(1, 0, 0x1p-24f, true), 1 + 0x1.cp-21f);   // seven, odd, are cut; then eight
  EXPECT_EQ(sum_of(1, 0, 0x1.fp-25f, true), 1);
  EXPECT_EQ(sum_of(0, 0x1p-24f, 1, true), 15);
  EXPECT_EQ(sum_of(0, 0, 0, true), 0);
  EXPECT_EQ(sum_of(3, -3, 0x1p-140f, true), 0);
  EXPECT_EQ(sum_of(0, 0, 0x1p-130f, true), 15 * 0x1p-130f);
}

TEST(Arch, TruncatedProductsKeepInfinitiesAndNan) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(sum_of(1, infinity, 1, true), infinity);
  EXPECT_TRUE(std::isnan(sum_of(infinity, -infinity, 1, true)));
}

struct Staged {
  uint4 chunk[64];
};

// Each thread copies chunk by chunk; `early` reads before the wait, as a wrong kernel would.
template <bool early>
__global__ void copy_chunks(const uint4* in, uint4* out, int32_t bytes) {
  auto& staged = cuda::shared_memory<Staged>();
  const uint32_t lane = threadIdx.x;
  cuda::copy_async_16(&staged.chunk[lane], in + lane, bytes);
  cuda::copy_async_commit();
  cuda::copy_async_16(&staged.chunk[lane + 32], in + lane + 32);
  cuda::copy_async_commit();
  if (!early) cuda::copy_async_wait<1>();
  out[lane] = staged.chunk[lane];
  out[lane + 64] = staged.chunk[lane + 32];  // its group is pending
  cuda::copy_async_wait<0>();
  out[lane + 32] = staged.chunk[lane + 32];
}

std::vector<uint4> copied(void (*kernel)(const uint4*, uint4*, int32_t), int32_t bytes) {
  std::vector<uint4> in(64);
  for (uint32_t i = 0; i < 64; ++i) in[i] = {i, i + 100, i + 200, i + 300};
  const DeviceArray<uint4> device_in(in);
  const DeviceArray<uint4> device_out(96);
  run({.shared_bytes = sizeof(Staged)}, kernel, device_in.data(), device_out.data(), bytes);
  return device_out.read();
}

TEST(Arch, AnAsynchronousCopyArrivesAtTheWaitOfItsGroupAndNotBefore) {
  for (const Order order : kOrders) {
    const ScopedSettings scoped(order);
    const std::vector<uint4> out = copied(copy_chunks<false>, 16);
    for (uint32_t i = 0; i < 64; ++i) EXPECT_EQ(out[i].w, i + 300);
    for (uint32_t i = 64; i < 96; ++i) EXPECT_EQ(out[i].w, 0xffffffffu);
  }
}

TEST(Arch, AnEarlyReadOfAnAsynchronousCopyReadsPoison) {
  for (const Order order : kOrders) {
    const ScopedSettings scoped(order);
    const std::vector<uint4> out = copied(copy_chunks<true>, 16);
    for (uint32_t i = 0; i < 32; ++i) EXPECT_EQ(out[i].x, 0xffffffffu);
  }
}

TEST(Arch, BytesBeyondTheSourceBecomeZero) {
  const std::vector<uint4> six = copied(copy_chunks<false>, 6);
  EXPECT_EQ(six[7].x, 7u);
  EXPECT_EQ(six[7].y, 107u);
  EXPECT_EQ(six[7].z, 0u);
  EXPECT_EQ(six[7].w, 0u);
  EXPECT_EQ(copied(copy_chunks<false>, 0)[7].x, 0u);
}

__global__ void exchange_at_named_barriers(uint32_t* out) {
  auto& staged = cuda::shared_memory<Staged>();
  const uint32_t pair = threadIdx.x / 64;  // two warps each
  auto* words = reinterpret_cast<uint32_t*>(&staged);
  words[threadIdx.x] = threadIdx.x;
  cuda::named_barrier(static_cast<int32_t>(1 + pair), 64);
  out[threadIdx.x] = words[pair * 64 + 63 - threadIdx.x % 64];
}

TEST(Arch, NamedBarriersHoldTheirOwnThreads) {
  for (const Order order : kOrders) {
    const ScopedSettings scoped(order);
    const DeviceArray<uint32_t> out(128);
    run({.block = {128}, .shared_bytes = sizeof(Staged)}, exchange_at_named_barriers, out.data());
    const std::vector<uint32_t> got = out.read();
    for (uint32_t i = 0; i < 128; ++i) EXPECT_EQ(got[i], i / 64 * 64 + 63 - i % 64);
  }
}

__global__ void powers(const float* in, float* out) {
  out[threadIdx.x] = cuda::exp2_fast(in[threadIdx.x]);
}

TEST(Arch, Exp2HasTheHardwaresCornerCases) {
  const float infinity = std::numeric_limits<float>::infinity();
  const DeviceArray<float> in(std::vector<float>{-infinity, 0, 3, -127, -126, infinity, 0.5f});
  const DeviceArray<float> out(7);
  run({.block = {7}}, powers, in.data(), out.data());
  const std::vector<float> expected = {0, 1, 8, 0, 0x1p-126f, infinity, std::sqrt(2.0f)};
  EXPECT_EQ(out.read(), expected);
}

template <class E>
__global__ void round_trip(const float* in, float* out) {
  const uint32_t i = threadIdx.x;
  const float2 two = cuda::unpack2<E>(cuda::pack2<E>(in[i], -in[i]));
  out[2 * i] = two.x;
  out[2 * i + 1] = two.y;
}

TEST(Arch, PackingRoundsToNearestEven) {
  const DeviceArray<float> in(std::vector<float>{1.00390625f, 1.01171875f, 1e6f});
  const DeviceArray<float> out(6);
  run({.block = {3}}, round_trip<Bf16>, in.data(), out.data());
  EXPECT_EQ(out.read(), (std::vector<float>{1, -1, 1.015625f, -1.015625f, 999424, -999424}));
  const float infinity = std::numeric_limits<float>::infinity();
  run({.block = {3}}, round_trip<Fp16>, in.data(), out.data());
  EXPECT_EQ(out.read()[4], infinity);
  EXPECT_EQ(out.read()[5], -infinity);
}

__global__ void count_arrivals(uint32_t* ticket, uint32_t* last) {
  if (threadIdx.x != 0) return;
  if (cuda::add_acquire_release(ticket, 1) == gridDim.x - 1) *last = blockIdx.x + 1;
}

TEST(Arch, ExactlyOneBlockArrivesLastAndTheOrderDecidesWhich) {
  std::vector<uint32_t> last_blocks;
  for (const Order order : {Order::kForward, Order::kReverse}) {
    const ScopedSettings scoped(order);
    const DeviceArray<uint32_t> words(std::vector<uint32_t>{0, 0});
    run({.grid = {9}}, count_arrivals, words.data(), words.data() + 1);
    EXPECT_EQ(words.read()[0], 9u);
    last_blocks.push_back(words.read()[1]);
  }
  EXPECT_EQ(last_blocks, (std::vector<uint32_t>{9, 1}));
}

}  // namespace arch_test
}  // namespace trireme::emulation
