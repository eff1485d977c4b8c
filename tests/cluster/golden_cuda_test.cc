// The golden models through whole groups on CUDA devices, every rank a thread: logits and greedy
// tokens against the reference, with and without captured steps, and the bits of the invariant
// mode.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/cluster/golden_case.h"
#include "tests/cluster/local_workers.h"
#include "tests/worker/checkpoint_writer.h"
#include "tests/worker/reference_model.h"

namespace trireme {
namespace {

struct GoldenParam {
  std::string model;  // below the source tree
  Partition partition;
};

LocalRun run_of(const GoldenParam& param) {
  LocalRun run;
  run.model = std::string(TRIREME_SOURCE_DIR "/") + param.model;
  run.partition = param.partition;
  run.options.backend = "cuda";
  run.options.max_slots = 8;
  run.options.max_batched_tokens = 64;
  return run;
}

class GoldenCuda : public testing::TestWithParam<GoldenParam> {};

TEST_P(GoldenCuda, LogitsAndGreedyTokensAreTheReferences) {
  const LocalRun run = run_of(GetParam());
  const GoldenCase golden(run.model, run.options.dtype);
  golden.check(run_local_group(run, golden.requests()));
}

// The demo model, which takes the longest, only over two ranks.
std::vector<GoldenParam> all_cases() {
  std::vector<GoldenParam> cases;
  for (const std::string& model : golden_models()) {
    for (const Partition partition : {Partition{1, 1}, Partition{2, 1}, Partition{1, 2}}) {
      if (model.ends_with("demo") && partition.tp * partition.pp == 1) continue;
      cases.push_back({model, partition});
    }
  }
  return cases;
}

std::string name_of_case(const testing::TestParamInfo<GoldenParam>& info) {
  std::string name = info.param.model.substr(info.param.model.rfind('/') + 1);
  std::ranges::replace(name, '-', '_');
  return format_text("{}_tp{}_pp{}", name, info.param.partition.tp, info.param.partition.pp);
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenCuda, testing::ValuesIn(all_cases()), name_of_case);

// Layers with and without a window, each kind with a theta and a scaling of its own.
TEST(RopePerKindOfLayer, IsTheReference) {
  const std::string dir =
      write_random_checkpoint("rope_per_kind_of_layer",
                              R"({"model_type": "qwen3", "hidden_size": 64, "intermediate_size": 64,
          "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
          "head_dim": 32, "vocab_size": 64, "max_position_embeddings": 256,
          "use_sliding_window": true, "sliding_window": 8, "max_window_layers": 2,
          "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}}})",
                              DType::kFloat32,
                              1);
  LocalRun run = run_of({"", {1, 2}});
  run.model = dir;
  ScriptedRequest request;
  for (int i = 0; i < 45; ++i) request.prompt.push_back((7 * i + 1) % 64);
  request.logit_positions = {0, 1, 17, 31, 32, 44};
  const Outcome outcome = run_local_group(run, {request});
  auto source = open_model(dir);
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  ASSERT_EQ(source->config.ropes.size(), 2u);
  const auto reference = reference_logits(source->config, *source->checkpoint, request.prompt);
  for (const int32_t position : request.logit_positions) {
    const std::vector<float>& logits = outcome.logits(0, position);
    ReferenceSequence wanted;
    wanted.logits.assign(reference[position].begin(), reference[position].end());
    ASSERT_EQ(logits.size(), wanted.logits.size());
    const float tolerance = wanted.tolerance(run.options.dtype);
    for (size_t id = 0; id < logits.size(); ++id) {
      EXPECT_NEAR(logits[id], wanted.logits[id], tolerance);
    }
  }
  std::filesystem::remove_all(dir);
}

// Requests without logprobs, scores and probes, so that captured steps can serve every step.
std::vector<ScriptedRequest> plain_requests(int32_t chunk) {
  std::vector<ScriptedRequest> requests(3);
  for (size_t i = 0; i < requests.size(); ++i) {
    for (size_t t = 0; t < 5 + 37 * i; ++t) {
      requests[i].prompt.push_back(static_cast<TokenId>((7 * t + 13 * i + 1) % 300));
    }
    requests[i].new_tokens = 12;
    requests[i].chunk = chunk;
    requests[i].start_step = static_cast<int32_t>(2 * i);
    requests[i].seed = 100 + i;
    requests[i].sampling.temperature = i == 1 ? 0.8f : 0.0f;
  }
  return requests;
}

TEST(CapturedSteps, DrawTheSameTokensAsPlainSteps) {
  for (const Partition partition : {Partition{1, 1}, Partition{2, 1}, Partition{1, 2}}) {
    LocalRun run = run_of({"tests/data/golden/models/llama-gqa", partition});
    run.options.invariant = true;  // padding changes the shape of the batch
    const Outcome plain = run_local_group(run, plain_requests(64));
    run.captures = true;
    const Outcome captured = run_local_group(run, plain_requests(64));
    EXPECT_EQ(plain.tokens.size(), 3u);
    EXPECT_EQ(captured.tokens, plain.tokens) << "tp " << partition.tp << " pp " << partition.pp;
  }
}

// Rows with top-k, top-p and min-p beside others are part of captured steps. The third run asks for
// logprobs too, so its rows are gathered and drawn on their own.
TEST(CapturedSteps, DrawFilteredRowsAsPlainStepsDo) {
  constexpr Partition kPartitions[] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}};
  for (const Partition partition : kPartitions) {
    std::vector<ScriptedRequest> requests = plain_requests(64);
    requests.push_back(requests[1]);
    requests.push_back(requests[1]);
    for (ScriptedRequest& request : requests) request.sampling.temperature = 1.5f;
    requests[0].sampling.top_p = 0.8f;
    requests[1].sampling.top_k = 40;
    requests[2].sampling.temperature = 0;
    requests[3].sampling.min_p = 0.02f;
    requests[3].seed = 7;
    requests[4].seed = 8;
    LocalRun run = run_of({"tests/data/golden/models/llama-gqa", partition});
    run.options.invariant = true;  // padding changes the shape of the batch
    const Outcome plain = run_local_group(run, requests);
    run.captures = true;
    const Outcome captured = run_local_group(run, requests);
    EXPECT_EQ(plain.tokens.size(), 5u);
    EXPECT_EQ(captured.tokens, plain.tokens) << "tp " << partition.tp << " pp " << partition.pp;
    for (ScriptedRequest& request : requests) request.sampling.num_logprobs = 0;
    const Outcome alone = run_local_group(run, requests);
    EXPECT_EQ(alone.tokens, plain.tokens) << "tp " << partition.tp << " pp " << partition.pp;
  }
}

