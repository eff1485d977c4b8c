#include "worker/forward/shard_model.h"

#include <algorithm>
#include <utility>

#include "model/rope.h"

namespace trireme {
namespace {

void add_over_ranks(Lane& lane, Tensor tensor, Progress& progress) {
  if (lane.comm->size() == 1) return;
  progress.enter(Phase::kWaitTensor);
  lane.comm->all_reduce(*lane.queue, tensor.with_gaps());
  progress.work();
}

}  // namespace

ShardModel::ShardModel(const ModelConfig& config,
                       const ShardSpec& shard,
                       Backend& backend,
                       ModelWeights weights)
    : config_(&config), shard_(&shard), backend_(&backend), weights_(std::move(weights)) {
  heads_.num_heads = static_cast<int32_t>(shard.num_heads());
  heads_.num_kv_heads = static_cast<int32_t>(shard.num_kv_heads());
  heads_.head_dim = static_cast<int32_t>(config.head_dim);
  for (int64_t layer = shard.layers().begin; layer < shard.layers().end; ++layer) {
    const auto same = std::ranges::find_if(class_layer_, [&](int64_t other) {
      return config.layer_window[other] == config.layer_window[layer];
    });
    attention_class_.push_back(same - class_layer_.begin());
    if (same == class_layer_.end()) class_layer_.push_back(layer);
  }
}

StatusOr<ShardModel> ShardModel::make(const ModelConfig& config,
                                      const ShardSpec& shard,
                                      Backend& backend,
                                      ModelWeights weights,
                                      int64_t max_positions) {
  ShardModel model(config, shard, backend, std::move(weights));
  Queue& queue = backend.lane();
  for (const RopeConfig& rope : config.ropes) {
    const std::vector<float> table = rope_table(rope, config.head_dim, max_positions);
    const auto bytes = std::as_bytes(std::span(table));
    ASSIGN_OR_RETURN(Buffer buffer, backend.allocate(bytes.size(), "a rotation table"));
    backend.upload(queue, buffer.data(), bytes);
    model.ropes_.push_back({reinterpret_cast<const float*>(buffer.data()),
                            static_cast<int32_t>(max_positions),
                            model.heads_.head_dim});
    model.rope_tables_.push_back(std::move(buffer));
  }
  RETURN_IF_ERROR(backend.wait(queue, 0));
  return model;
}

void ShardModel::embed(Lane& lane,
                       const BatchView& batch,
                       Tensor residual,
                       Progress& progress) const {
  const IndexRange rows = shard_->embedding_rows();
  backend_->embed(*lane.queue, batch, *weights_.embedding, rows.begin, residual);
  progress.bump();
  if (rows.size() == config_->vocabulary_size) return;
  add_over_ranks(lane, residual, progress);  // one rank has the row, the others add zeros
}

void ShardModel::run_layers(Lane& lane,
                            const BatchView& batch,
                            const KvPages& pages,
                            Tensor residual,
                            LayerTap& tap,
                            Progress& progress) const {
  Queue& queue = *lane.queue;
  Workspace& workspace = lane.workspace;
  const int64_t tokens = batch.num_tokens;
  const Tensor normed = lane.normed.first_rows(tokens);
  const Tensor qkv = lane.qkv.first_rows(tokens);
  const Tensor query = lane.query.first_rows(tokens);
  const Tensor context = lane.context.first_rows(tokens);
  const Tensor gated = lane.gated.first_rows(tokens);
  const Tensor delta = lane.delta.first_rows(tokens);

  for (size_t i = 0; i < class_layer_.size(); ++i) {
    backend_->plan_attention(
        queue, batch, attention_spec(class_layer_[i]), pages, lane.attention_plans[i]);
  }
  const int64_t first_layer = shard_->layers().begin;
  if (first_layer == 0 && tap.wants(0)) tap.take(0, residual);
  if (weights_.layers.empty()) return;

  backend_->add_norm(queue, residual, nullptr, {}, norm(weights_.layers[0].attention_norm), normed);
  progress.bump();
  for (size_t local = 0; local < weights_.layers.size(); ++local) {
    const LayerWeights& weights = weights_.layers[local];
    const int64_t layer = first_layer + static_cast<int64_t>(local);
    const auto cache_layer = static_cast<int32_t>(local);

    backend_->linear_qkv(queue,
                         workspace,
                         normed,
                         *weights.qkv,
                         weights.qkv_bias,
                         {batch, qkv, qkv_spec(layer), pages, cache_layer, query});
    progress.bump();
    backend_->attention(queue,
                        workspace,
                        batch,
                        query,
                        attention_spec(layer),
                        lane.attention_plans[attention_class_[local]],
                        pages,
                        cache_layer,
                        context);
    progress.bump();
    add_to_residual(lane,
                    context,
                    *weights.output,
                    {delta, residual, weights.output_bias, norm(weights.mlp_norm), normed},
                    progress);
    backend_->linear(queue,
                     workspace,
                     normed,
                     *weights.gate_up,
                     {.bias = weights.gate_up_bias, .activation = Activation::kSiluGate},
                     gated);
    progress.bump();
    NormedSum sum = {delta, residual, weights.down_bias, {}, {}};
    if (local + 1 < weights_.layers.size()) {
      sum.norm = norm(weights_.layers[local + 1].attention_norm);
      sum.out = normed;
    }
    add_to_residual(lane, gated, *weights.down, sum, progress);
    lane.comm->poll();  // progress for residuals in flight
    if (layer + 1 < config_->num_layers && tap.wants(layer + 1)) tap.take(layer + 1, residual);
  }
}

// residual += all_reduce(x weight^T) + bias; out = norm(residual).
void ShardModel::add_to_residual(
    Lane& lane, Tensor x, const Weight& weight, const NormedSum& sum, Progress& progress) const {
  Queue& queue = *lane.queue;
  if (lane.comm->size() == 1) {
    backend_->linear_add_norm(queue, lane.workspace, x, weight, sum);
    progress.bump();
    return;
  }
  backend_->linear(queue, lane.workspace, x, weight, {}, sum.delta);
  progress.bump();
  add_over_ranks(lane, sum.delta, progress);
  backend_->add_norm(queue, sum.residual, &sum.delta, sum.bias, sum.norm, sum.out);
  progress.bump();
}

void ShardModel::final_norm(Lane& lane, Tensor residual, const int32_t* rows, Tensor out) const {
  const Tensor asked = lane.head_rows.first_rows(out.rows);
  backend_->gather_rows(*lane.queue, residual, rows, asked);
  backend_->add_norm(*lane.queue, asked, nullptr, {}, norm(weights_.final_norm), out);
}

void ShardModel::head(
    Lane& lane, Tensor residual, const int32_t* rows, Tensor logits, Progress& progress) const {
  const Tensor normed = lane.head_normed.first_rows(logits.rows);
  final_norm(lane, residual, rows, normed);
  progress.bump();
  backend_->linear(*lane.queue, lane.workspace, normed, weights_.head(), {}, logits);
  progress.bump();
}

std::vector<ShardModel::LayerMatmul> ShardModel::layer_matmuls(const Lane& lane) const {
  using Next = LinearCall::Next;
  const LayerWeights& first = weights_.layers[0];
  const Next after_sum = lane.comm->size() == 1 ? Next::kNorm : Next::kNothing;
  return {
      {"qkv", &LayerWeights::qkv, lane.normed, {.bias = first.qkv_bias}, lane.qkv, Next::kHeads},
      {"output", &LayerWeights::output, lane.context, {}, lane.delta, after_sum},
      {"gate_up",
       &LayerWeights::gate_up,
       lane.normed,
       {.bias = first.gate_up_bias, .activation = Activation::kSiluGate},
       lane.gated,
       Next::kNothing},
      {"down", &LayerWeights::down, lane.gated, {}, lane.delta, after_sum},
  };
}

std::vector<MatmulUse> ShardModel::matmuls(const Lane& lane,
                                           int64_t num_tokens,
                                           int64_t num_head_rows) const {
  std::vector<MatmulUse> uses;
  const auto add = [&](const char* name, const LinearCall& call) {
    uses.push_back({name,
                    call.x.rows,
                    call.weight->n(),
                    call.weight->k(),
                    backend_->describe_linear(*lane.queue, lane.workspace, call)});
  };
  if (weights_.layers.empty()) return uses;
  for (const LayerMatmul& matmul : layer_matmuls(lane)) {
    add(matmul.name,
        {matmul.x.first_rows(num_tokens),
         (weights_.layers[0].*matmul.weight).get(),
         matmul.epilogue,
         matmul.out.first_rows(num_tokens),
         matmul.next,
         heads_.head_dim,
         ropes_[config_->layer_rope[0]].rotary_dim});
  }
  if (!shard_->has_head() || num_head_rows == 0) return uses;
  const Tensor rows = lane.head_normed.first_rows(std::min(num_head_rows, lane.head_normed.rows));
  // The sampler's logits, which are dense as well.
  const Tensor logits(lane.workspace.data, DType::kFloat32, rows.rows, weights_.head().n());
  add("head", {rows, &weights_.head(), {}, logits});
  return uses;
}

void ShardModel::tune(Lane& lane, int64_t max_batched_tokens, Progress& progress) const {
  if (weights_.layers.empty()) return;
  constexpr size_t kMaxLayers = 8;  // weights of several layers in turn, so that none stays cached
  const size_t num_layers = std::min(weights_.layers.size(), kMaxLayers);
  for (const LayerMatmul& matmul : layer_matmuls(lane)) {
    std::vector<const Weight*> weights;
    for (size_t i = 0; i < num_layers; ++i) {
      weights.push_back((weights_.layers[i].*matmul.weight).get());
    }
    for (int64_t rows = 1; rows < 2 * max_batched_tokens; rows *= 2) {
      const int64_t used = std::min(rows, max_batched_tokens);
      backend_->tune_linear(*lane.queue,
                            lane.workspace,
                            matmul.x.first_rows(used),
                            weights,
                            matmul.epilogue,
                            matmul.out.first_rows(used));
      progress.bump();
    }
  }
}

Norm ShardModel::norm(Vector weight) const {
  Norm norm;
  norm.kind = config_->norm == ConfigNorm::kLayer ? NormKind::kLayer : NormKind::kRms;
  norm.epsilon = static_cast<float>(config_->norm_epsilon);
  norm.weight_offset = static_cast<float>(config_->norm_weight_offset);
  norm.weight = weight;
  return norm;
}

QkvSpec ShardModel::qkv_spec(int64_t layer) const {
  const LayerWeights& weights = weights_.layers[layer - shard_->layers().begin];
  QkvSpec spec;
  spec.shape = heads_;
  spec.rope = ropes_[config_->layer_rope[layer]];
  spec.q_norm = weights.q_norm;
  spec.k_norm = weights.k_norm;
  spec.norm_epsilon = static_cast<float>(config_->norm_epsilon);
  spec.norm_weight_offset = static_cast<float>(config_->norm_weight_offset);
  return spec;
}

AttentionSpec ShardModel::attention_spec(int64_t layer) const {
  AttentionSpec spec;
  spec.shape = heads_;
  spec.scale = static_cast<float>(config_->attention_scale);
  spec.window = config_->layer_window[layer];
  spec.soft_cap = static_cast<float>(config_->attention_soft_cap);
  return spec;
}

}  // namespace trireme
