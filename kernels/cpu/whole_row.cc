#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "kernels/cpu/backend.h"
#include "kernels/cpu/top_k_top_p.h"

namespace trireme {

namespace {

constexpr int64_t kFilterCost = 200;  // operations per id

// Top `count` in descending order, the lower id first among equals, NaN excluded. Insertion sort:
// `count` is small.
void take_top(const float* logits, int64_t width, int32_t count, TokenLogprob* top) {
  int32_t filled = 0;
  for (int64_t id = 0; id < width && count > 0; ++id) {
    const float value = logits[id];
    if (std::isnan(value)) continue;
    if (filled == count && !(value > top[filled - 1].logprob)) continue;
    int32_t place = filled < count ? filled++ : count - 1;
    for (; place > 0 && value > top[place - 1].logprob; --place) top[place] = top[place - 1];
    top[place] = {static_cast<int32_t>(id), value};
  }
  std::fill(top + filled, top + count, TokenLogprob{});
}

}  // namespace

void CpuBackend::draw_whole(Queue&,
                            Workspace& workspace,
                            Tensor logits,
                            WholeRows which,
                            const SamplingRow* rows,
                            ShardDraw* draws) {
  const int64_t scratch_bytes = filter_scratch_bytes(logits.columns);
  CHECK(workspace.bytes >= pool_.size() * scratch_bytes);
  for_rows(logits.rows, kFilterCost * logits.columns, [&](int64_t i, int member) {
    if (which == WholeRows::kNeeded && !rows[i].needs_whole_row()) return;
    SamplingRow row = rows[i];
    if (row.temperature > 0) {
      filter_row(logits.row<float>(i),
                 logits.columns,
                 row,
                 tier_.exp_sum,
                 workspace.data + member * scratch_bytes);
      row.temperature = 1;  // divided already
    }
    draws[i] = draw_row(row, logits.row<float>(i), 0, logits.columns);
  });
}

void CpuBackend::logprobs(
    Queue&, Workspace&, Tensor logits, const int32_t* chosen, int32_t count, TokenLogprob* out) {
  CHECK(count >= 0 && count <= kMaxTopIds);
  for_rows(logits.rows, 4 * logits.columns, [&](int64_t i, int) {
    const float* row = logits.row<float>(i);
    const float greatest = max_of(row, logits.columns);
    const double log_sum = std::log(tier_.exp_sum(row, logits.columns, greatest, nullptr));
    const auto logprob = [&](float logit) {
      return static_cast<float>((static_cast<double>(logit) - greatest) - log_sum);
    };
    TokenLogprob* entries = out + i * (1 + count);
    const int32_t id = std::max(chosen[i], 0);
    entries[0] = id < logits.columns ? TokenLogprob{id, logprob(row[id])} : TokenLogprob{};
    take_top(row, logits.columns, count, entries + 1);
    for (int32_t j = 1; j <= count && entries[j].id >= 0; ++j) {
      entries[j].logprob = logprob(entries[j].logprob);
    }
  });
}

}  // namespace trireme
