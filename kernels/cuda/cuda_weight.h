// A matmul weight on the GPU: [n_padded][k_padded] of 16-bit elements, K contiguous, padding zero.
// n is padded to kRowPad, k to kColumnPad, so that every load is whole and aligned.
//
// kGateUp: rows of gate and up are interleaved by 8: packed row 16 i + j is gate row 8 i + j for j
// < 8, else up row 8 i + j - 8; so the accumulators of one warp hold a gate and its up.
#pragma once

#include <cstdint>

#include "base/cuda_memory.h"
#include "kernels/buffer.h"
#include "kernels/weight.h"

namespace trireme::cuda {

constexpr int64_t kRowPad = kCudaRowPad;
constexpr int64_t kColumnPad = kCudaColumnPad;

constexpr int64_t pad_to(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

class CudaWeight final : public Weight {
 public:
  CudaWeight(Buffer memory, int64_t n, int64_t k, WeightLayout layout)
      : memory_(std::move(memory)), n_(n), k_(k), layout_(layout) {}

  int64_t n() const override { return n_; }
  int64_t k() const override { return k_; }
  int64_t bytes() const override { return memory_.bytes(); }

  WeightLayout layout() const { return layout_; }
  int64_t padded_n() const { return pad_to(n_, kRowPad); }
  int64_t padded_k() const { return pad_to(k_, kColumnPad); }
  const uint16_t* data() const { return reinterpret_cast<const uint16_t*>(memory_.data()); }

 private:
  Buffer memory_;
  int64_t n_;
  int64_t k_;
  WeightLayout layout_;
};

}  // namespace trireme::cuda
