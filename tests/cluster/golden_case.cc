#include "tests/cluster/golden_case.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace trireme {

GoldenCase::GoldenCase(const std::string& dir, DType dtype) : dtype_(dtype) {
  auto golden = read_reference_outputs(dir + "/expected.safetensors");
  EXPECT_TRUE(golden.ok()) << message_of(golden.status());
  if (golden.ok()) sequences_ = std::move(golden).value();
}

std::vector<ScriptedRequest> GoldenCase::requests() const {
  std::vector<ScriptedRequest> requests;
  for (const ReferenceSequence& sequence : sequences_) {
    ScriptedRequest request;
    request.prompt = sequence.input_ids;
    request.new_tokens = static_cast<int32_t>(sequence.greedy.size());
    request.chunk = 64;
    request.logit_positions = sequence.positions;
    if (!sequence.hidden_states.empty()) {
      request.hidden_positions.resize(sequence.input_ids.size());
      for (size_t t = 0; t < sequence.input_ids.size(); ++t) {
        request.hidden_positions[t] = static_cast<int32_t>(t);
      }
    }
    requests.push_back(request);
  }
  return requests;
}

void GoldenCase::check(const Outcome& outcome) const {
  ASSERT_FALSE(sequences_.empty());
  for (size_t i = 0; i < sequences_.size(); ++i) {
    check_logits(sequences_[i], static_cast<SlotId>(i), outcome);
    check_greedy(sequences_[i], static_cast<SlotId>(i), outcome);
  }
}

void GoldenCase::check_hidden(const ModelConfig& config, const Outcome& outcome) const {
  for (size_t i = 0; i < sequences_.size(); ++i) {
    if (sequences_[i].hidden_states.empty()) continue;
    check_hidden_of(sequences_[i], static_cast<SlotId>(i), config, outcome);
  }
}

void GoldenCase::check_logits(const ReferenceSequence& sequence,
                              SlotId slot,
                              const Outcome& outcome) const {
  const auto vocabulary = static_cast<size_t>(sequence.vocabulary);
  float worst = 0;
  for (size_t row = 0; row < sequence.positions.size(); ++row) {
    const auto& logits = outcome.logits(slot, sequence.positions[row]);
    ASSERT_EQ(logits.size(), vocabulary) << "position " << sequence.positions[row];
    for (size_t id = 0; id < vocabulary; ++id) {
      const float error = std::abs(logits[id] - sequence.logits[row * vocabulary + id]);
      worst = std::max(worst, std::isnan(error) ? INFINITY : error);
    }
  }
  EXPECT_LE(worst, sequence.tolerance(dtype_)) << sequence.name;
}

// Equal up to the first difference, which passes if the reference's two best logits are close.
void GoldenCase::check_greedy(const ReferenceSequence& sequence,
                              SlotId slot,
                              const Outcome& outcome) const {
  const auto found = outcome.tokens.find(slot);
  ASSERT_NE(found, outcome.tokens.end());
  ASSERT_EQ(found->second.size(), sequence.greedy.size());
  for (size_t i = 0; i < sequence.greedy.size(); ++i) {
    if (found->second[i] == sequence.greedy[i]) continue;
    EXPECT_LE(sequence.greedy_margin[i], 2 * sequence.tolerance(dtype_))
        << sequence.name << ", greedy token " << i;
    return;
  }
}

void GoldenCase::check_hidden_of(const ReferenceSequence& sequence,
                                 SlotId slot,
                                 const ModelConfig& config,
                                 const Outcome& outcome) const {
  const size_t tokens = sequence.input_ids.size();
  const size_t hidden = config.hidden_size;
  for (int32_t layer = 0; layer <= config.num_layers; ++layer) {
    float largest = 0;
    float worst = 0;
    for (size_t t = 0; t < tokens; ++t) {
      const auto found = outcome.probes.find({slot, static_cast<int32_t>(t), layer});
      ASSERT_NE(found, outcome.probes.end()) << "layer " << layer << ", position " << t;
      for (size_t i = 0; i < hidden; ++i) {
        const float expected = sequence.hidden_states[(layer * tokens + t) * hidden + i];
        largest = std::max(largest, std::abs(expected));
        worst = std::max(worst, std::abs(found->second[i] - expected));
      }
    }
    EXPECT_LE(worst, 1e-4f * largest) << sequence.name << ", layer " << layer;
  }
}

std::vector<std::string> golden_models() {
  std::vector<std::string> models;
  for (const char* name : {"llama-gqa",
                           "llama-nested-rope",
                           "llama-rope-llama3-sharded",
                           "llama-tied-fp32",
                           "mistral-window",
                           "qwen2-tied",
                           "qwen3-qk-norm"}) {
    models.push_back(format_text("tests/data/golden/models/{}", name));
  }
  models.push_back("models/demo");
  return models;
}

}  // namespace trireme
