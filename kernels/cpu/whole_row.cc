#include <algorithm>
#include <limits>

#include "base/check.h"
#include "kernels/cpu/backend.h"
#include "kernels/cpu/filter.h"

namespace trireme {

void CpuBackend::draw_whole(Queue& queue,
                            Workspace& workspace,
                            Tensor logits,
                            std::span<const SamplingRow> rows,
                            std::span<ShardDraw> draws) {
  CHECK(logits.rows == static_cast<int64_t>(rows.size()) && draws.size() == rows.size());
  CHECK(workspace.bytes >= filter_scratch_bytes(logits.columns));
  for (int64_t i = 0; i < logits.rows; ++i) {
    SamplingRow row = rows[i];
    const Tensor one(logits.row<float>(i), DType::kFloat32, 1, logits.columns);
    if (row.temperature > 0) {
      filter_row(logits.row<float>(i),
                 logits.columns,
                 row.temperature,
                 row.top_k,
                 row.top_p,
                 row.min_p,
                 workspace.data);
      row.temperature = 1;  // divided already
    }
    draw_shard(queue, one, 0, std::span(&row, 1), draws.subspan(i, 1));
  }
}

void CpuBackend::logprobs(Queue&,
                          Workspace& workspace,
                          Tensor logits,
                          std::span<const int32_t> chosen,
                          int32_t count,
                          std::span<TokenLogprob> out) {
  CHECK(logits.rows == static_cast<int64_t>(chosen.size()));
  CHECK(static_cast<int64_t>(out.size()) == logits.rows * (1 + count));
  CHECK(workspace.bytes >= logits.columns * 4);
  auto* ids = reinterpret_cast<int32_t*>(workspace.data);
  const auto top = static_cast<int32_t>(std::min<int64_t>(count, logits.columns));
  for (int64_t i = 0; i < logits.rows; ++i) {
    const float* row = logits.row<float>(i);
    const double total = log_sum_exp(row, logits.columns);
    const auto entry = [&](int32_t id) {
      return TokenLogprob{id, static_cast<float>(static_cast<double>(row[id]) - total)};
    };
    TokenLogprob* target = out.data() + i * (1 + count);
    const bool known = chosen[i] >= 0 && chosen[i] < logits.columns;
    target[0] = known ? entry(chosen[i]) : TokenLogprob{};
    for (int32_t id = 0; id < logits.columns; ++id) ids[id] = id;
    std::partial_sort(ids, ids + top, ids + logits.columns, [&](int32_t a, int32_t b) {
      return row[a] != row[b] ? row[a] > row[b] : a < b;
    });
    for (int32_t j = 0; j < count; ++j) {
      target[1 + j] = j < top ? entry(ids[j]) : TokenLogprob{};
    }
  }
}

}  // namespace trireme
