#include "model/checkpoint/dummy_checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "model/checkpoint/model_source.h"

namespace trireme {
namespace {

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

}  // namespace
}  // namespace trireme
