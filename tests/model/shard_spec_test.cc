#include "model/shard_spec.h"

#include <gtest/gtest.h>

#include "model/tensor_table.h"

namespace trireme {
namespace shard_spec_test {

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
      if (entry.partition == TensorPartition::kReplicate ||
          entry.partition == TensorPartition::kKvHeadRows)
        continue;
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

}  // namespace shard_spec_test
}  // namespace trireme
