#include "tests/kernels/op_fixture.h"

namespace trireme {
namespace {

class Embed : public OpTest {
 protected:
  Matrix run(const Matrix& table,
             const std::vector<int32_t>& ids,
             const std::vector<int32_t>& slots,
             int64_t first_row) {
    reset();
    const Tensor part = table.view();
    const auto weight = backend->pack(std::span(&part, 1), {}).value();
    BatchView batch;
    batch.num_tokens = static_cast<int32_t>(ids.size());
    batch.token_ids = put(ids);
    if (!slots.empty()) batch.slots = put(slots);
    Matrix out(backend->types().residual, batch.num_tokens, table.columns());
    const Tensor placed = put(out);
    backend->embed(*queue, batch, *weight, first_row, placed);
    get(placed, out);
    return out;
  }
};

TEST_P(Embed, RowsOfOtherShardsAndOfPaddingAreZeros) {
  for (const int64_t width : {1, 17, 129, 4097}) {
    const Matrix table = random_matrix(input(), 5, width, 1);
    const std::vector<int32_t> ids = {102, 99, 100, 105, 104, -1, 101};
    const std::vector<int32_t> slots = {0, 0, 1, 1, 2, -1, -1};
    const Matrix out = run(table, ids, slots, 100);
    const std::vector<int64_t> rows = {2, -1, 0, -1, 4, -1, -1};
    for (size_t t = 0; t < rows.size(); ++t) {
      for (int64_t i = 0; i < width; ++i) {
        const double expected = rows[t] < 0 ? 0 : table.at(rows[t], i);
        ASSERT_EQ(out.at(static_cast<int64_t>(t), i), expected) << "row " << t;
      }
    }
  }
}

TEST_P(Embed, NegativeZerosBecomeZeros) {
  Matrix table(input(), 1, 9);
  for (int64_t i = 0; i < 9; ++i) table.set(0, i, i % 2 == 0 ? -0.0 : -1.0);
  const Matrix out = run(table, {0}, {}, 0);
  for (int64_t i = 0; i < 9; ++i) {
    EXPECT_EQ(std::signbit(out.at(0, i)), i % 2 == 1);
    EXPECT_EQ(out.at(0, i), i % 2 == 0 ? 0 : -1);
  }
}

TEST_P(Embed, NoTokensIsNoWork) { run(random_matrix(input(), 2, 17, 1), {}, {}, 0); }

INSTANTIATE_TEST_SUITE_P(Backends, Embed, backends_of_one_mode(), case_name);

}  // namespace
}  // namespace trireme
