#include "tests/kernels/op_fixture.h"

namespace trireme {
namespace {

class Rows : public OpTest {};

TEST_P(Rows, GatheredRowsAreTheListedRowsAndZerosForNone) {
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    for (const int64_t width : {1, 17, 129, 4097, 70'000}) {
      const Matrix in = random_matrix(dtype, 9, width, 1);
      Matrix out(dtype, 5, width);
      const std::vector<int32_t> rows = {8, 0, -1, 0, 5};
      reset();
      const Tensor placed = put(out);
      backend->gather_rows(*queue, put(in), put(rows), placed);
      get(placed, out);
      for (int64_t i = 0; i < 5; ++i) {
        if (rows[i] >= 0) {
          EXPECT_TRUE(out.same_row(i, in, rows[i]));
        }
        for (int64_t c = 0; rows[i] < 0 && c < width; ++c) ASSERT_EQ(out.at(i, c), 0);
      }
    }
  }
}

TEST_P(Rows, WithoutAListRowsAreCopiedInOrder) {
  const Matrix in = random_matrix(DType::kFloat32, 3, 129, 2);
  Matrix out(DType::kFloat32, 3, 129);
  const Tensor placed = put(out);
  backend->gather_rows(*queue, put(in), nullptr, placed);
  get(placed, out);
  for (int64_t i = 0; i < 3; ++i) EXPECT_TRUE(out.same_row(i, in, i));
}

// Only one dimension of a grid allows more than 65,535 blocks.
TEST_P(Rows, AnyNumberOfRowsIsGathered) {
  constexpr int64_t kRows = 70'001;
  const Matrix in = random_matrix(DType::kFloat32, kRows, 1, 2);
  std::vector<int32_t> rows(kRows);
  for (int64_t i = 0; i < kRows; ++i) rows[i] = static_cast<int32_t>(kRows - 1 - i);
  Matrix out(DType::kFloat32, kRows, 1);
  const Tensor placed = put(out);
  backend->gather_rows(*queue, put(in), put(rows), placed);
  get(placed, out);
  for (int64_t i = 0; i < kRows; ++i) ASSERT_EQ(out.at(i, 0), in.at(kRows - 1 - i, 0)) << i;
}

TEST_P(Rows, GatheringNothingWritesNothing) {
  Matrix out(DType::kFloat32, 0, 17);
  const Tensor placed = put(out);
  backend->gather_rows(*queue, put(Matrix(DType::kFloat32, 3, 17)), nullptr, placed);
  get(placed, out);
}

// Unaligned rows: a stride that keeps no alignment.
TEST_P(Rows, SumsAreElementByElement) {
  for (const int64_t width : {1, 17, 129, 4097}) {
    for (const bool is_packed : {false, true}) {
      const Matrix other = random_matrix(DType::kFloat32, 4, width, 4);
      Matrix sum = random_matrix(DType::kFloat32, 4, width, 3);
      const Matrix before = sum;
      reset();
      Tensor placed = put(sum);
      Tensor more = is_packed ? other.view() : put(other);
      if (is_packed) more.data = put(other.guarded_bytes());
      backend->add(*queue, placed, more);
      get(placed, sum);
      for (int64_t t = 0; t < 4; ++t) {
        for (int64_t i = 0; i < width; ++i) {
          const float expected =
              static_cast<float>(before.at(t, i)) + static_cast<float>(other.at(t, i));
          ASSERT_EQ(sum.at(t, i), expected);
        }
      }
    }
  }
}

TEST_P(Rows, CopiedPagesHoldEveryBlockAndNoOtherChanges) {
  KvPages pages;
  pages.num_pages = 6;
  pages.num_layers = 3;
  pages.num_heads = 2;
  pages.head_stride = 9 * 1024 + 32;
  pages.layer_stride = pages.head_stride * 2;
  pages.page_stride = pages.layer_stride * 3;
  std::vector<std::byte> image(pages.num_pages * pages.page_stride);
  for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<std::byte>(i * 7 / 5);
  std::byte* placed = put(image);
  pages.base = placed;
  const std::vector<int32_t> from = {4, 1, 4}, to = {0, 3, 5};
  backend->copy_pages(*queue, pages, put(from), put(to), 3);
  backend->copy_pages(*queue, pages, nullptr, nullptr, 0);
  for (int32_t i = 0; i < 3; ++i) {
    std::copy_n(image.begin() + from[i] * pages.page_stride,
                pages.page_stride,
                image.begin() + to[i] * pages.page_stride);
  }
  EXPECT_EQ(get(placed, static_cast<int64_t>(image.size())), image);
}

TEST_P(Rows, OnlyUnknownIdsOfRealRowsAreFed) {
  const std::vector<int32_t> slots = {2, 0, 1, -1, 2}, last = {70, 71, 72};
  int32_t* ids = put(std::vector<int32_t>{-1, 5, -1, -1, 0});
  BatchView batch;
  batch.num_tokens = 5;
  batch.slots = put(slots);
  batch.token_ids = ids;
  backend->feed_ids(*queue, batch, put(last), ids);
  EXPECT_EQ(get(ids, 5), (std::vector<int32_t>{72, 5, 71, -1, 0}));
}

TEST_P(Rows, ATableTakesTheListedNumberOfChanges) {
  int32_t* table = put(std::vector<int32_t>(400, 9));
  std::vector<int32_t> changes = {300};
  std::vector<int32_t> expected(400, 9);
  for (int32_t i = 0; i < 301; ++i) {  // one more than the count
    changes.push_back(399 - i);
    changes.push_back(i);
    if (i < 300) expected[399 - i] = i;
  }
  backend->update_table(*queue, table, put(changes), 350);
  EXPECT_EQ(get(table, 400), expected);
  backend->update_table(*queue, table, put(std::vector<int32_t>{0}), 350);
  EXPECT_EQ(get(table, 400), expected);
}

TEST_P(Rows, DrawnIdsAreKeptBySlotAndPlace) {
  const std::vector<int32_t> ids = {10, -1, 12, 13}, slots = {2, 1, -1, 0};
  const std::vector<int32_t> places = {4, 0, 1, -1};
  SlotIds kept;
  kept.last = put(std::vector<int32_t>(3, 7));
  kept.history = put(std::vector<int32_t>(3 * 5, 8));
  kept.history_stride = 5;
  backend->keep_ids(*queue, put(ids), put(slots), put(places), 4, kept);
  EXPECT_EQ(get(kept.last, 3), (std::vector<int32_t>{13, 7, 10}));
  std::vector<int32_t> history(15, 8);
  history[2 * 5 + 4] = 10;
  EXPECT_EQ(get(kept.history, 15), history);

  kept.history = nullptr;
  backend->keep_ids(*queue, put(ids), put(slots), nullptr, 1, kept);
  EXPECT_EQ(get(kept.last, 3), (std::vector<int32_t>{13, 7, 10}));
}

INSTANTIATE_TEST_SUITE_P(Backends, Rows, backends_of_one_mode(), case_name);

}  // namespace
}  // namespace trireme
