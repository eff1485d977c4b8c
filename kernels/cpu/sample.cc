#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "kernels/cpu/backend.h"
#include "kernels/draw.h"

namespace trireme {

namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

// Each id of the history once for the repetition penalty; each output id by its count.
void apply_penalties(
    const SamplingRow& row, float* logits, int64_t first_id, int64_t width, int32_t* counts) {
  const auto local = [&](int32_t id) -> int64_t {
    const int64_t column = id - first_id;
    return column >= 0 && column < width ? column : -1;
  };
  constexpr int32_t kSeen = 1 << 30;  // above any count
  for (int32_t i = 0; i < row.num_history; ++i) {
    const int64_t column = local(row.history[i]);
    if (column < 0) continue;
    if ((counts[column] & kSeen) == 0) {
      counts[column] |= kSeen;
      float& logit = logits[column];
      logit = logit > 0 ? logit / row.repetition_penalty : logit * row.repetition_penalty;
    }
    if (i >= row.num_prompt) ++counts[column];
  }
  for (int32_t i = 0; i < row.num_history; ++i) {
    const int64_t column = local(row.history[i]);
    if (column < 0 || counts[column] == 0) continue;
    const int32_t count = counts[column] & ~kSeen;
    if (count > 0) {
      logits[column] -= row.frequency_penalty * static_cast<float>(count) + row.presence_penalty;
    }
    counts[column] = 0;
  }
}

void better(ShardDraw& best, float value, int32_t id) {
  if (best.id < 0 ? value > kNever : value > best.value) best = {value, id};
}

ShardDraw draw_row(const SamplingRow& row, const float* logits, int64_t first_id, int64_t width) {
  ShardDraw best;
  if (row.temperature == 0) {
    for (int64_t column = 0; column < width; ++column) {
      better(best, logits[column], static_cast<int32_t>(first_id + column));
    }
    return best;
  }
  PhiloxBlock words{};
  uint32_t block = ~0u;
  for (int64_t column = 0; column < width; ++column) {
    if (!(logits[column] > kNever)) continue;
    const auto id = static_cast<uint32_t>(first_id + column);
    if (id / 4 != block) {
      block = id / 4;
      words = draw_words(row.seed, row.choice, row.token_index, block);
    }
    better(best,
           logits[column] / row.temperature + gumbel_noise(words[id % 4]),
           static_cast<int32_t>(id));
  }
  return best;
}

}  // namespace

void CpuBackend::adjust_logits(Queue&,
                               Workspace& workspace,
                               Tensor logits,
                               int64_t first_id,
                               int64_t vocabulary,
                               std::span<const SamplingRow> rows) {
  CHECK(logits.rows == static_cast<int64_t>(rows.size()));
  CHECK(workspace.bytes >= logits.columns * 4);
  auto* counts = reinterpret_cast<int32_t*>(workspace.data);
  std::fill_n(counts, logits.columns, 0);
  for (size_t i = 0; i < rows.size(); ++i) {
    const SamplingRow& row = rows[i];
    float* values = logits.row<float>(static_cast<int64_t>(i));
    if (row.has_penalty()) apply_penalties(row, values, first_id, logits.columns, counts);
    for (int32_t j = 0; j < row.num_bias; ++j) {
      const int64_t column = row.bias_ids[j] - first_id;
      if (column >= 0 && column < logits.columns) values[column] += row.bias_values[j];
    }
    for (int32_t j = 0; j < row.num_banned; ++j) {
      const int64_t column = row.banned_ids[j] - first_id;
      if (column >= 0 && column < logits.columns) values[column] = kNever;
    }
    const int64_t past = std::max<int64_t>(0, vocabulary - first_id);
    for (int64_t column = past; column < logits.columns; ++column) values[column] = kNever;
  }
}

void CpuBackend::draw_shard(Queue&,
                            Tensor logits,
                            int64_t first_id,
                            std::span<const SamplingRow> rows,
                            std::span<ShardDraw> draws) {
  CHECK(logits.rows == static_cast<int64_t>(rows.size()) && draws.size() == rows.size());
  for_rows(logits.rows, 16 * logits.columns, [&](int64_t row) {
    draws[row] = draw_row(rows[row], logits.row<float>(row), first_id, logits.columns);
  });
}

}  // namespace trireme
