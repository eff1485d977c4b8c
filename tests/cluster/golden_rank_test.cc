// Every golden model through whole groups of ranks: logits, hidden states and greedy tokens against
// the reference, for each cut that the model allows. One launch of eight ranks runs them all.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/reference_outputs.h"
#include "tests/cluster/ranked_worker.h"

namespace trireme {
namespace {

struct GoldenParam {
  std::string model;  // below the source tree
  DType dtype;
};

constexpr Cut kCuts[] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}, {2, 4}};

class Golden : public testing::TestWithParam<GoldenParam> {
 protected:
  float tolerance(const ReferenceSequence& sequence) const {
    return sequence.tolerance(GetParam().dtype);
  }

  void check_logits(const ReferenceSequence& sequence, SlotId slot, const Outcome& outcome) const {
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
    EXPECT_LE(worst, tolerance(sequence)) << sequence.name;
  }

  // Equal up to the first difference, which passes where the reference hesitates.
  void check_greedy(const ReferenceSequence& sequence, SlotId slot, const Outcome& outcome) const {
    const auto found = outcome.tokens.find(slot);
    ASSERT_NE(found, outcome.tokens.end());
    ASSERT_EQ(found->second.size(), sequence.greedy.size());
    for (size_t i = 0; i < sequence.greedy.size(); ++i) {
      if (found->second[i] == sequence.greedy[i]) continue;
      EXPECT_LE(sequence.greedy_margin[i], 2 * tolerance(sequence))
          << sequence.name << ", greedy token " << i;
      return;
    }
  }

  void check_hidden(const ReferenceSequence& sequence,
                    SlotId slot,
                    const ModelConfig& config,
                    const Outcome& outcome) const {
    const size_t tokens = sequence.input_ids.size();
    const size_t hidden = config.hidden_size;
    for (int32_t layer = 0; layer <= config.num_layers; ++layer) {
      float greatest = 0;
      float worst = 0;
      for (size_t t = 0; t < tokens; ++t) {
        const auto found = outcome.probes.find({slot, static_cast<int32_t>(t), layer});
        ASSERT_NE(found, outcome.probes.end()) << "layer " << layer << ", position " << t;
        for (size_t i = 0; i < hidden; ++i) {
          const float expected = sequence.hidden_states[(layer * tokens + t) * hidden + i];
          greatest = std::max(greatest, std::abs(expected));
          worst = std::max(worst, std::abs(found->second[i] - expected));
        }
      }
      EXPECT_LE(worst, 1e-4f * greatest) << sequence.name << ", layer " << layer;
    }
  }
};

TEST_P(Golden, LogitsHiddenStatesAndGreedyTokensAreTheReferences) {
  const std::string dir = std::string(TRIREME_SOURCE_DIR "/") + GetParam().model;
  auto source = open_model(dir);
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  const auto golden = read_reference_outputs(dir + "/expected.safetensors");
  ASSERT_TRUE(golden.ok()) << message_of(golden.status());

  std::vector<ScriptedRequest> requests;
  for (const ReferenceSequence& sequence : *golden) {
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

  for (const Cut cut : kCuts) {
    const auto allowed = allowed_tensor_parallel(source->config, "cpu");
    if (std::ranges::find(allowed, cut.tp) == allowed.end() || cut.pp > source->config.num_layers) {
      continue;
    }
    SCOPED_TRACE(concat("tp ", cut.tp, ", pp ", cut.pp));
    WorkerOptions options;
    options.dtype = GetParam().dtype;
    options.threads = 1;
    options.max_num_seqs = 8;
    RankedWorker worker(test_world(), *source, cut, options);
    const Outcome outcome = worker.run(requests, std::min(cut.pp, 2));
    for (size_t i = 0; i < golden->size(); ++i) {
      const auto slot = static_cast<SlotId>(i);
      check_logits((*golden)[i], slot, outcome);
      check_greedy((*golden)[i], slot, outcome);
      if (GetParam().dtype == DType::kFloat32 && !requests[i].hidden_positions.empty()) {
        check_hidden((*golden)[i], slot, source->config, outcome);
      }
    }
    if (HasFailure()) return;
  }
}

std::vector<GoldenParam> all_cases() {
  std::vector<GoldenParam> cases;
  for (const char* name : {"llama-gqa",
                           "llama-rope-llama3-sharded",
                           "llama-tied-fp32",
                           "mistral-window",
                           "qwen2-tied",
                           "qwen3-qk-norm"}) {
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
      cases.push_back({concat("tests/data/golden/models/", name), dtype});
    }
  }
  cases.push_back({"models/demo", DType::kFloat32});
  cases.push_back({"models/demo", DType::kBFloat16});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Models, Golden, testing::ValuesIn(all_cases()), [](const auto& info) {
  std::string name = info.param.model.substr(info.param.model.rfind('/') + 1);
  std::ranges::replace(name, '-', '_');
  return concat(name, "_", name_of(info.param.dtype));
});

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) { return trireme::run_rank_tests(argc, argv); }
