#include "tests/worker/reference_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "model/rope.h"
#include "model/tensor_table.h"

namespace trireme {
namespace {

using Row = std::vector<double>;
using Rows = std::vector<Row>;

class ReferenceModel {
 public:
  ReferenceModel(const ModelConfig& config, Checkpoint& checkpoint)
      : config_(config), checkpoint_(checkpoint), table_(config) {}

  Rows run(const std::vector<TokenId>& ids);

 private:
  // The whole tensor, row-major; empty where the model has none.
  Row load(TensorRole role, int64_t layer = -1);
  Row norm(const Row& x, const Row& weight) const;
  Row multiply(const Row& weight, const Row& x, const Row& bias) const;
  void rotate(double* head, int64_t position, int64_t layer) const;
  Rows attend(const Rows& x, int64_t layer);
  Rows mlp(const Rows& x, int64_t layer);

  const ModelConfig& config_;
  Checkpoint& checkpoint_;
  const TensorTable table_;
};

Row ReferenceModel::load(TensorRole role, int64_t layer) {
  const TensorEntry* entry = table_.find(role, layer);
  if (entry == nullptr) return {};
  const StoredTensor* stored = checkpoint_.find(entry->names.front());
  EXPECT_NE(stored, nullptr) << entry->names.front();
  std::vector<std::byte> bytes(stored->bytes);
  const Status read = checkpoint_.read(*stored, {0, entry->rows}, {0, entry->columns}, bytes);
  EXPECT_TRUE(read.ok()) << message_of(read);
  Row values(entry->rows * entry->columns);
  for (size_t i = 0; i < values.size(); ++i) {
    switch (stored->dtype) {
      case DType::kBFloat16:
        values[i] = bf16_to_float(reinterpret_cast<const bf16_t*>(bytes.data())[i]);
        break;
      case DType::kFloat16:
        values[i] = fp16_to_float(reinterpret_cast<const fp16_t*>(bytes.data())[i]);
        break;
      default:
        values[i] = reinterpret_cast<const float*>(bytes.data())[i];
    }
  }
  return values;
}

Row ReferenceModel::norm(const Row& x, const Row& weight) const {
  double squares = 0;
  for (const double value : x) squares += value * value;
  const double scale =
      1 / std::sqrt(squares / static_cast<double>(x.size()) + config_.norm_epsilon);
  Row out(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    out[i] = x[i] * scale * (weight[i] + config_.norm_weight_offset);
  }
  return out;
}

Row ReferenceModel::multiply(const Row& weight, const Row& x, const Row& bias) const {
  Row out(weight.size() / x.size());
  for (size_t row = 0; row < out.size(); ++row) {
    double sum = bias.empty() ? 0 : bias[row];
    for (size_t k = 0; k < x.size(); ++k) sum += weight[row * x.size() + k] * x[k];
    out[row] = sum;
  }
  return out;
}

void ReferenceModel::rotate(double* head, int64_t position, int64_t layer) const {
  const int64_t half = config_.head_dim / 2;
  const RopeConfig& rope = config_.ropes[config_.layer_rope[layer]];
  const std::vector<float> frequencies = rope_inverse_frequencies(rope, config_.head_dim);
  for (int64_t i = 0; i < half; ++i) {
    const double angle = static_cast<double>(position) * frequencies[i];
    const double cosine = std::cos(angle) * rope.attention_factor;
    const double sine = std::sin(angle) * rope.attention_factor;
    const double a = head[i];
    const double b = head[i + half];
    head[i] = a * cosine - b * sine;
    head[i + half] = b * cosine + a * sine;
  }
}

Rows ReferenceModel::attend(const Rows& x, int64_t layer) {
  const int64_t dim = config_.head_dim;
  const Row q_weight = load(TensorRole::kQuery, layer),
            q_bias = load(TensorRole::kQueryBias, layer);
  const Row k_weight = load(TensorRole::kKey, layer), k_bias = load(TensorRole::kKeyBias, layer);
  const Row v_weight = load(TensorRole::kValue, layer),
            v_bias = load(TensorRole::kValueBias, layer);
  const Row q_norm = load(TensorRole::kQueryNorm, layer);
  const Row k_norm = load(TensorRole::kKeyNorm, layer);
  const Row o_weight = load(TensorRole::kAttentionOutput, layer);
  const Row o_bias = load(TensorRole::kAttentionOutputBias, layer);
  const auto finish = [&](Row heads, const Row& weight, int64_t position) {
    for (size_t start = 0; start < heads.size(); start += dim) {
      if (!weight.empty()) {
        const Row normed = norm(Row(&heads[start], &heads[start] + dim), weight);
        std::copy(normed.begin(), normed.end(), &heads[start]);
      }
      rotate(&heads[start], position, layer);
    }
    return heads;
  };
  Rows q, k, v, out;
  for (size_t t = 0; t < x.size(); ++t) {
    q.push_back(finish(multiply(q_weight, x[t], q_bias), q_norm, static_cast<int64_t>(t)));
    k.push_back(finish(multiply(k_weight, x[t], k_bias), k_norm, static_cast<int64_t>(t)));
    v.push_back(multiply(v_weight, x[t], v_bias));
  }
  const int64_t window = config_.layer_window[layer];
  const int64_t group = config_.num_heads / config_.num_kv_heads;
  for (int64_t t = 0; t < static_cast<int64_t>(x.size()); ++t) {
    Row context(config_.num_heads * dim, 0);
    for (int64_t head = 0; head < config_.num_heads; ++head) {
      const int64_t first = window > 0 ? std::max<int64_t>(0, t - window + 1) : 0;
      Row scores;
      double largest = -1e300;
      for (int64_t j = first; j <= t; ++j) {
        double score = 0;
        for (int64_t d = 0; d < dim; ++d) {
          score += q[t][head * dim + d] * k[j][head / group * dim + d];
        }
        scores.push_back(score * config_.attention_scale);
        largest = std::max(largest, scores.back());
      }
      double total = 0;
      for (double& score : scores) total += score = std::exp(score - largest);
      for (int64_t j = first; j <= t; ++j) {
        for (int64_t d = 0; d < dim; ++d) {
          context[head * dim + d] += scores[j - first] / total * v[j][head / group * dim + d];
        }
      }
    }
    out.push_back(multiply(o_weight, context, o_bias));
  }
  return out;
}

Rows ReferenceModel::mlp(const Rows& x, int64_t layer) {
  const Row gate_weight = load(TensorRole::kGate, layer),
            gate_bias = load(TensorRole::kGateBias, layer);
  const Row up_weight = load(TensorRole::kUp, layer), up_bias = load(TensorRole::kUpBias, layer);
  const Row down_weight = load(TensorRole::kDown, layer),
            down_bias = load(TensorRole::kDownBias, layer);
  Rows out;
  for (const Row& row : x) {
    Row gate = multiply(gate_weight, row, gate_bias);
    const Row up = multiply(up_weight, row, up_bias);
    for (size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
    out.push_back(multiply(down_weight, gate, down_bias));
  }
  return out;
}

Rows ReferenceModel::run(const std::vector<TokenId>& ids) {
  const int64_t hidden = config_.hidden_size;
  const Row embedding = load(TensorRole::kEmbedding);
  Rows x;
  for (const TokenId id : ids) {
    x.emplace_back(embedding.begin() + id * hidden, embedding.begin() + (id + 1) * hidden);
  }
  const auto add = [&](const Rows& delta) {
    for (size_t t = 0; t < x.size(); ++t) {
      for (int64_t i = 0; i < hidden; ++i) x[t][i] += delta[t][i];
    }
  };
  const auto normed = [&](const Row& weight) {
    Rows out;
    for (const Row& row : x) out.push_back(norm(row, weight));
    return out;
  };
  for (int64_t layer = 0; layer < config_.num_layers; ++layer) {
    add(attend(normed(load(TensorRole::kAttentionNorm, layer)), layer));
    add(mlp(normed(load(TensorRole::kMlpNorm, layer)), layer));
  }
  const Row head = config_.tied_embeddings ? embedding : load(TensorRole::kHead);
  Rows logits;
  for (const Row& row : normed(load(TensorRole::kFinalNorm))) {
    logits.push_back(multiply(head, row, {}));
  }
  return logits;
}

}  // namespace

std::vector<std::vector<double>> reference_logits(const ModelConfig& config,
                                                  Checkpoint& checkpoint,
                                                  const std::vector<TokenId>& ids) {
  return ReferenceModel(config, checkpoint).run(ids);
}

}  // namespace trireme
