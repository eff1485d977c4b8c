#include <algorithm>

#include "base/check.h"
#include "kernels/cpu/backend.h"

namespace trireme {

namespace {

// Rotates (x[i], x[i + half]) by the angle of dimension i.
void rotate(float* x, const float* angles, int half) {
  for (int i = 0; i < half; ++i) {
    const float cosine = angles[2 * i];
    const float sine = angles[2 * i + 1];
    const float first = x[i];
    const float second = x[i + half];
    x[i] = first * cosine - second * sine;
    x[i + half] = second * cosine + first * sine;
  }
}

void store(std::byte* block, int64_t at, float value, bool is_bf16) {
  if (is_bf16) {
    reinterpret_cast<bf16_t*>(block)[at] = float_to_bf16(value);
  } else {
    reinterpret_cast<float*>(block)[at] = value;
  }
}

}  // namespace

void CpuBackend::qkv_finish(Queue&,
                            const BatchView& batch,
                            Tensor qkv,
                            const QkvSpec& spec,
                            const KvPages& pages,
                            int32_t layer,
                            Tensor q) {
  const HeadShape& shape = spec.shape;
  const int64_t dim = shape.head_dim;
  CHECK(qkv.dtype == DType::kFloat32 && q.dtype == DType::kFloat32);
  CHECK(qkv.columns == (shape.num_heads + 2 * shape.num_kv_heads) * dim);
  CHECK(q.columns == shape.num_heads * dim && pages.layout.head_dim == dim);
  const auto normalise = [&](float* x, Vector weight) {
    if (weight.data == nullptr) return;
    NormTask task{};
    task.residual = x;
    task.width = dim;
    task.epsilon = spec.norm_epsilon;
    task.weight_offset = spec.norm_weight_offset;
    task.weight = weight.data;
    task.out = x;
    tier_.norm(task);
  };
  for_rows(batch.num_tokens, 8 * qkv.columns, [&](int64_t token, int) {
    if (batch.slots[token] < 0) return;  // padding
    const int32_t position = batch.positions[token];
    const float* angles = spec.rope.table + static_cast<int64_t>(position) * spec.rope.rotary_dim;
    float* heads = qkv.row<float>(token);
    for (int64_t head = 0; head < shape.num_heads + shape.num_kv_heads; ++head) {
      float* x = heads + head * dim;
      normalise(x, head < shape.num_heads ? spec.q_norm : spec.k_norm);
      if (spec.rope.rotary_dim > 0) rotate(x, angles, spec.rope.rotary_dim / 2);
    }
    std::copy_n(heads, shape.num_heads * dim, q.row<float>(token));

    const int32_t* page_row =
        batch.page_table + static_cast<int64_t>(batch.slots[token]) * batch.page_table_stride;
    const int64_t page = page_row[position / kPageTokens];
    const int64_t place = position % kPageTokens;
    const int64_t v_offset = pages.head_stride / 2;
    for (int64_t head = 0; head < shape.num_kv_heads; ++head) {
      std::byte* block = pages.block(page, layer, head);
      const float* k = heads + (shape.num_heads + head) * dim;
      const float* v = k + shape.num_kv_heads * dim;
      for (int64_t d = 0; d < dim; ++d) {
        store(block, d * kPageTokens + place, k[d], is_bf16());
        store(block + v_offset, place * dim + d, v[d], is_bf16());
      }
    }
  });
}

}  // namespace trireme
