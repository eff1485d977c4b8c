#include "model/shard_spec.h"

#include "base/check.h"

namespace trireme {

namespace {

// The first unit of part `index`, with `count` units divided into `parts` parts as evenly as
// possible.
int64_t part_begin(int64_t count, int64_t index, int64_t parts) { return count * index / parts; }

// The units of leaves [first_leaf, end_leaf), with `count` units divided into kLeaves leaves.
IndexRange leaf_range(int64_t count, int64_t first_leaf, int64_t end_leaf) {
  return {part_begin(count, first_leaf, kLeaves), part_begin(count, end_leaf, kLeaves)};
}

IndexRange scaled(IndexRange range, int64_t factor) {
  return {range.begin * factor, range.end * factor};
}

}  // namespace

ShardSpec::ShardSpec(const ModelConfig& config, const ParallelPlan& plan, int rank)
    : config_(config),
      plan_(plan),
      stage_(plan.stage_of(rank)),
      tensor_index_(plan.tensor_index_of(rank)) {}

LayerRange ShardSpec::layers() const { return plan_.layers(stage_); }
bool ShardSpec::has_embedding() const { return plan_.is_first_stage(stage_); }
bool ShardSpec::has_head() const { return plan_.is_last_stage(stage_); }

IndexRange ShardSpec::heads() const {
  return {part_begin(config_.num_heads, tensor_index_, plan_.tp()),
          part_begin(config_.num_heads, tensor_index_ + 1, plan_.tp())};
}

// If tp exceeds the number of KV heads, tp / num_kv_heads ranks hold the same head.
IndexRange ShardSpec::kv_heads() const {
  const int64_t tp = plan_.tp();
  if (config_.num_kv_heads >= tp) {
    return {part_begin(config_.num_kv_heads, tensor_index_, tp),
            part_begin(config_.num_kv_heads, tensor_index_ + 1, tp)};
  }
  const int64_t head = part_begin(config_.num_kv_heads, tensor_index_, tp);
  return {head, head + 1};
}

int64_t ShardSpec::num_heads() const { return heads().size(); }
int64_t ShardSpec::num_kv_heads() const { return kv_heads().size(); }

IndexRange ShardSpec::mlp_columns() const {
  const int64_t tp = plan_.tp();
  if (kLeaves % tp != 0) {
    return {part_begin(config_.intermediate_size, tensor_index_, tp),
            part_begin(config_.intermediate_size, tensor_index_ + 1, tp)};
  }
  const int64_t leaves = kLeaves / tp;
  return leaf_range(
      config_.intermediate_size, leaves * tensor_index_, leaves * (tensor_index_ + 1));
}

IndexRange ShardSpec::vocabulary_of(int tensor_index) const {
  return {part_begin(config_.vocabulary_size, tensor_index, plan_.tp()),
          part_begin(config_.vocabulary_size, tensor_index + 1, plan_.tp())};
}

IndexRange ShardSpec::vocabulary() const { return vocabulary_of(tensor_index_); }

IndexRange ShardSpec::embedding_rows() const {
  return plan_.replicates_embedding() ? IndexRange{0, config_.vocabulary_size} : vocabulary();
}

bool ShardSpec::holds(const TensorEntry& entry) const {
  if (entry.layer >= 0) return entry.layer >= layers().begin && entry.layer < layers().end;
  switch (entry.role) {
    case TensorRole::kEmbedding:
      return has_embedding() || (config_.tied_embeddings && has_head());
    case TensorRole::kFinalNorm:
    case TensorRole::kHead:
      return has_head();
    default:
      CHECK_THAT(false, "a tensor without a layer must be embedding, final norm or head");
  }
}

// The ends of the leaves of this rank in local columns; a unit has `unit` columns.
static std::vector<int64_t> local_leaf_ends(int64_t units,
                                            int64_t unit,
                                            int64_t first_leaf,
                                            int64_t num_leaves) {
  const int64_t begin = part_begin(units, first_leaf, kLeaves);
  std::vector<int64_t> ends;
  for (int64_t leaf = first_leaf + 1; leaf <= first_leaf + num_leaves; ++leaf) {
    ends.push_back((part_begin(units, leaf, kLeaves) - begin) * unit);
  }
  return ends;
}

TensorSlice ShardSpec::slice(const TensorEntry& entry) const {
  TensorSlice slice{{0, entry.rows}, {0, entry.columns}, {}};
  const int64_t tp = plan_.tp();
  const int64_t leaves = kLeaves % tp == 0 ? kLeaves / tp : 0;
  const int64_t first_leaf = leaves * tensor_index_;
  switch (entry.partition) {
    case TensorPartition::kReplicate:
      break;
    case TensorPartition::kVocabularyRows:
      slice.rows =
          entry.role == TensorRole::kEmbedding && has_embedding() ? embedding_rows() : vocabulary();
      break;
    case TensorPartition::kHeadRows:
      slice.rows = scaled(heads(), config_.head_dim);
      break;
    case TensorPartition::kKvHeadRows:
      slice.rows = scaled(kv_heads(), config_.head_dim);
      break;
    case TensorPartition::kMlpRows:
      slice.rows = mlp_columns();
      break;
    case TensorPartition::kHeadColumns:
      slice.columns = scaled(heads(), config_.head_dim);
      slice.leaf_ends = local_leaf_ends(config_.num_heads, config_.head_dim, first_leaf, leaves);
      break;
    case TensorPartition::kMlpColumns:
      slice.columns = mlp_columns();
      slice.leaf_ends = local_leaf_ends(config_.intermediate_size, 1, first_leaf, leaves);
      break;
  }
  return slice;
}

}  // namespace trireme
