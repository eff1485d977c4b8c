#include "model/checkpoint/dummy_checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <set>

#include "model/checkpoint/model_source.h"

namespace trireme {
namespace dummy_checkpoint_test {

TEST(DummyCheckpoint, EveryPartitionReadsTheSameValues) {
  ModelSource source = open_model("dummy:qwen2.5-0.5b", 7).value();
  const StoredTensor& tensor = *source.checkpoint->find("model.layers.3.mlp.down_proj.weight");
  std::vector<bf16_t> whole(2 * 4864), part(100);
  ASSERT_TRUE(
      source.checkpoint->read(tensor, {5, 7}, {0, 4864}, std::as_writable_bytes(std::span(whole)))
          .ok());
  ASSERT_TRUE(
      source.checkpoint->read(tensor, {6, 7}, {333, 433}, std::as_writable_bytes(std::span(part)))
          .ok());
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 4864 + 333));
  EXPECT_GT(std::set<bf16_t>(part.begin(), part.end()).size(), 50u);
}

std::vector<bf16_t> values_of(Checkpoint& checkpoint,
                              const std::string& name,
                              IndexRange rows,
                              IndexRange columns) {
  std::vector<bf16_t> values(rows.size() * columns.size());
  const Status status = checkpoint.read(
      *checkpoint.find(name), rows, columns, std::as_writable_bytes(std::span(values)));
  EXPECT_TRUE(status.ok()) << message_of(status);
  return values;
}

// Parts of threads end within rows, and within the eight values of a random block.
TEST(DummyCheckpoint, NoValueDependsOnTheNumberOfThreads) {
  const std::string text = dummy_config("qwen2.5-0.5b").value();
  const ModelConfig config = open_model("dummy:qwen2.5-0.5b", 7)->config;
  const std::string matrix = "model.layers.3.mlp.down_proj.weight";
  const auto alone = make_dummy_checkpoint(config, text, 7, 1);
  const IndexRange rows = {3, 203}, all = {0, 4864}, some = {13, 4014};
  const auto whole = values_of(*alone, matrix, rows, all);
  for (const int threads : {2, 3, 7, 13}) {
    const auto several = make_dummy_checkpoint(config, text, 7, threads);
    EXPECT_EQ(values_of(*several, matrix, rows, all), whole) << threads << " threads";
    const auto slice = values_of(*several, matrix, rows, some);
    for (int64_t row = 0; row < rows.size(); ++row) {
      const auto first = whole.begin() + row * all.size() + some.begin;
      EXPECT_TRUE(std::equal(first, first + some.size(), slice.begin() + row * some.size()))
          << threads << " threads, row " << row;
    }
  }
}

// The values of a seed never change: stored results of `dummy:` models depend on them.
TEST(DummyCheckpoint, TheValuesOfASeedStay) {
  ModelSource source = open_model("dummy:qwen2.5-0.5b", 7).value();
  const std::string layer = "model.layers.3.";
  const struct {
    std::string name;
    int64_t row, column;
    std::vector<int> bits;
  } expected[] = {{layer + "mlp.down_proj.weight", 5, 4860, {0x3cb6, 0x3bb2, 0x3ae7, 0xbc9d}},
                  {layer + "input_layernorm.weight", 3, 0, {0x3f88, 0x3f7a, 0x3f83, 0x3f7d}},
                  {layer + "self_attn.q_proj.bias", 6, 0, {0x3c46, 0xbc77, 0xbc3b, 0x3ca0}}};
  for (const auto& [name, row, column, bits] : expected) {
    const bool is_vector = source.checkpoint->find(name)->shape.size() == 1;
    const IndexRange rows = {row, row + (is_vector ? 4 : 1)};
    const IndexRange columns = {column, column + (is_vector ? 1 : 4)};
    std::vector<int> found;
    for (const bf16_t value : values_of(*source.checkpoint, name, rows, columns)) {
      found.push_back(std::bit_cast<uint16_t>(value));
    }
    EXPECT_EQ(found, bits) << name;
  }
}

}  // namespace dummy_checkpoint_test
}  // namespace trireme
