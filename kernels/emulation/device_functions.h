// The names that kernels use from CUDA: qualifiers, indices, warp and block functions, atomics,
// math. For emulated kernels only; warp functions work on full warps.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/emulation/block.h"
#include "kernels/emulation/vector_types.h"

// NOLINTBEGIN(bugprone-reserved-identifier): the names are CUDA's

#define __global__
#define __device__
#define __host__
#define __constant__ const
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

#define threadIdx (::trireme::emulation::current_thread->index)
constexpr int warpSize = 32;

namespace trireme::emulation {

inline Block& running_block() { return *current_thread->block; }

void check_mask(unsigned mask);

// The operands of one lane of a shuffle: it receives the value of lane `from`.
struct Shuffle {
  uint64_t given;
  uint64_t got;
  int from;
};
void exchange(Shuffle& shuffle);

template <class T>
T shuffle(unsigned mask, T value, int from) {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  check_mask(mask);
  Shuffle own{0, 0, from};
  std::memcpy(&own.given, &value, sizeof(T));
  exchange(own);
  std::memcpy(&value, &own.got, sizeof(T));
  return value;
}

// One bit per lane: its predicate.
unsigned ballot(unsigned mask, bool predicate);

enum class Reduction : uint8_t { kAdd, kMin, kMax, kAnd, kOr };
unsigned reduce(unsigned mask, unsigned value, Reduction reduction);

// 2^x with subnormals flushed to zero, as the hardware does.
float exp2_flushed(float x);

template <class T>
T atomic_update(T* word, T operand, T (*update)(T, T)) {
  T before = __atomic_load_n(word, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(
      word, &before, update(before, operand), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return before;
}

}  // namespace trireme::emulation

inline void __syncthreads() {
  const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
  ::trireme::emulation::running_block().barrier(0, static_cast<int>(threads));
}
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  ::trireme::emulation::check_mask(mask);
  ::trireme::emulation::running_block().warp_operation("__syncwarp", nullptr, nullptr);
}
// A fence orders stores before it with any later word, and any earlier word with loads behind it: a
// release and an acquire.
inline void __threadfence() {
  ::trireme::emulation::running_block().release_stores(::trireme::emulation::Scope::kDevice);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  ::trireme::emulation::running_block().acquire_stores();
}
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_system() {
  ::trireme::emulation::running_block().release_stores(::trireme::emulation::Scope::kSystem);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  ::trireme::emulation::running_block().acquire_stores();
}
inline void __nanosleep(unsigned) { ::trireme::emulation::running_block().spin(); }
inline void __trap() { ::trireme::emulation::running_block().fail("__trap()"); }

// Lane numbers count within groups of `width` lanes, a power of two.
template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  const int self = ::trireme::emulation::current_thread->lane();
  return ::trireme::emulation::shuffle(mask, value, (self & ~(width - 1)) + (lane & (width - 1)));
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
  const int self = ::trireme::emulation::current_thread->lane();
  const int from = self ^ bits;
  const bool is_inside = (from & ~(width - 1)) <= (self & ~(width - 1));
  return ::trireme::emulation::shuffle(mask, value, is_inside ? from : self);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  const int self = ::trireme::emulation::current_thread->lane();
  const int from = self + static_cast<int>(by);
  return ::trireme::emulation::shuffle(
      mask, value, (self & (width - 1)) + static_cast<int>(by) < width ? from : self);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
  const int self = ::trireme::emulation::current_thread->lane();
  const int from = self - static_cast<int>(by);
  return ::trireme::emulation::shuffle(
      mask, value, (self & (width - 1)) >= static_cast<int>(by) ? from : self);
}

inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return ::trireme::emulation::ballot(mask, predicate != 0);
}
inline int __any_sync(unsigned mask, int predicate) {
  return ::trireme::emulation::ballot(mask, predicate != 0) != 0;
}
inline int __all_sync(unsigned mask, int predicate) {
  return ::trireme::emulation::ballot(mask, predicate == 0) == 0;
}
inline unsigned __reduce_add_sync(unsigned mask, unsigned value) {
  return ::trireme::emulation::reduce(mask, value, ::trireme::emulation::Reduction::kAdd);
}
inline unsigned __reduce_min_sync(unsigned mask, unsigned value) {
  return ::trireme::emulation::reduce(mask, value, ::trireme::emulation::Reduction::kMin);
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned value) {
  return ::trireme::emulation::reduce(mask, value, ::trireme::emulation::Reduction::kMax);
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value) {
  return ::trireme::emulation::reduce(mask, value, ::trireme::emulation::Reduction::kAnd);
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value) {
  return ::trireme::emulation::reduce(mask, value, ::trireme::emulation::Reduction::kOr);
}

