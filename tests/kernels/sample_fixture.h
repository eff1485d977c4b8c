// Fixture of the sampling tests: rows of logits, and the ops with their rows copied to the device.
#pragma once

#include <vector>

#include "kernels/draw.h"
#include "tests/kernels/op_fixture.h"

namespace trireme {

inline constexpr ShardDraw kUndrawn = {0, -7};

inline Matrix repeated(const std::vector<float>& logits, int64_t rows) {
  const auto width = static_cast<int64_t>(logits.size());
  Matrix matrix(DType::kFloat32, rows, width);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < width; ++i) matrix.set(row, i, logits[i]);
  }
  return matrix;
}

class SampleTest : public OpTest {
 protected:
  Matrix adjust(const Matrix& logits,
                const std::vector<SamplingRow>& rows,
                int64_t first_id,
                int64_t vocabulary) {
    reset();
    Matrix adjusted = logits;
    const Tensor placed = put(logits);
    backend->adjust_logits(*queue, workspace, placed, first_id, vocabulary, put_rows(rows));
    get(placed, adjusted);
    return adjusted;
  }
  std::vector<ShardDraw> draw_shard(const Matrix& logits,
                                    const std::vector<SamplingRow>& rows,
                                    int64_t first_id = 0) {
    reset();
    ShardDraw* draws = put(std::vector<ShardDraw>(rows.size(), kUndrawn));
    backend->draw_shard(*queue, workspace, put(logits), first_id, put_rows(rows), draws);
    return get(draws, static_cast<int64_t>(rows.size()));
  }
  std::vector<TokenLogprob> logprobs(const Matrix& logits,
                                     const std::vector<int32_t>& chosen,
                                     int32_t count) {
    reset();
    const int64_t entries = logits.rows() * (1 + count);
    TokenLogprob* out = put(std::vector<TokenLogprob>(entries, {-9, 0}));
    backend->logprobs(*queue, workspace, put(logits), put(chosen), count, out);
    return get(out, entries);
  }
  std::vector<ShardDraw> draw_whole(const Matrix& logits,
                                    const std::vector<SamplingRow>& rows,
                                    WholeRows which = WholeRows::kAll) {
    reset();
    ShardDraw* draws = put(std::vector<ShardDraw>(rows.size(), kUndrawn));
    backend->draw_whole(*queue, workspace, put(logits), which, put_rows(rows), draws);
    return get(draws, static_cast<int64_t>(rows.size()));
  }
};

}  // namespace trireme
