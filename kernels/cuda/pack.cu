// CudaBackend::pack: host tensors to the layout of cuda_weight.h.
//
//   packed[row, :] = round(part[source_row(row), :]), zero where padded; to nearest even
//
// Layout: cuda_weight.h. The host converts one piece while the previous one is copied to the device
// (weight_stream.h).
//
// Bound: the bytes of the checkpoint, from disk or over PCIe. Share of peak: not yet measured.

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/cuda/backend.h"

namespace trireme::cuda {

namespace {

constexpr int64_t kGateGroup = 8;  // rows of gate, then as many of up

// The row of a part that a packed row holds; row -1: padding.
struct SourceRow {
  const Tensor* part = nullptr;
  int64_t row = -1;
};

SourceRow source_of(std::span<const Tensor> parts, WeightLayout layout, int64_t packed_row) {
  if (layout == WeightLayout::kGateUp) {
    const Tensor& part = parts[packed_row / kGateGroup % 2];
    const int64_t row = packed_row / (2 * kGateGroup) * kGateGroup + packed_row % kGateGroup;
    return row < part.rows ? SourceRow{&part, row} : SourceRow{};
  }
  int64_t row = packed_row;
  for (const Tensor& part : parts) {
    if (row < part.rows) return {&part, row};
    row -= part.rows;
  }
  return {};
}

uint16_t narrow(float value, DType type) {
  return type == DType::kBFloat16 ? float_to_bf16(value) : float_to_fp16(value);
}

// Converts columns [first, first + count) of a part's row to elements of `type`.
void convert(const SourceRow& source, int64_t first, int64_t count, DType type, uint16_t* to) {
  const DType from = source.part->dtype;
  if (from == type) {
    std::memcpy(to, source.part->row<uint16_t>(source.row) + first, count * sizeof(uint16_t));
  } else if (from == DType::kFloat32) {
    const float* values = source.part->row<float>(source.row) + first;
    for (int64_t i = 0; i < count; ++i) to[i] = narrow(values[i], type);
  } else if (from == DType::kBFloat16) {
    const bf16_t* values = source.part->row<bf16_t>(source.row) + first;
    for (int64_t i = 0; i < count; ++i) to[i] = narrow(bf16_to_float(values[i]), type);
  } else {
    const fp16_t* values = source.part->row<fp16_t>(source.row) + first;
    for (int64_t i = 0; i < count; ++i) to[i] = narrow(fp16_to_float(values[i]), type);
  }
}

// Writes packed elements [first, first + count), a range that may begin and end inside a row.
void fill_packed(std::span<const Tensor> parts,
                 const CudaWeight& weight,
                 DType type,
                 int64_t first,
                 int64_t count,
                 uint16_t* to) {
  const int64_t width = weight.padded_k();
  const int64_t end = first + count;
  for (int64_t at = first; at < end;) {
    const int64_t column = at % width;
    const int64_t piece = std::min(width - column, end - at);
    const SourceRow source = source_of(parts, weight.layout(), at / width);
    const int64_t held = source.row < 0 ? 0 : std::clamp<int64_t>(weight.k() - column, 0, piece);
    if (held > 0) convert(source, column, held, type, to);
    std::fill(to + held, to + piece, uint16_t{0});
    to += piece;
    at += piece;
  }
}

void check_parts(std::span<const Tensor> parts, WeightLayout layout) {
  CHECK(!parts.empty());
  for (const Tensor& part : parts) {
    CHECK(part.columns == parts[0].columns && part.columns > 0);
    CHECK_THAT(part.dtype == DType::kFloat32 || part.dtype == DType::kBFloat16 ||
                   part.dtype == DType::kFloat16,
               "a weight must be stored as bf16, fp16 or fp32");
  }
  const bool is_gate_up = layout == WeightLayout::kGateUp;
  CHECK(!is_gate_up || (parts.size() == 2 && parts[0].rows == parts[1].rows));
}

}  // namespace

// spec.leaf_ends is ignored: leaves order the sums of the CPU backend only (docs/numerics.md).
StatusOr<std::unique_ptr<Weight>> CudaBackend::pack(std::span<const Tensor> parts,
                                                    const WeightSpec& spec) {
  check_parts(parts, spec.layout);
  int64_t n = 0;
  for (const Tensor& part : parts) n += part.rows;
  const int64_t k = parts[0].columns;
  if (weight_stream_ == nullptr) {
    ASSIGN_OR_RETURN(weight_stream_, WeightStream::make(lane_->stream()));
  }
  ASSIGN_OR_RETURN(Buffer memory, allocate(packed_bytes(n, k, spec), "a weight"));
  auto* const device = reinterpret_cast<uint16_t*>(memory.data());
  auto weight = std::make_unique<CudaWeight>(std::move(memory), n, k, spec.layout);
  const auto fill = [&](int64_t first, int64_t count, uint16_t* to) {
    fill_packed(parts, *weight, options_.dtype, first, count, to);
  };
  RETURN_IF_ERROR(weight_stream_->write(device, weight->padded_n() * weight->padded_k(), fill));
  return StatusOr<std::unique_ptr<Weight>>(std::move(weight));
}

// The last tile of a part may read up to kRowPad - 1 rows past it: rows of other parts, or the
// spare ones.
std::unique_ptr<Weight> CudaBackend::rows_of(const Weight& weight,
                                             int64_t first,
                                             int64_t count) const {
  static_assert(kSpareRows >= kRowPad);
  const auto& whole = static_cast<const CudaWeight&>(weight);
  const int64_t row_bytes = whole.padded_k() * int64_t{sizeof(uint16_t)};
  CHECK(whole.layout() == WeightLayout::kRows && first >= 0 && first + count <= whole.n());
  CHECK((first + pad_to(count, kRowPad)) * row_bytes <= whole.bytes());
  auto* const data = reinterpret_cast<std::byte*>(const_cast<uint16_t*>(whole.data()));
  Buffer part(data + first * row_bytes, count * row_bytes, [](std::byte*, int64_t) {});
  return std::make_unique<CudaWeight>(std::move(part), count, whole.k(), WeightLayout::kRows);
}

int64_t CudaBackend::packed_bytes(int64_t n, int64_t k, const WeightSpec& spec) const {
  return pad_to(n + spec.spare_rows, kRowPad) * pad_to(k, kColumnPad) * int64_t{sizeof(uint16_t)};
}

}  // namespace trireme::cuda
