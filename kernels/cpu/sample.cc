#include <algorithm>

#include "base/check.h"
#include "kernels/cpu/backend.h"
#include "kernels/draw.h"

namespace trireme {

namespace {

constexpr int64_t kDrawCost = 100;  // operations of one id's noise

// Repetition penalty once per id of the history; frequency and presence penalty by an output id's
// count. `counts` is zero before and after.
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

ShardDraw greedy_row(const float* logits, int64_t first_id, int64_t width) {
  ShardDraw best{kNever, -1};
  for (int64_t column = 0; column < width; ++column) {
    if (logits[column] > best.value) {
      best = {logits[column], static_cast<int32_t>(first_id + column)};
    }
  }
  return best;
}

}  // namespace

void CpuBackend::adjust_logits(Queue&,
                               Workspace& workspace,
                               Tensor logits,
                               int64_t first_id,
                               int64_t vocabulary,
                               const SamplingRow* rows) {
  CHECK(workspace.bytes >= logits.columns * 4);
  auto* counts = reinterpret_cast<int32_t*>(workspace.data);
  bool counts_are_zero = false;  // apply_penalties() restores the zeros
  for (int64_t i = 0; i < logits.rows; ++i) {
    const SamplingRow& row = rows[i];
    float* values = logits.row<float>(i);
    if (row.has_penalty()) {
      if (!counts_are_zero) std::fill_n(counts, logits.columns, 0);
      counts_are_zero = true;
      apply_penalties(row, values, first_id, logits.columns, counts);
    }
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
                            Workspace&,
                            Tensor logits,
                            int64_t first_id,
                            const SamplingRow* rows,
                            ShardDraw* draws) {
  for_rows(logits.rows, kDrawCost * logits.columns, [&](int64_t row, int) {
    draws[row] = rows[row].needs_whole_row()
                     ? ShardDraw()
                     : draw_row(rows[row], logits.row<float>(row), first_id, logits.columns);
  });
}

ShardDraw CpuBackend::draw_row(const SamplingRow& row,
                               const float* logits,
                               int64_t first_id,
                               int64_t width) const {
  if (row.temperature == 0) return greedy_row(logits, first_id, width);
  DrawTask task;
  task.logits = logits;
  task.width = width;
  task.first_id = first_id;
  task.temperature = std::max(row.temperature, kLowestTemperature);
  task.seed = row.seed;
  task.choice = row.choice;
  task.token_index = row.token_index;
  ShardDraw best;
  tier_.draw(task, &best.value, &best.id);
  return best;
}

void CpuBackend::best_of_shards(
    Queue&, const ShardDraw* draws, int32_t num_shards, int32_t num_rows, int32_t* ids) {
  for (int64_t row = 0; row < num_rows; ++row) {
    ShardDraw best;
    for (int64_t shard = 0; shard < num_shards; ++shard) {
      const ShardDraw& draw = draws[shard * num_rows + row];
      if (draw.id < 0) continue;
      const bool is_better =
          best.id < 0 || draw.value > best.value || (draw.value == best.value && draw.id < best.id);
      if (is_better) best = draw;
    }
    ids[row] = best.id;
  }
}

}  // namespace trireme
