// The tensors that a model needs.
#include "model/tensor_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "tests/model/model_shape.h"

namespace trireme {
namespace tensor_table_test {

using testing::ElementsAre;

TEST(TensorTable, FlagsDetermineWhichTensorsExist) {
  ModelConfig config = uneven_shape();
  EXPECT_EQ(TensorTable(config).entries().size(), 3u * 9 + 3);
  config.qkv_bias = true;
  EXPECT_EQ(TensorTable(config).entries().size(), 3u * 12 + 3);
  config.qk_norm = true;
  config.output_bias = true;
  config.mlp_bias = true;
  EXPECT_EQ(TensorTable(config).entries().size(), 3u * 18 + 3);
  config.tied_embeddings = true;
  const TensorTable tied(config);
  EXPECT_EQ(tied.entries().size(), 3u * 18 + 2);
  EXPECT_EQ(tied.find(TensorRole::kHead), nullptr);
}

TEST(TensorTable, FindsTheTensorOfALayer) {
  const TensorTable table(uneven_shape());
  for (int64_t layer = 0; layer < 3; ++layer) {
    const TensorEntry* down = table.find(TensorRole::kDown, layer);
    ASSERT_NE(down, nullptr);
    EXPECT_THAT(down->names,
                ElementsAre(format_text("model.layers.{}.mlp.down_proj.weight", layer)));
  }
  EXPECT_EQ(table.find(TensorRole::kDown, 3), nullptr);
  EXPECT_EQ(table.find(TensorRole::kQueryBias, 0), nullptr);
  EXPECT_EQ(table.find(TensorRole::kQuery), nullptr);
  EXPECT_NE(table.find(TensorRole::kHead), nullptr);
}

TEST(TensorTable, NamesAreThoseThatTheCheckpointHas) {
  ModelConfig config = uneven_shape();
  config.names = {"a.b.", "a.b.embed_tokens.weight", "a.head", {}};
  const TensorTable table(config);
  EXPECT_THAT(table.find(TensorRole::kEmbedding)->names, ElementsAre("a.b.embed_tokens.weight"));
  EXPECT_THAT(table.find(TensorRole::kHead)->names, ElementsAre("a.head"));
  EXPECT_THAT(table.find(TensorRole::kFinalNorm)->names, ElementsAre("a.b.norm.weight"));
  EXPECT_THAT(table.find(TensorRole::kUp, 2)->names,
              ElementsAre("a.b.layers.2.mlp.up_proj.weight"));
}

TEST(TensorTable, ShapesFollowHeadsAndHeadDim) {
  const TensorTable table(uneven_shape());
  const auto shape = [&](TensorRole role) {
    const TensorEntry* entry = table.find(role, 1);
    return std::pair(entry->rows, entry->columns);
  };
  EXPECT_EQ(shape(TensorRole::kQuery), std::pair(24L, 8L));
  EXPECT_EQ(shape(TensorRole::kKey), std::pair(12L, 8L));
  EXPECT_EQ(shape(TensorRole::kAttentionOutput), std::pair(8L, 24L));
  EXPECT_EQ(shape(TensorRole::kGate), std::pair(6L, 8L));
  EXPECT_EQ(shape(TensorRole::kDown), std::pair(8L, 6L));
  EXPECT_TRUE(table.find(TensorRole::kMlpNorm, 1)->is_vector);
}

}  // namespace tensor_table_test
}  // namespace trireme