// Atomics on integers of 32 and 64 bits, as in CUDA; float atomics are omitted deliberately: their
// order of sums is not fixed.
template <class T>
concept AtomicWord = std::is_integral_v<T> &&(sizeof(T) == 4 || sizeof(T) == 8);

template <AtomicWord T>
T atomicAdd(T* word, std::type_identity_t<T> value) {
  return __atomic_fetch_add(word, value, __ATOMIC_RELAXED);
}
template <AtomicWord T>
T atomicSub(T* word, std::type_identity_t<T> value) {
  return __atomic_fetch_sub(word, value, __ATOMIC_RELAXED);
}
template <AtomicWord T>
T atomicAnd(T* word, std::type_identity_t<T> value) {
  return __atomic_fetch_and(word, value, __ATOMIC_RELAXED);
}
template <AtomicWord T>
T atomicOr(T* word, std::type_identity_t<T> value) {
  return __atomic_fetch_or(word, value, __ATOMIC_RELAXED);
}
template <AtomicWord T>
T atomicExch(T* word, std::type_identity_t<T> value) {
  return __atomic_exchange_n(word, value, __ATOMIC_RELAXED);
}
template <AtomicWord T>
T atomicCAS(T* word, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  __atomic_compare_exchange_n(word, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;
}
template <AtomicWord T>
T atomicMin(T* word, std::type_identity_t<T> value) {
  return ::trireme::emulation::atomic_update<T>(
      word, value, [](T a, T b) { return a < b ? a : b; });
}
template <AtomicWord T>
T atomicMax(T* word, std::type_identity_t<T> value) {
  return ::trireme::emulation::atomic_update<T>(
      word, value, [](T a, T b) { return a > b ? a : b; });
}

template <class To, class From>
To trireme_bits(From value) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, value);
}
inline unsigned __float_as_uint(float value) { return trireme_bits<unsigned>(value); }
inline int __float_as_int(float value) { return trireme_bits<int>(value); }
inline float __uint_as_float(unsigned value) { return trireme_bits<float>(value); }
inline float __int_as_float(int value) { return trireme_bits<float>(value); }
template <class T>
T __ldg(const T* word) {
  return *word;
}

inline int __popc(unsigned value) { return __builtin_popcount(value); }
inline int __popcll(unsigned long long value) { return __builtin_popcountll(value); }
inline int __clz(int value) {
  return value == 0 ? 32 : __builtin_clz(static_cast<unsigned>(value));
}
inline int __clzll(long long value) {
  return value == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(value));
}
inline int __ffs(int value) { return __builtin_ffs(value); }
inline int __ffsll(long long value) { return __builtin_ffsll(value); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((uint64_t{a} * b) >> 32);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>((static_cast<unsigned __int128>(a) * b) >> 64);
}

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline int __float2int_rn(float a) { return static_cast<int>(std::nearbyint(a)); }
inline int __float2int_rz(float a) { return static_cast<int>(a); }
inline float rsqrtf(float a) { return 1.0f / std::sqrt(a); }
// Macros, since the C library declares functions of these names without defining them.
#define __expf(x) (::expf(x))
#define __logf(x) (::logf(x))
#define __log2f(x) (::log2f(x))
#define __sinf(x) (::sinf(x))
#define __cosf(x) (::cosf(x))

constexpr int min(int a, int b) { return b < a ? b : a; }
constexpr int max(int a, int b) { return a < b ? b : a; }
constexpr unsigned min(unsigned a, unsigned b) { return b < a ? b : a; }
constexpr unsigned max(unsigned a, unsigned b) { return a < b ? b : a; }
constexpr long min(long a, long b) { return b < a ? b : a; }
constexpr long max(long a, long b) { return a < b ? b : a; }
constexpr unsigned long min(unsigned long a, unsigned long b) { return b < a ? b : a; }
constexpr unsigned long max(unsigned long a, unsigned long b) { return a < b ? b : a; }
constexpr long long min(long long a, long long b) { return b < a ? b : a; }
constexpr long long max(long long a, long long b) { return a < b ? b : a; }
inline float min(float a, float b) { return std::fmin(a, b); }
inline float max(float a, float b) { return std::fmax(a, b); }

// NOLINTEND(bugprone-reserved-identifier)
