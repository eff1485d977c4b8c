// Fixture of a paged cache and its batches, for the tests of qkv_finish and attention. Pages start
// as NaN and in scattered order, and several slots grow at once; each slot has one qkv matrix.
#pragma once

#include <numeric>

#include "kernels/cuda/page_image.h"
#include "tests/kernels/op_fixture.h"

namespace trireme {

// Tokens [start, start + count) of a slot, taken from rows of that slot's qkv matrix. Slot -1:
// padding at the end of the batch, which belongs to no segment.
struct Segment {
  int32_t slot = 0;
  int32_t start = 0;
  int32_t count = 0;
};

// Element `d` of K (or V) of token `token` in the block of a (page, layer, head).
inline double stored_element(
    const KvLayout& layout, const std::byte* block, bool is_v, int32_t token, int32_t d) {
  const std::byte* part = block + (is_v ? (layout.block_bytes() - layout.scale_bytes) / 2 : 0);
  int64_t place = 0;  // in elements
  if (layout.version == cuda::kKvLayoutVersion) {
    place = cuda::chunk_offset(token, d / 8, layout.unit) / 2 + d % 8;
  } else {
    place = is_v ? int64_t{token} * layout.head_dim + d : int64_t{d} * layout.page_tokens + token;
  }
  if (layout.dtype == DType::kFloat32) return reinterpret_cast<const float*>(part)[place];
  const uint16_t bits = reinterpret_cast<const uint16_t*>(part)[place];
  return layout.dtype == DType::kFloat16 ? fp16_to_float(bits) : bf16_to_float(bits);
}

class CacheTest : public OpTest {
 protected:
  static constexpr int32_t kSlots = 3;
  static constexpr int32_t kLayers = 2;

  void make_cache(const HeadShape& shape) {
    pages_.layout = backend->kv_layout(shape.head_dim);
    pages_per_slot_ = (tokens_per_slot + pages_.layout.page_tokens - 1) / pages_.layout.page_tokens;
    pages_.num_pages = kSlots * pages_per_slot_;
    while (std::gcd(pages_.num_pages, int64_t{page_step}) != 1) ++pages_.num_pages;
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
      const bool is_padding = segment.slot < 0;
      for (int32_t i = 0; i < segment.count; ++i) {
        positions.push_back(is_padding ? kNoPosition : segment.start + i);
        slots.push_back(segment.slot);
      }
      starts.push_back(is_padding ? starts.back() : static_cast<int32_t>(positions.size()));
    }
    BatchView batch;
    batch.num_tokens = static_cast<int32_t>(positions.size());
    batch.num_segments = static_cast<int32_t>(segments.size());
    batch.positions = put(positions);
    batch.slots = put(slots);
    batch.segment_starts = put(starts);
    batch.page_table = put(table_);
    batch.page_table_stride = pages_per_slot_;
    return batch;
  }

  // The rows of all segments, stacked.
  static Matrix rows_of(const std::vector<Segment>& segments, const std::vector<Matrix>& slots) {
    int64_t count = 0;
    for (const Segment& segment : segments) count += segment.count;
    Matrix rows(slots[0].dtype(), count, slots[0].columns());
    int64_t at = 0;
    for (const Segment& segment : segments) {
      for (int32_t i = 0; i < segment.count && segment.slot < 0; ++i) ++at;  // stays NaN
      for (int32_t i = 0; i < segment.count && segment.slot >= 0; ++i, ++at) {
        for (int64_t c = 0; c < rows.columns(); ++c) {
          rows.set(at, c, slots[segment.slot].at(segment.start + i, c));
        }
      }
    }
    return rows;
  }

  // Runs qkv_finish alone; returns q. `more`: of put(), for both matrices.
  Matrix finish(const std::vector<Segment>& segments,
                const std::vector<Matrix>& slots,
                const QkvSpec& spec,
                int64_t more = 0) {
    reset();
    const Matrix qkv = rows_of(segments, slots);
    Matrix q(wide(), qkv.rows(), spec.shape.num_heads * spec.shape.head_dim);
    const Tensor placed = put(q, more);
    backend->qkv_finish(*queue, batch_of(segments), put(qkv, more), spec, pages_, 1, placed);
    get(placed, q);
    return q;
  }

  AttentionPlan make_plan(const BatchView& batch, const AttentionSpec& spec) {
    const int64_t plan_bytes = backend->attention_plan_bytes(
        batch.num_tokens, std::max(1, batch.num_segments), spec.shape);
    const AttentionPlan plan = {put(std::vector<std::byte>(plan_bytes, std::byte{0xff}))};
    backend->plan_attention(*queue, batch, spec, pages_, plan);
    return plan;
  }

  Matrix attend(const std::vector<Segment>& segments, const Matrix& q, const AttentionSpec& spec) {
    reset();
    Matrix out(input(), q.rows(), q.columns());
    const Tensor placed = put(out);
    const BatchView batch = batch_of(segments);
    const AttentionPlan plan = make_plan(batch, spec);
    backend->attention(*queue, workspace, batch, put(q), spec, plan, pages_, 1, placed);
    get(placed, out);
    return out;
  }

  // Rounds a value to the type of the pages.
  double kept(double value) const {
    const float narrow = static_cast<float>(value);
    if (input() == DType::kFloat32) return narrow;
    return input() == DType::kFloat16 ? fp16_to_float(float_to_fp16(narrow))
                                      : bf16_to_float(float_to_bf16(narrow));
  }

  DType wide() const { return backend->types().wide; }
  bool takes(int32_t head_dim) const {
    return !GetParam().is_cuda() || head_dim <= cuda::kMaxHeadDim;
  }
  // The block of (the token's page, layer, head), copied from the device.
  std::vector<std::byte> block_of(int32_t slot, int32_t token, int32_t layer, int32_t head) {
    const int32_t page = table_[slot * pages_per_slot_ + token / pages_.layout.page_tokens];
    return get(pages_.block(page, layer, head), pages_.head_stride);
  }

  static constexpr int32_t kNoPosition = 1 << 30;  // of padding rows: must not be used

  int32_t tokens_per_slot = 256;
  int32_t page_step = 7;  // between consecutive pages of a slot
  KvPages pages_;
  std::vector<int32_t> table_;
  int32_t pages_per_slot_ = 0;

 private:
  Buffer cache_;
};

}  // namespace trireme
