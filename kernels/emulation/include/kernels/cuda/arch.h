// The functions of kernels/cuda/arch.h for the emulated device, in plain C++. The include path
// finds this file under that path before the real one, as it does the CUDA headers beside it.
#pragma once

#include <cuda_runtime.h>

#include <bit>
#include <chrono>
#include <cstdint>

#include "base/dtype.h"
#include "kernels/cuda/arch_types.h"

namespace trireme::emulation {

// The last lane to arrive computes for all lanes. A wrong alignment, or an address outside shared
// memory, ends the process.
void load_matrices(uint32_t (&r)[4], const void* row, bool is_transposed);
void multiply_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
void multiply_fp16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
void check_aligned(const void* pointer, const char* operation);

}  // namespace trireme::emulation

namespace trireme::cuda {

template <class Layout>
__forceinline__ Layout& shared_memory() {
  return *reinterpret_cast<Layout*>(emulation::running_block().shared_memory(sizeof(Layout)));
}

template <class E>
uint32_t pack2(float low, float high);
template <>
inline uint32_t pack2<Bf16>(float low, float high) {
  return float_to_bf16(low) | static_cast<uint32_t>(float_to_bf16(high)) << 16;
}
template <>
inline uint32_t pack2<Fp16>(float low, float high) {
  return float_to_fp16(low) | static_cast<uint32_t>(float_to_fp16(high)) << 16;
}
template <class E>
float2 unpack2(uint32_t packed);
template <>
inline float2 unpack2<Bf16>(uint32_t packed) {
  return {std::bit_cast<float>(packed << 16), std::bit_cast<float>(packed & 0xffff0000u)};
}
template <>
inline float2 unpack2<Fp16>(uint32_t packed) {
  return {fp16_to_float(static_cast<fp16_t>(packed)),
          fp16_to_float(static_cast<fp16_t>(packed >> 16))};
}

template <class E>
uint16_t narrow(float value) {
  return static_cast<uint16_t>(pack2<E>(value, 0.0f));
}
template <class E>
float widen(uint16_t value) {
  return unpack2<E>(value).x;
}

template <class E>
void mma_16x8x16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
template <>
inline void mma_16x8x16<Bf16>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  emulation::multiply_bf16(d, a, b);
}
template <>
inline void mma_16x8x16<Fp16>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  emulation::multiply_fp16(d, a, b);
}

inline void load_matrices(uint32_t (&r)[4], const void* row) {
  emulation::load_matrices(r, row, false);
}
inline void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  emulation::load_matrices(r, row, true);
}

inline void copy_async_16(void* shared, const void* global, int32_t source_bytes = 16) {
  emulation::running_block().start_copy(
      {static_cast<std::byte*>(shared), static_cast<const std::byte*>(global), source_bytes});
}
inline void copy_async_commit() { emulation::running_block().end_copy_group(); }
template <int kPending>
void copy_async_wait() {
  emulation::running_block().finish_copies(kPending);
}

inline uint4 load_once(const void* global) {
  emulation::check_aligned(global, "load_once");
  return *static_cast<const uint4*>(global);
}

inline float exp2_fast(float x) { return emulation::exp2_flushed(x); }

inline void named_barrier(int32_t id, int32_t threads) {
  emulation::running_block().barrier(id, threads);
}

// A load of a word that another GPU or the host may change counts as a turn of a spin: other
// threads run.
inline uint32_t load_acquire_system(const uint32_t* word) {
  emulation::running_block().spin();
  const uint32_t value = __atomic_load_n(word, __ATOMIC_ACQUIRE);
  emulation::running_block().acquire_stores();
  return value;
}
inline void store_release_system(uint32_t* word, uint32_t value) {
  emulation::running_block().release_stores(emulation::Scope::kSystem);
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
inline void store_release_system(uint64_t* word, uint64_t value) {
  emulation::running_block().release_stores(emulation::Scope::kSystem);
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
template <class T>
void store_peer(T* to, const T& value) {
  static_assert(sizeof(T) <= emulation::DelayedStores::kMaxBytes);
  emulation::running_block().store_delayed(to, &value, sizeof(T), emulation::Scope::kSystem);
}
template <class T>
T load_peer(const T* from) {
  T value;
  emulation::running_block().load_peer(from, &value, sizeof(T));
  return value;
}
template <class T>
void store_grid(T* to, const T& value) {
  static_assert(sizeof(T) <= emulation::DelayedStores::kMaxBytes);
  emulation::running_block().store_delayed(to, &value, sizeof(T), emulation::Scope::kDevice);
}
inline uint32_t add_acquire_release(uint32_t* word, uint32_t value) {
  emulation::running_block().release_stores(emulation::Scope::kDevice);
  const uint32_t before = __atomic_fetch_add(word, value, __ATOMIC_ACQ_REL);
  emulation::running_block().acquire_stores();
  return before;
}

inline uint64_t clock_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::nanoseconds(now).count());
}

inline void dependency_wait() { emulation::running_block().dependency_wait(); }
inline void dependency_release() {}

}  // namespace trireme::cuda
