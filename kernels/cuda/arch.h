// GPU instructions that C++ has no name for: the only file with inline PTX (nvcc, sm_80 and up). A
// build for the emulated device finds a header of the same path first, with the same functions in
// plain C++ (kernels/emulation/). Standard CUDA C++ (threadIdx, __syncthreads, __shfl_xor_sync,
// atomicAdd) is used directly; the emulation provides it under the same names.
//
// Shared memory is always dynamic and taken with shared_memory<Layout>(): one struct per kernel,
// whose size goes into LaunchConfig::shared_bytes. `__shared__` variables are not used.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/arch_types.h"

namespace trireme::cuda {

// The block's dynamic shared memory, aligned to 1024 bytes.
template <class Layout>
__device__ __forceinline__ Layout& shared_memory() {
  extern __shared__ __align__(1024) unsigned char trireme_shared_memory[];
  return *reinterpret_cast<Layout*>(trireme_shared_memory);
}

__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// Two floats as two elements of E, the first in the low half; rounded to nearest even.
template <class E>
__device__ __forceinline__ uint32_t pack2(float low, float high);
template <>
__device__ __forceinline__ uint32_t pack2<Bf16>(float low, float high) {
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}
template <>
__device__ __forceinline__ uint32_t pack2<Fp16>(float low, float high) {
  uint32_t packed;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}
template <class E>
__device__ __forceinline__ float2 unpack2(uint32_t packed);
template <>
__device__ __forceinline__ float2 unpack2<Bf16>(uint32_t packed) {
  return {__uint_as_float(packed << 16), __uint_as_float(packed & 0xffff0000u)};
}
template <>
__device__ __forceinline__ float2 unpack2<Fp16>(uint32_t packed) {
  float low, high;
  asm("{.reg .b16 l, h;\n mov.b32 {l, h}, %2;\n cvt.f32.f16 %0, l;\n cvt.f32.f16 %1, h;}"
      : "=f"(low), "=f"(high)
      : "r"(packed));
  return {low, high};
}

template <class E>
__device__ __forceinline__ uint16_t narrow(float value) {
  return static_cast<uint16_t>(pack2<E>(value, 0.0f));
}
template <class E>
__device__ __forceinline__ float widen(uint16_t value) {
  return unpack2<E>(value).x;
}

// D = A B + D of one warp, fp32 sums: A 16 x 16 (rows), B 16 x 8 (columns), D 16 x 8.
// Lane l holds, with g = l / 4 and q = l % 4:
//   a[0] = A[g][2q..2q+1], a[1] = A[g+8][2q..], a[2] = A[g][2q+8..], a[3] = A[g+8][2q+8..];
//   b[0] = B[2q..2q+1][g], b[1] = B[2q+8..][g];  d = D[g][2q], D[g][2q+1], D[g+8][2q],
//   D[g+8][2q+1].
template <class E>
__device__ __forceinline__ void mma_16x8x16(float (&d)[4],
                                            const uint32_t (&a)[4],
                                            const uint32_t (&b)[2]);
template <>
__device__ __forceinline__ void mma_16x8x16<Bf16>(float (&d)[4],
                                                  const uint32_t (&a)[4],
                                                  const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <>
__device__ __forceinline__ void mma_16x8x16<Fp16>(float (&d)[4],
                                                  const uint32_t (&a)[4],
                                                  const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Loads four 8 x 8 matrices of 16-bit elements from shared memory. Lane l gives the address of row
// l % 8 of matrix l / 8 (16 bytes, aligned) and gets elements [l/4][2(l%4)..+1] of matrix i in
// r[i]; transposed: [2(l%4)..+1][l/4].
__device__ __forceinline__ void load_matrices(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// Copies 16 bytes from global to shared memory, both 16-byte aligned. Only the first `source_bytes`
// (0 to 16) are read, the rest becomes zero. The target is undefined until copy_async_wait().
__device__ __forceinline__ void copy_async_16(void* shared,
                                              const void* global,
                                              int32_t source_bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
               "l"(__cvta_generic_to_global(global)),
               "r"(source_bytes)
               : "memory");
}
// Ends a group of copies of this thread.
__device__ __forceinline__ void copy_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// Waits until at most `kPending` of this thread's youngest groups are pending. Other threads see
// the copied bytes after a barrier.
template <int kPending>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// Loads 16 bytes that are read once, bypassing L1.
__device__ __forceinline__ uint4 load_once(const void* global) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(__cvta_generic_to_global(global)));
  return v;
}

// 2^x to 2 ulp; -inf gives 0.
__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Barrier `id` (1 to 15; 0 is __syncthreads()) of `threads` threads of the block, whole warps.
__device__ __forceinline__ void named_barrier(int32_t id, int32_t threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// Words that other GPUs or the host read and write.
__device__ __forceinline__ uint32_t load_acquire_system(const uint32_t* word) {
  uint32_t value;
  asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(value) : "l"(word) : "memory");
  return value;
}
__device__ __forceinline__ void store_release_system(uint32_t* word, uint32_t value) {
  asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(word), "r"(value) : "memory");
}
__device__ __forceinline__ void store_release_system(uint64_t* word, uint64_t value) {
  asm volatile("st.release.sys.global.u64 [%0], %1;" ::"l"(word), "l"(value) : "memory");
}
// Plain stores to memory that other GPUs or the host read, and plain loads of it. They see a store
// once this thread, or one that has met it at a barrier of the block, releases (by the functions
// above or __threadfence_system()), or once the kernel has ended. Other blocks of this rank see it
// no sooner.
template <class T>
__device__ __forceinline__ void store_peer(T* to, const T& value) {
  *to = value;
}
template <class T>
__device__ __forceinline__ T load_peer(const T* from) {
  return *from;
}
// A plain store to memory that other blocks of this launch read, by plain loads. A block sees it
// once the storing thread, or one that has met it at a barrier of its block, has released, and the
// reading thread, or one that it has met since, has acquired. Other kernels see it once this one
// has ended. In shared memory it is a store as any other.
template <class T>
__device__ __forceinline__ void store_grid(T* to, const T& value) {
  *to = value;
}
// Words that other blocks of this launch read and write.
__device__ __forceinline__ uint32_t add_acquire_release(uint32_t* word, uint32_t value) {
  uint32_t before;
  asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(word), "r"(value)
               : "memory");
  return before;
}

// Nanoseconds of a clock shared by all SMs; for limits of a spin.
__device__ __forceinline__ uint64_t clock_ns() {
  uint64_t now;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
  return now;
}

// Every kernel calls this before its first access to memory that another kernel uses: a
// programmatic launch starts before its predecessor has ended. A no-op in other launches.
__device__ __forceinline__ void dependency_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
// From here on the successor may start. For programmatic launches, which no op uses (launch.h).
__device__ __forceinline__ void dependency_release() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

}  // namespace trireme::cuda
