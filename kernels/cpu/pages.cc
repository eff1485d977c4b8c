#include <cstring>

#include "base/check.h"
#include "kernels/cpu/backend.h"

namespace trireme {

void CpuBackend::gather_rows(Queue&, Tensor in, std::span<const int32_t> rows, Tensor out) {
  CHECK(in.dtype == out.dtype && in.columns == out.columns);
  CHECK(out.rows >= static_cast<int64_t>(rows.size()));
  const int64_t unit = size_of(in.dtype);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(out.data + static_cast<int64_t>(i) * out.row_stride * unit,
                in.data + rows[i] * in.row_stride * unit,
                in.columns * unit);
  }
}

void CpuBackend::copy_pages(Queue&,
                            const KvPages& pages,
                            std::span<const int32_t> from,
                            std::span<const int32_t> to) {
  CHECK(from.size() == to.size());
  for (size_t i = 0; i < from.size(); ++i) {
    for (int32_t layer = 0; layer < pages.num_layers; ++layer) {
      for (int32_t head = 0; head < pages.num_heads; ++head) {
        std::memcpy(
            pages.block(to[i], layer, head), pages.block(from[i], layer, head), pages.head_stride);
      }
    }
  }
}

}  // namespace trireme
