// A matmul weight in panels of 32 output columns over all of k (tier.h), packed once at load.
#pragma once

#include <span>
#include <vector>

#include "base/status.h"
#include "kernels/buffer.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/tensor.h"
#include "kernels/weight.h"

namespace trireme {

class CpuWeight final : public Weight {
 public:
  // Computes sizes; fill() allocates. Leaves are padded to a multiple of 2 (bf16) or 1 (fp32)
  // elements, columns to whole panels.
  CpuWeight(int64_t n, int64_t k, const WeightSpec& spec, DType dtype);

  int64_t n() const override { return n_; }
  int64_t k() const override { return k_; }
  int64_t bytes() const override { return num_panels_ * panel_elements_ * size_of(dtype_); }

  // Allocates and fills the panels from host parts ([n_i, k]: bf16, fp16 or fp32). TRI-MEM-001.
  Status fill(std::span<const Tensor> parts, ThreadPool& pool);
  // Writes row `row` of the weight to out[0 .. k) as fp32.
  void read_row(int64_t row, float* out) const;

  bool is_gate_up() const { return layout_ == WeightLayout::kGateUp; }
  DType dtype() const { return dtype_; }
  int64_t num_panels() const { return num_panels_; }
  int64_t panel_elements() const { return panel_elements_; }
  const std::byte* panels() const { return panels_.data(); }
  const std::vector<int64_t>& leaf_ends() const { return leaf_ends_; }  // logical
  const std::vector<int64_t>& padded_ends() const { return padded_ends_; }
  bool needs_padded_input() const { return padded_ends_ != leaf_ends_; }
  int64_t padded_k() const { return padded_ends_.back(); }
  // Index in panel order of logical output column `column`.
  int64_t panel_column(int64_t column) const;

 private:
  void fill_panel(std::span<const Tensor> parts, int64_t panel);

  int64_t n_;
  int64_t k_;
  WeightLayout layout_;
  DType dtype_;
  std::vector<int64_t> leaf_ends_;
  std::vector<int64_t> padded_ends_;
  int64_t num_panels_ = 0;
  int64_t panel_elements_ = 0;
  Buffer panels_;
};

}  // namespace trireme
