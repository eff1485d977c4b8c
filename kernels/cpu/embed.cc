#include <algorithm>

#include "base/check.h"
#include "kernels/cpu/backend.h"

namespace trireme {

void CpuBackend::embed(
    Queue&, const BatchView& batch, const Weight& weight, int64_t first_row, Tensor out) {
  const auto& table = static_cast<const CpuWeight&>(weight);
  CHECK(out.dtype == DType::kFloat32 && out.columns == table.k() && out.rows >= batch.num_tokens);
  for_rows(batch.num_tokens, 4 * out.columns, [&](int64_t token, int) {
    float* row = out.row<float>(token);
    const bool is_padding = batch.slots != nullptr && batch.slots[token] < 0;
    const int64_t local = batch.token_ids[token] - first_row;
    if (is_padding || local < 0 || local >= table.n()) {
      std::fill_n(row, out.columns, 0.0f);
      return;
    }
    table.read_row(local, row);
    for (int64_t i = 0; i < out.columns; ++i)
      row[i] += 0.0f;  // -0 becomes 0, as in any sum of parts
  });
}

}  // namespace trireme
