#include <cstring>

#include "base/check.h"
#include "kernels/cpu/backend.h"

namespace trireme {

void CpuBackend::gather_rows(Queue&, Tensor in, const int32_t* rows, Tensor out) {
  CHECK(in.dtype == out.dtype && in.columns == out.columns);
  const int64_t unit = size_of(in.dtype);
  for (int64_t i = 0; i < out.rows; ++i) {
    std::byte* target = out.data + i * out.row_stride * unit;
    const int64_t row = rows == nullptr ? i : rows[i];
    if (row < 0) {
      std::memset(target, 0, out.columns * unit);
      continue;
    }
    std::memcpy(target, in.data + row * in.row_stride * unit, in.columns * unit);
  }
}

void CpuBackend::add(Queue&, Tensor accumulator, Tensor other) {
  CHECK(accumulator.rows == other.rows && accumulator.columns == other.columns);
  for (int64_t row = 0; row < accumulator.rows; ++row) {
    float* target = accumulator.row<float>(row);
    const float* source = other.row<float>(row);
    for (int64_t i = 0; i < accumulator.columns; ++i) target[i] += source[i];
  }
}

void CpuBackend::copy_pages(
    Queue&, const KvPages& pages, const int32_t* from, const int32_t* to, int32_t count) {
  for (int32_t i = 0; i < count; ++i) {
    for (int32_t layer = 0; layer < pages.num_layers; ++layer) {
      for (int32_t head = 0; head < pages.num_heads; ++head) {
        std::memcpy(
            pages.block(to[i], layer, head), pages.block(from[i], layer, head), pages.head_stride);
      }
    }
  }
}

void CpuBackend::feed_ids(Queue&, const BatchView& batch, const int32_t* last, int32_t* token_ids) {
  for (int32_t row = 0; row < batch.num_tokens; ++row) {
    const int32_t slot = batch.slots[row];
    if (slot >= 0 && token_ids[row] < 0) token_ids[row] = last[slot];
  }
}

void CpuBackend::update_table(Queue&, int32_t* table, const int32_t* changes, int32_t max_changes) {
  CHECK(changes[0] >= 0 && changes[0] <= max_changes);
  for (int32_t i = 0; i < changes[0]; ++i) table[changes[1 + 2 * i]] = changes[2 + 2 * i];
}

void CpuBackend::keep_ids(Queue&,
                          const int32_t* ids,
                          const int32_t* slots,
                          const int32_t* places,
                          int32_t count,
                          const SlotIds& kept) {
  for (int32_t i = 0; i < count; ++i) {
    if (slots[i] < 0 || ids[i] < 0) continue;
    kept.last[slots[i]] = ids[i];
    if (kept.history == nullptr || places[i] < 0) continue;
    CHECK(places[i] < kept.history_stride);
    kept.history[slots[i] * kept.history_stride + places[i]] = ids[i];
  }
}

}  // namespace trireme
