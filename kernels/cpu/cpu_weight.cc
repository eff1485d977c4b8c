#include "kernels/cpu/cpu_weight.h"

#include "base/check.h"
#include "kernels/cpu/cpu_memory.h"
#include "kernels/cpu/tiers/tier.h"

namespace trireme {

namespace {

constexpr int64_t kGateColumns = kPanelColumns / 2;

float element(const Tensor& tensor, int64_t row, int64_t column) {
  switch (tensor.dtype) {
    case DType::kFloat32:
      return tensor.row<float>(row)[column];
    case DType::kBFloat16:
      return bf16_to_float(tensor.row<bf16_t>(row)[column]);
    case DType::kFloat16:
      return fp16_to_float(tensor.row<fp16_t>(row)[column]);
    default:
      CHECK_THAT(false, "a weight must be stored as bf16, fp16 or fp32");
  }
}

}  // namespace

CpuWeight::CpuWeight(int64_t n, int64_t k, const WeightSpec& spec, DType dtype)
    : n_(n), k_(k), layout_(spec.layout), dtype_(dtype), leaf_ends_(spec.leaf_ends) {
  if (leaf_ends_.empty()) leaf_ends_ = {k};
  const auto leaves = static_cast<int64_t>(leaf_ends_.size());
  CHECK(leaf_ends_.back() == k && leaves <= kMaxLeaves && (leaves & (leaves - 1)) == 0);
  const int64_t granule = dtype == DType::kBFloat16 ? 2 : 1;
  int64_t begin = 0;
  int64_t padded = 0;
  for (const int64_t end : leaf_ends_) {
    CHECK(end >= begin);
    padded += (end - begin + granule - 1) / granule * granule;
    padded_ends_.push_back(padded);
    begin = end;
  }
  const int64_t columns = is_gate_up() ? n / 2 : n;
  const int64_t in_panel = is_gate_up() ? kGateColumns : kPanelColumns;
  num_panels_ = (columns + in_panel - 1) / in_panel;
  panel_elements_ = padded * kPanelColumns;
}

int64_t CpuWeight::panel_column(int64_t column) const {
  if (!is_gate_up()) return column;
  const int64_t half = n_ / 2;
  const int64_t logical = column % half;
  const int64_t offset = column < half ? 0 : kGateColumns;
  return logical / kGateColumns * kPanelColumns + offset + logical % kGateColumns;
}

Status CpuWeight::fill(std::span<const Tensor> parts, ThreadPool& pool) {
  ASSIGN_OR_RETURN(panels_, allocate_memory(bytes(), "a weight"));
  const auto fill_share = [&](int member, int num_members) {
    const int64_t end = num_panels_ * (member + 1) / num_members;
    for (int64_t panel = num_panels_ * member / num_members; panel < end; ++panel) {
      fill_panel(parts, panel);
    }
  };
  pool.run(fill_share);
  return ok_status();
}

// Source part and row of `column` of a panel; row -1: padding.
struct SourceRow {
  const Tensor* part = nullptr;
  int64_t row = -1;
};

static SourceRow source_of(std::span<const Tensor> parts,
                           bool is_gate_up,
                           int64_t panel,
                           int64_t column) {
  if (is_gate_up) {
    const Tensor& part = parts[column / kGateColumns];
    const int64_t row = panel * kGateColumns + column % kGateColumns;
    return row < part.rows ? SourceRow{&part, row} : SourceRow{};
  }
  int64_t row = panel * kPanelColumns + column;
  for (const Tensor& part : parts) {
    if (row < part.rows) return {&part, row};
    row -= part.rows;
  }
  return {};
}

void CpuWeight::fill_panel(std::span<const Tensor> parts, int64_t panel) {
  const bool is_bf16 = dtype_ == DType::kBFloat16;
  auto* panel_bf16 = reinterpret_cast<bf16_t*>(panels_.data()) + panel * panel_elements_;
  auto* panel_f32 = reinterpret_cast<float*>(panels_.data()) + panel * panel_elements_;
  for (int64_t column = 0; column < kPanelColumns; ++column) {
    const SourceRow source = source_of(parts, is_gate_up(), panel, column);
    if (source.row < 0) continue;  // the memory is zero
    int64_t begin = 0;
    int64_t at = 0;
    for (size_t leaf = 0; leaf < leaf_ends_.size(); ++leaf) {
      for (int64_t k = begin; k < leaf_ends_[leaf]; ++k, ++at) {
        const float value = element(*source.part, source.row, k);
        if (is_bf16) {
          panel_bf16[(at / 2) * 2 * kPanelColumns + column * 2 + at % 2] = float_to_bf16(value);
        } else {
          panel_f32[at * kPanelColumns + column] = value;
        }
      }
      begin = leaf_ends_[leaf];
      at = padded_ends_[leaf];
    }
  }
}

void CpuWeight::read_row(int64_t row, float* out) const {
  CHECK(!is_gate_up() && leaf_ends_.size() == 1);
  const int64_t panel = row / kPanelColumns;
  const int64_t column = row % kPanelColumns;
  if (dtype_ == DType::kBFloat16) {
    const auto* data = reinterpret_cast<const bf16_t*>(panels_.data()) + panel * panel_elements_;
    for (int64_t k = 0; k < k_; ++k) {
      out[k] = bf16_to_float(data[(k / 2) * 2 * kPanelColumns + column * 2 + k % 2]);
    }
    return;
  }
  const auto* data = reinterpret_cast<const float*>(panels_.data()) + panel * panel_elements_;
  for (int64_t k = 0; k < k_; ++k) out[k] = data[k * kPanelColumns + column];
}

}  // namespace trireme
