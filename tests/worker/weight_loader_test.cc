// A rank reads exactly the bytes of its shard, each tensor once.
#include "worker/forward/weight_loader.h"

#include <gtest/gtest.h>

#include "kernels/cpu_backend.h"
#include "model/checkpoint/model_source.h"

namespace trireme {
namespace weight_loader_test {

// The bytes that all ranks of a partition read together, counted without ShardSpec: a replicated
// tensor once per rank of its stage, any other once; a tied embedding on two stages twice.
int64_t expected_bytes(const ModelSource& source, int tp, int pp, const std::string& backend) {
  int64_t bytes = 0;
  const TensorTable table(source.config);
  for (const TensorEntry& entry : table.entries()) {
    const StoredTensor* stored = source.checkpoint->find(entry.names.front());
    const bool replicated =
        entry.partition == TensorPartition::kReplicate ||
        (entry.partition == TensorPartition::kKvHeadRows && source.config.num_kv_heads < tp);
    const int64_t copies = !replicated ? 1
                           : entry.partition == TensorPartition::kKvHeadRows
                               ? tp / source.config.num_kv_heads
                               : tp;
    const bool twice =
        entry.role == TensorRole::kEmbedding && source.config.tied_embeddings && pp > 1;
    // On CUDA each rank of the first stage has the whole table; its head is a range of the rows.
    const bool whole = entry.role == TensorRole::kEmbedding && backend == "cuda";
    bytes += stored->bytes * (whole ? tp - copies : 0);
    bytes += stored->bytes * copies * (twice ? 2 : 1);
  }
  return bytes;
}

class Loading : public testing::TestWithParam<std::string> {};

TEST_P(Loading, ReadsTheBytesOfEachShardOnce) {
  constexpr std::pair<int, int> kPartitions[] = {{1, 1}, {2, 1}, {1, 2}, {4, 2}, {8, 1}};
  for (const std::string backend_of_plan : {"cpu", "cuda"}) {
    for (const auto& [tp, pp] : kPartitions) {
      auto source = open_model(std::string(TRIREME_SOURCE_DIR "/") + GetParam());
      ASSERT_TRUE(source.ok()) << message_of(source.status());
      const auto partition = ParallelPlan::make(source->config, tp, pp, backend_of_plan);
      ASSERT_TRUE(partition.ok()) << message_of(partition.status());
      const int64_t before = source->checkpoint->bytes_read();
      int64_t reported = 0;
      for (int rank = 0; rank < tp * pp; ++rank) {
        auto backend = make_cpu_backend({});
        ASSERT_TRUE(backend.ok()) << message_of(backend.status());
        const ShardSpec shard(source->config, *partition, rank);
        int64_t last = 0;
        int64_t total = -1;
        const auto weights = load_weights(
            source->config, *source->checkpoint, shard, **backend, [&](int64_t done, int64_t all) {
              EXPECT_GT(done, last);
              last = done;
              total = all;
            });
        ASSERT_TRUE(weights.ok()) << message_of(weights.status());
        EXPECT_EQ(last, total);
        reported += last;
      }
      const int64_t read = source->checkpoint->bytes_read() - before;
      EXPECT_EQ(read, expected_bytes(*source, tp, pp, backend_of_plan))
          << backend_of_plan << ", tp " << tp << ", pp " << pp;
      EXPECT_EQ(read, reported);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models,
                         Loading,
                         testing::Values("models/demo",
                                         "tests/data/golden/models/llama-gqa",
                                         "tests/data/golden/models/qwen2-tied",
                                         "tests/data/golden/models/qwen3-qk-norm",
                                         "tests/data/golden/models/llama-rope-llama3-sharded"),
                         [](const auto& info) { return format_text("model{}", info.index); });

TEST(Loading, ATiedHeadOnOneStageIsTheEmbeddingItself) {
  auto source = open_model(TRIREME_SOURCE_DIR "/models/demo");
  ASSERT_TRUE(source.ok());
  auto backend = make_cpu_backend({});
  const auto partition = ParallelPlan::make(source->config, 1, 1);
  const ShardSpec shard(source->config, *partition, 0);
  const auto weights = load_weights(source->config, *source->checkpoint, shard, **backend, nullptr);
  ASSERT_TRUE(weights.ok());
  EXPECT_EQ(weights->own_head, nullptr);
  EXPECT_EQ(&weights->head(), weights->embedding.get());
}

}  // namespace weight_loader_test
}  // namespace trireme