// A step that keeps a prompt for penalties never runs captured, whatever its key.
TEST(CapturedSteps, DoNotServeStepsWithPenalties) {
  std::vector<ScriptedRequest> requests = plain_requests(64);
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].prompt.resize(5);
    requests[i].start_step =
        static_cast<int32_t>(3 * i);  // the first two have the third's key, too
    requests[i].new_tokens = i == 2 ? 12 : 2;
    requests[i].sampling.temperature = 0;
  }
  requests[2].sampling.repetition_penalty = 1000;
  for (const Partition partition : {Partition{2, 1}, Partition{1, 2}}) {
    LocalRun run = run_of({"tests/data/golden/models/llama-gqa", partition});
    run.options.invariant = true;
    const Outcome plain = run_local_group(run, requests);
    run.captures = true;
    const Outcome captured = run_local_group(run, requests);
    EXPECT_EQ(plain.tokens.size(), 3u);
    EXPECT_EQ(captured.tokens, plain.tokens) << "tp " << partition.tp << " pp " << partition.pp;
  }
}

// Without --kv-memory, the ranks of a device share its free memory.
TEST(SharedDevice, FourRanksShareTheFreeMemoryAndServe) {
  LocalRun run = run_of({"tests/data/golden/models/llama-gqa", {2, 2}});
  run.shares_device = true;
  const GoldenCase golden(run.model, run.options.dtype);
  golden.check(run_local_group(run, golden.requests()));
}

// D1 of docs/numerics.md: logits have the same bits alone, in a batch and in chunks.
TEST(Invariant, LogitsHaveTheSameBitsInEveryBatchAndInChunks) {
  LocalRun run = run_of({"tests/data/golden/models/qwen3-qk-norm", {1, 1}});
  run.options.invariant = true;
  std::vector<ScriptedRequest> requests = plain_requests(64);
  for (ScriptedRequest& request : requests) {
    request.probe_draws = true;
    request.sampling.temperature = 0;
  }
  const Outcome together = run_local_group(run, requests);
  ASSERT_FALSE(together.probes.empty());
  for (const int32_t chunk : {1, 7, 33}) {
    std::vector<ScriptedRequest> alone = {requests[2]};
    alone[0].chunk = chunk;
    alone[0].start_step = 0;
    const Outcome outcome = run_local_group(run, alone);
    for (const auto& [key, values] : outcome.probes) {
      const auto [slot, position, layer] = key;
      const auto found = together.probes.find({2, position, layer});
      ASSERT_NE(found, together.probes.end());
      EXPECT_EQ(values, found->second) << "chunk " << chunk << " position " << position;
    }
  }
}

}  // namespace
}  // namespace trireme
