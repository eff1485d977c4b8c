#include "worker/forward/weight_loader.h"

#include <cstring>
#include <initializer_list>
#include <set>
#include <utility>

#include "base/check.h"

namespace trireme {
namespace {

// This rank's part of a tensor, in host memory, in the checkpoint's dtype.
struct HostTensor {
  std::vector<std::byte> bytes;
  Tensor view;
  TensorSlice slice;
};

class WeightLoader {
 public:
  WeightLoader(const ModelConfig& config,
               Checkpoint& checkpoint,
               const ShardSpec& shard,
               Backend& backend,
               const LoadProgress& progress)
      : table_(config),
        config_(config),
        checkpoint_(checkpoint),
        shard_(shard),
        backend_(backend),
        progress_(progress),
        queue_(backend.lane()) {
    for (const TensorEntry& entry : table_.entries()) {
      if (shard_.holds(entry)) bytes_total_ += bytes_of(entry);
    }
  }

  StatusOr<ModelWeights> load();

 private:
  Status load_embedding(bool is_head);
  StatusOr<LayerWeights> load_layer(int64_t layer);
  StatusOr<std::unique_ptr<Weight>> matrix(std::initializer_list<TensorRole> roles,
                                           int64_t layer,
                                           WeightLayout layout);
  // The roles' values, concatenated; empty where the model has none of them.
  StatusOr<Vector> vector(std::initializer_list<TensorRole> roles, int64_t layer);
  StatusOr<HostTensor> read(const TensorEntry& entry);
  const StoredTensor* stored(const TensorEntry& entry) const;
  int64_t bytes_of(const TensorEntry& entry) const;
  void check_complete() const;

