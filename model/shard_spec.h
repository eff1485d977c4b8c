// The shard of one rank: which rectangle of each checkpoint tensor it holds, and its local counts.
// The only place in the project that divides by a rank count. Const, any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "model/model_config.h"
#include "model/parallel_plan.h"
#include "model/tensor_table.h"

namespace trireme {

constexpr int kLeaves = 8;  // partial sums of a row-split K (docs/numerics.md)

struct IndexRange {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
  bool operator==(const IndexRange&) const = default;
};

// A rectangle of the global tensor. A vector is partitioned by `rows`; its columns are [0, 1).
struct TensorSlice {
  IndexRange rows;
  IndexRange columns;
  std::vector<int64_t> leaf_ends;  // row-split K: ends of the leaves of this rank, local columns
};

class ShardSpec {
 public:
  ShardSpec(const ModelConfig& config, const ParallelPlan& plan, int rank);

  // Whether this rank holds a part of `entry`: its stage runs that layer, the embedding or the
  // head. With tied embeddings and pp > 1 both the first stage and, as head, the last one hold the
  // embedding tensor. A rank of the last stage then holds the rows of its vocabulary() only, even
  // if the ranks of the first stage replicate the tensor.
  bool holds(const TensorEntry& entry) const;
  TensorSlice slice(const TensorEntry& entry) const;

  LayerRange layers() const;
  int64_t num_heads() const;
  int64_t num_kv_heads() const;
  IndexRange heads() const;
  IndexRange kv_heads() const;
  IndexRange mlp_columns() const;
  IndexRange vocabulary() const;
  IndexRange vocabulary_of(int tensor_index) const;  // of another rank of the stage
  IndexRange embedding_rows() const;                 // of a rank of the first stage
  bool has_embedding() const;
  bool has_head() const;

 private:
  const ModelConfig& config_;
  const ParallelPlan plan_;
  int stage_;
  int tensor_index_;
};

}  // namespace trireme
