// A paged cache and its batches for the tests of qkv_finish and attention. Pages start as NaN, lie
// scattered, and several slots grow at once; rows come as one qkv matrix a slot.
#pragma once

#include "tests/kernels/op_fixture.h"

namespace trireme {

// Tokens [start, start + count) of a slot, taken from rows of that slot's qkv matrix.
struct Segment {
  int32_t slot = 0;
  int32_t start = 0;
  int32_t count = 0;
};

class CacheTest : public OpTest {
 protected:
  static constexpr int32_t kSlots = 3;
  static constexpr int32_t kLayers = 2;

  void make_cache(const HeadShape& shape) {
    pages_.layout = backend->kv_layout(shape.head_dim);
    pages_.num_pages = kSlots * pages_per_slot;
    pages_.num_layers = kLayers;
    pages_.num_heads = shape.num_kv_heads;
    pages_.head_stride = pages_.layout.block_bytes();
    pages_.layer_stride = pages_.head_stride * pages_.num_heads;
    pages_.page_stride = pages_.layer_stride * kLayers;
    const std::vector<std::byte> poison(pages_.num_pages * pages_.page_stride, std::byte{0xff});
    cache_ = backend->allocate(static_cast<int64_t>(poison.size()), "pages").value();
    backend->upload(*queue, cache_.data(), poison);
    pages_.base = cache_.data();
    table_.clear();
    for (int32_t i = 0; i < pages_.num_pages; ++i) {
      table_.push_back(static_cast<int32_t>((i * page_step + 5) % pages_.num_pages));
    }
  }

  BatchView batch_of(const std::vector<Segment>& segments) {
    std::vector<int32_t> positions, slots, starts = {0};
    for (const Segment& segment : segments) {
      for (int32_t i = 0; i < segment.count; ++i) {
        positions.push_back(segment.start + i);
        slots.push_back(segment.slot);
      }
      starts.push_back(static_cast<int32_t>(positions.size()));
    }
    BatchView batch;
    batch.num_tokens = static_cast<int32_t>(positions.size());
    batch.num_segments = static_cast<int32_t>(segments.size());
    batch.positions = put(positions);
    batch.slots = put(slots);
    batch.segment_starts = put(starts);
    batch.page_table = put(table_);
    batch.page_table_stride = pages_per_slot;
    return batch;
  }

  // The segments' rows of the slots' matrices, one below the other.
  static Matrix rows_of(const std::vector<Segment>& segments, const std::vector<Matrix>& slots) {
    int64_t count = 0;
    for (const Segment& segment : segments) count += segment.count;
    Matrix rows(slots[0].dtype(), count, slots[0].columns());
    int64_t at = 0;
    for (const Segment& segment : segments) {
      for (int32_t i = 0; i < segment.count; ++i, ++at) {
        for (int64_t c = 0; c < rows.columns(); ++c) {
          rows.set(at, c, slots[segment.slot].at(segment.start + i, c));
        }
      }
    }
    return rows;
  }

  // qkv_finish alone; returns q.
  Matrix finish(const std::vector<Segment>& segments,
                const std::vector<Matrix>& slots,
                const QkvSpec& spec) {
    reset();
    const Matrix qkv = rows_of(segments, slots);
    Matrix q(DType::kFloat32, qkv.rows(), spec.shape.num_heads * spec.shape.head_dim);
    const Tensor placed = put(q);
    backend->qkv_finish(*queue, batch_of(segments), put(qkv), spec, pages_, 1, placed);
    get(placed, q);
    return q;
  }

  Matrix attend(const std::vector<Segment>& segments, const Matrix& q, const AttentionSpec& spec) {
    reset();
    Matrix out(input(), q.rows(), q.columns());
    const Tensor placed = put(out);
    const BatchView batch = batch_of(segments);
    const int64_t plan_bytes =
        backend->attention_plan_bytes(batch.num_tokens, std::max(1, batch.num_segments));
    const AttentionPlan plan = {put(std::vector<std::byte>(plan_bytes))};
    backend->plan_attention(*queue, batch, spec, pages_, plan);
    backend->attention(*queue, workspace, batch, put(q), spec, plan, pages_, 1, placed);
    get(placed, out);
    return out;
  }

  // Values as a page keeps them.
  double kept(double value) const {
    const float narrow = static_cast<float>(value);
    return input() == DType::kFloat32 ? narrow : bf16_to_float(float_to_bf16(narrow));
  }

  int32_t pages_per_slot = 8;
  int32_t page_step = 7;  // between neighbours of a slot; shares no factor with the number of pages
  KvPages pages_;
  std::vector<int32_t> table_;

 private:
  Buffer cache_;
};

}  // namespace trireme