  const TensorTable table_;
  const ModelConfig& config_;
  Checkpoint& checkpoint_;
  const ShardSpec& shard_;
  Backend& backend_;
  const LoadProgress& progress_;
  Queue& queue_;
  ModelWeights weights_;
  std::set<const TensorEntry*> read_;
  int64_t bytes_done_ = 0;
  int64_t bytes_total_ = 0;
};

StatusOr<ModelWeights> WeightLoader::load() {
  const bool tied_here =
      config_.tied_embeddings && shard_.has_head();  // head and embedding share a matrix
  if (shard_.has_embedding() || tied_here) {
    RETURN_IF_ERROR(load_embedding(tied_here));
  }
  for (int64_t layer = shard_.layers().begin; layer < shard_.layers().end; ++layer) {
    ASSIGN_OR_RETURN(LayerWeights loaded, load_layer(layer));
    weights_.layers.push_back(std::move(loaded));
  }
  if (shard_.has_head()) {
    ASSIGN_OR_RETURN(weights_.final_norm, vector({TensorRole::kFinalNorm}, -1));
    if (!config_.tied_embeddings) {
      ASSIGN_OR_RETURN(weights_.own_head, matrix({TensorRole::kHead}, -1, WeightLayout::kRows));
    }
  }
  check_complete();
  RETURN_IF_ERROR(backend_.wait(queue_, 0));
  return std::move(weights_);
}

StatusOr<LayerWeights> WeightLoader::load_layer(int64_t layer) {
  using enum TensorRole;
  LayerWeights out;
  ASSIGN_OR_RETURN(out.attention_norm, vector({kAttentionNorm}, layer));
  ASSIGN_OR_RETURN(out.qkv, matrix({kQuery, kKey, kValue}, layer, WeightLayout::kRows));
  ASSIGN_OR_RETURN(out.qkv_bias, vector({kQueryBias, kKeyBias, kValueBias}, layer));
  ASSIGN_OR_RETURN(out.q_norm, vector({kQueryNorm}, layer));
  ASSIGN_OR_RETURN(out.k_norm, vector({kKeyNorm}, layer));
  ASSIGN_OR_RETURN(out.output, matrix({kAttentionOutput}, layer, WeightLayout::kRows));
  ASSIGN_OR_RETURN(out.output_bias, vector({kAttentionOutputBias}, layer));
  ASSIGN_OR_RETURN(out.mlp_norm, vector({kMlpNorm}, layer));
  ASSIGN_OR_RETURN(out.gate_up, matrix({kGate, kUp}, layer, WeightLayout::kGateUp));
  ASSIGN_OR_RETURN(out.gate_up_bias, vector({kGateBias, kUpBias}, layer));
  ASSIGN_OR_RETURN(out.down, matrix({kDown}, layer, WeightLayout::kRows));
  ASSIGN_OR_RETURN(out.down_bias, vector({kDownBias}, layer));
  return out;
}

// Where the rank holds the whole table, its head is a range of the table's rows: a view if the
// backend supports one, else a second packed copy.
Status WeightLoader::load_embedding(bool is_head) {
  const TensorEntry& entry = *table_.find(TensorRole::kEmbedding);
  ASSIGN_OR_RETURN(const HostTensor table, read(entry));
  const IndexRange part = shard_.vocabulary();
  const bool is_partial = is_head && table.slice.rows != part;
  WeightSpec spec;
  if (is_partial) spec.spare_rows = Backend::kSpareRows;
  ASSIGN_OR_RETURN(weights_.embedding, backend_.pack(std::span(&table.view, 1), spec));
  if (!is_partial) return ok_status();
  weights_.own_head = backend_.rows_of(*weights_.embedding, part.begin, part.size());
  if (weights_.own_head != nullptr) return ok_status();
  Tensor rows = table.view;
  rows.data += part.begin * rows.row_stride * size_of(rows.dtype);
  rows.rows = part.size();
  ASSIGN_OR_RETURN(weights_.own_head, backend_.pack(std::span(&rows, 1), {}));
  return ok_status();
}

StatusOr<std::unique_ptr<Weight>> WeightLoader::matrix(std::initializer_list<TensorRole> roles,
                                                       int64_t layer,
                                                       WeightLayout layout) {
  std::vector<HostTensor> parts;
  std::vector<Tensor> views;
  for (const TensorRole role : roles) {
    const TensorEntry* entry = table_.find(role, layer);
    CHECK_THAT(entry != nullptr, "a matrix that the tensor table lacks");
    ASSIGN_OR_RETURN(HostTensor part, read(*entry));
    parts.push_back(std::move(part));
    views.push_back(parts.back().view);
  }
  WeightSpec spec;
  spec.layout = layout;
  spec.leaf_ends = parts.front().slice.leaf_ends;
  return backend_.pack(views, spec);
}

StatusOr<Vector> WeightLoader::vector(std::initializer_list<TensorRole> roles, int64_t layer) {
  std::vector<float> values;
  for (const TensorRole role : roles) {
    const TensorEntry* entry = table_.find(role, layer);
    if (entry == nullptr) continue;
    ASSIGN_OR_RETURN(const HostTensor part, read(*entry));
    const int64_t count = part.view.rows * part.view.columns;
    for (int64_t i = 0; i < count; ++i) {
      switch (part.view.dtype) {
        case DType::kBFloat16:
          values.push_back(bf16_to_float(part.view.row<bf16_t>(0)[i]));
          break;
        case DType::kFloat16:
          values.push_back(fp16_to_float(part.view.row<fp16_t>(0)[i]));
          break;
        default:
          values.push_back(part.view.row<float>(0)[i]);
      }
    }
  }
  if (values.empty()) return Vector{};
  const auto bytes = std::as_bytes(std::span(values));
  ASSIGN_OR_RETURN(Buffer buffer, backend_.allocate(bytes.size(), "a norm or bias"));
  backend_.upload(queue_, buffer.data(), bytes);
  const Vector vector{reinterpret_cast<const float*>(buffer.data()),
                      static_cast<int64_t>(values.size())};
  weights_.vectors.push_back(std::move(buffer));
  return vector;
}

StatusOr<HostTensor> WeightLoader::read(const TensorEntry& entry) {
  CHECK_THAT(shard_.holds(entry) && read_.insert(&entry).second, "a tensor read twice");
  const StoredTensor* const source = stored(entry);
  if (source == nullptr) {
    return invalid("TRI-GRP-006",
                   "the checkpoint lost the tensor {} after it was checked; was the folder changed "
                   "while loading?",
                   entry.names.front());
  }
  HostTensor part;
  part.slice = shard_.slice(entry);
  const int64_t rows = part.slice.rows.size();
  const int64_t columns = part.slice.columns.size();
  part.bytes.resize(rows * columns * size_of(source->dtype));
  RETURN_IF_ERROR(checkpoint_.read(*source, part.slice.rows, part.slice.columns, part.bytes));
  part.view = Tensor(part.bytes.data(), source->dtype, rows, columns);
  bytes_done_ += static_cast<int64_t>(part.bytes.size());
  if (progress_) progress_(bytes_done_, bytes_total_);
  return part;
}

const StoredTensor* WeightLoader::stored(const TensorEntry& entry) const {
  for (const std::string& name : entry.names) {
    if (const StoredTensor* found = checkpoint_.find(name)) return found;
  }
  return nullptr;
}

int64_t WeightLoader::bytes_of(const TensorEntry& entry) const {
  const StoredTensor* const source = stored(entry);
  if (source == nullptr) return 0;
  const TensorSlice slice = shard_.slice(entry);
  return slice.rows.size() * slice.columns.size() * size_of(source->dtype);
}

// Every tensor of the rank's shard has been read; otherwise load_layer() lacks one.
void WeightLoader::check_complete() const {
  for (const TensorEntry& entry : table_.entries()) {
    CHECK_THAT(!shard_.holds(entry) || read_.contains(&entry), entry.names.front().c_str());
  }
}

}  // namespace

StatusOr<ModelWeights> load_weights(const ModelConfig& config,
                                    Checkpoint& checkpoint,
                                    const ShardSpec& shard,
                                    Backend& backend,
                                    const LoadProgress& progress) {
  return WeightLoader(config, checkpoint, shard, backend, progress).load();
}

}  // namespace trireme
