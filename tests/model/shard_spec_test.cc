#include "model/shard_spec.h"

#include <gtest/gtest.h>

#include <set>

#include "model/model_source.h"

namespace trireme {
namespace {

ModelConfig shape(int64_t heads, int64_t kv_heads, int64_t mlp, int64_t vocabulary) {
  ModelConfig config;
  config.num_heads = heads;
  config.num_kv_heads = kv_heads;
  config.head_dim = 16;
  config.hidden_size = 64;
  config.intermediate_size = mlp;
  config.vocabulary_size = vocabulary;
  config.num_layers = 5;
  return config;
}

TEST(ShardSpec, RanksOfAStageTileEveryPartitionedTensor) {
  const ModelConfig config = shape(8, 4, 172, 323);
  const TensorTable table(config);
  for (const int tp : {1, 2, 4, 8}) {
    const ParallelPlan plan = ParallelPlan::make(config, tp, 1).value();
    for (const TensorEntry& entry : table.entries()) {
      if (entry.cut == TensorCut::kReplicate || entry.cut == TensorCut::kKvHeadRows) continue;
      int64_t elements = 0;
      for (int rank = 0; rank < tp; ++rank) {
        const TensorSlice slice = ShardSpec(config, plan, rank).slice(entry);
        elements += slice.rows.size() * slice.columns.size();
      }
      EXPECT_EQ(elements, entry.rows * entry.columns) << entry.names[0] << " tp " << tp;
    }
  }
}

TEST(ShardSpec, KvHeadsAreReplicatedWhereTheyAreFewerThanRanks) {
  const ModelConfig config = shape(8, 2, 172, 323);
  const ParallelPlan plan = ParallelPlan::make(config, 4, 1).value();
  EXPECT_EQ(ShardSpec(config, plan, 0).kv_heads(), (IndexRange{0, 1}));
  EXPECT_EQ(ShardSpec(config, plan, 1).kv_heads(), (IndexRange{0, 1}));
  EXPECT_EQ(ShardSpec(config, plan, 3).kv_heads(), (IndexRange{1, 2}));
}

TEST(ShardSpec, LeavesOfAllRanksEqualThoseOfASingleRank) {
  const ModelConfig config = shape(4, 4, 170, 320);
  const TensorTable table(config);
  const TensorEntry& down = *table.find(TensorRole::kDown, 0);
  const auto global_ends = [&](int tp) {
    std::vector<int64_t> ends;
    const ParallelPlan plan = ParallelPlan::make(config, tp, 1).value();
    for (int rank = 0; rank < tp; ++rank) {
      const TensorSlice slice = ShardSpec(config, plan, rank).slice(down);
      for (const int64_t end : slice.leaf_ends) ends.push_back(slice.columns.begin + end);
    }
    return ends;
  };
  EXPECT_EQ(global_ends(1).size(), 8u);
  EXPECT_EQ(global_ends(1), global_ends(2));
  EXPECT_EQ(global_ends(1), global_ends(4));
  EXPECT_EQ(global_ends(1).back(), 170);
}

TEST(ShardSpec, ALeafOfFewHeadsMayBeEmpty) {
  const ModelConfig config = shape(6, 2, 96, 320);
  const TensorTable table(config);
  const ParallelPlan plan = ParallelPlan::make(config, 2, 1).value();
  const TensorSlice slice =
      ShardSpec(config, plan, 0).slice(*table.find(TensorRole::kAttentionOutput, 0));
  EXPECT_EQ(slice.leaf_ends, (std::vector<int64_t>{0, 16, 32, 48}));
}

TEST(ParallelPlan, RefusesAPartitionAndListsThoseThatWork) {
  const Status status = ParallelPlan::make(shape(6, 2, 96, 320), 4, 1).status();
  EXPECT_EQ(error_id(status), "TRI-PLAN-001");
  EXPECT_NE(message_of(status).find("-tp 1 or 2"), std::string::npos) << status;
  EXPECT_EQ(error_id(ParallelPlan::make(shape(6, 2, 96, 320), 1, 6).status()), "TRI-PLAN-002");
}

TEST(ParallelPlan, StagesCoverTheLayersAndAreBalancedWithTheHead) {
  ModelConfig config = shape(8, 4, 128, 320);
  const ParallelPlan even = ParallelPlan::make(config, 1, 4).value();
  int64_t next = 0;
  for (int stage = 0; stage < 4; ++stage) {
    EXPECT_EQ(even.layers(stage).begin, next);
    EXPECT_GE(even.layers(stage).size(), 1);
    next = even.layers(stage).end;
  }
  EXPECT_EQ(next, 5);
  config.vocabulary_size = 100'000;  // the head outweighs all layers
  const ParallelPlan heavy = ParallelPlan::make(config, 1, 2).value();
  EXPECT_EQ(heavy.layers(1).size(), 1);
}

TEST(Checkpoint, ARankReadsOnlyTheBytesOfItsShard) {
  const std::string dir = std::string(TRIREME_TEST_DATA) + "/golden/models/qwen2-tied";
  int64_t sharded = 0;
  int64_t expected = 0;
  ModelSource source = open_model(dir).value();
  const TensorTable table(source.config);
  ASSERT_TRUE(check_tensors(table, *source.checkpoint).value().empty());
  const ParallelPlan plan = ParallelPlan::make(source.config, 2, 2).value();
  for (int rank = 0; rank < 4; ++rank) {
    const ShardSpec spec(source.config, plan, rank);
    for (const TensorEntry& entry : table.entries()) {
      if (!spec.holds(entry)) continue;
      const TensorSlice slice = spec.slice(entry);
      const StoredTensor& stored = *source.checkpoint->find(entry.names[0]);
      std::vector<std::byte> bytes(slice.rows.size() * slice.columns.size() *
                                   size_of(stored.dtype));
      ASSERT_TRUE(source.checkpoint->read(stored, slice.rows, slice.columns, bytes).ok());
      sharded += static_cast<int64_t>(bytes.size());
      expected += entry.cut == TensorCut::kReplicate ? 2 * stored.bytes / 2 : stored.bytes / 2;
    }
  }
  EXPECT_EQ(source.checkpoint->bytes_read(), sharded);
  EXPECT_EQ(sharded, expected);
}

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
