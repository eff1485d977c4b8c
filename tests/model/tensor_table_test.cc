// The tensors that a model needs, and checkpoints that lack them.
#include "model/tensor_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "base/text.h"
#include "model/checkpoint/checkpoint.h"

namespace trireme {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ModelConfig small() {
  ModelConfig config;
  config.vocabulary_size = 11;
  config.hidden_size = 8;
  config.intermediate_size = 6;
  config.num_layers = 3;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 6;
  return config;
}

TEST(TensorTable, FlagsDetermineWhichTensorsExist) {
  ModelConfig config = small();
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
  const TensorTable table(small());
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

TEST(TensorTable, ShapesFollowHeadsAndHeadDim) {
  const TensorTable table(small());
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

class InMemory final : public Checkpoint {
 public:
  explicit InMemory(const TensorTable& table) {
    for (const TensorEntry& entry : table.entries()) {
      StoredTensor& tensor = tensors[entry.names[0]];
      tensor.name = entry.names[0];
      tensor.dtype = DType::kBFloat16;
      tensor.shape = {entry.rows};
      if (!entry.is_vector) tensor.shape.push_back(entry.columns);
    }
  }
  const StoredTensor* find(const std::string& name) const override {
    const auto found = tensors.find(name);
    return found == tensors.end() ? nullptr : &found->second;
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors) names.push_back(name);
    return names;
  }
  Status read(const StoredTensor&, IndexRange, IndexRange, std::span<std::byte>) override {
    return ok_status();
  }
  int64_t bytes_read() const override { return 0; }
  std::string fingerprint() const override { return ""; }

  std::map<std::string, StoredTensor> tensors;
};

constexpr char kUp[] = "model.layers.1.mlp.up_proj.weight";

TEST(CheckTensors, MissingTensorsAreNamed) {
  const TensorTable table(small());
  InMemory checkpoint(table);
  ASSERT_TRUE(check_tensors(table, checkpoint).ok());
  checkpoint.tensors.erase(kUp);
  Status status = check_tensors(table, checkpoint).status();
  EXPECT_EQ(error_id(status), "TRI-LOAD-007");
  EXPECT_THAT(message_of(status), HasSubstr(kUp));
  checkpoint.tensors.erase("lm_head.weight");
  EXPECT_THAT(message_of(check_tensors(table, checkpoint).status()), HasSubstr("2 tensors are"));
}

TEST(CheckTensors, AWrongShapeIsNamedWithBothShapes) {
  const TensorTable table(small());
  InMemory checkpoint(table);
  checkpoint.tensors[kUp].shape = {8, 6};
  const Status status = check_tensors(table, checkpoint).status();
  EXPECT_EQ(error_id(status), "TRI-LOAD-008");
  EXPECT_THAT(message_of(status), HasSubstr("[8, 6]"));
  EXPECT_THAT(message_of(status), HasSubstr("[6, 8]"));
}

TEST(CheckTensors, OnlyFloatTensorsAreAcceptedAsWeights) {
  const TensorTable table(small());
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    InMemory checkpoint(table);
    checkpoint.tensors[kUp].dtype = dtype;
    EXPECT_TRUE(check_tensors(table, checkpoint).ok()) << name_of(dtype);
  }
  InMemory checkpoint(table);
  checkpoint.tensors[kUp].dtype = DType::kInt8;
  EXPECT_EQ(error_id(check_tensors(table, checkpoint).status()), "TRI-LOAD-009");
}

}  // namespace
}  // namespace trireme
