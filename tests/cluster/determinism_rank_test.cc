// D1, D2 and D3 of docs/numerics.md through whole groups of ranks: the bits of a request's logits
// and tokens do not depend on the batch, the chunks of its prompt, the source of its cached prefix,
// the number of threads, or the partition over ranks. One launch of sixteen ranks runs all.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/philox.h"
#include "tests/cluster/ranked_worker.h"
#include "tests/worker/checkpoint_writer.h"
#include "tests/worker/reference_model.h"

namespace trireme {
namespace {

std::vector<TokenId> random_ids(int32_t count, int64_t vocabulary, uint64_t seed) {
  std::vector<TokenId> ids;
  for (int32_t i = 0; i < count; ++i) {
    const auto block = philox4x32({static_cast<uint32_t>(i), 0, 0, 0}, seed);
    ids.push_back(static_cast<TokenId>(block[0] % static_cast<uint64_t>(vocabulary)));
  }
  return ids;
}

// The request whose bits are compared: 100 prompt tokens (more than three pages), 12 drawn ones.
ScriptedRequest watched(const ModelConfig& config) {
  ScriptedRequest request;
  request.prompt = random_ids(100, config.vocabulary_size, 11);
  request.new_tokens = 12;
  request.probe_draws = true;
  request.sampling.temperature = 0.8f;
  request.seed = 4711;
  return request;
}

std::vector<ScriptedRequest> other_requests(const ModelConfig& config) {
  std::vector<ScriptedRequest> others;
  for (int32_t i = 0; i < 5; ++i) {
    ScriptedRequest request;
    request.prompt = random_ids(5 + 37 * i, config.vocabulary_size, 100 + i);
    request.new_tokens = 3 + 5 * i;
    request.chunk = 13 + 20 * i;
    request.start_step = 2 * i;
    request.sampling.temperature = static_cast<float>(i % 3);
    request.sampling.top_k = i == 2 ? 7 : 0;
    request.seed = 1000 + i;
    others.push_back(request);
  }
  return others;
}

// Tokens and probed logits of `slot` have the bits of slot 0 in `expected`, from token
// `first_token` of the expected answer on.
void expect_same_bits(const Outcome& outcome,
                      SlotId slot,
                      const Outcome& expected,
                      size_t first_token = 0) {
  const std::vector<TokenId>& want = expected.tokens.at(0);
  const auto found = outcome.tokens.find(slot);
  ASSERT_NE(found, outcome.tokens.end());
  EXPECT_EQ(found->second, std::vector<TokenId>(want.begin() + first_token, want.end()));
  size_t compared = 0;
  for (const auto& [key, values] : outcome.probes) {
    if (std::get<0>(key) != slot) continue;
    const auto other = expected.probes.find({0, std::get<1>(key), std::get<2>(key)});
    ASSERT_NE(other, expected.probes.end()) << "position " << std::get<1>(key);
    EXPECT_EQ(values, other->second) << "position " << std::get<1>(key);
    ++compared;
  }
  EXPECT_EQ(compared, want.size() - first_token);
}

WorkerOptions options_for(DType dtype) {
  WorkerOptions options;
  options.dtype = dtype;
  options.threads = 1;
  options.max_slots = 8;
  return options;
}

ModelSource open_or_die(const std::string& dir) {
  auto source = open_model(dir);
  EXPECT_TRUE(source.ok()) << message_of(source.status());
  return std::move(source).value();
}

const std::string kGolden = TRIREME_SOURCE_DIR "/tests/data/golden/models/";

struct D1Param {
  std::string model;
  Partition partition;
  DType dtype;
};

class SameRequest : public testing::TestWithParam<D1Param> {
 protected:
  SameRequest()
      : source_(open_or_die(kGolden + GetParam().model)),
        worker_(std::make_unique<RankedWorker>(
            test_world(), source_, GetParam().partition, options_for(GetParam().dtype))),
        request_(watched(source_.config)),
        alone_(worker_->run({request_})) {}

  ModelSource source_;
  std::unique_ptr<RankedWorker> worker_;
  const ScriptedRequest request_;
  const Outcome alone_;
};

TEST_P(SameRequest, HasTheSameBitsForEveryChunkSize) {
  for (const int32_t chunk : {1, 7, 33, 512}) {
    SCOPED_TRACE(chunk);
    ScriptedRequest chunked = request_;
    chunked.chunk = chunk;
    expect_same_bits(worker_->run({chunked}), 0, alone_);
  }
}

TEST_P(SameRequest, HasTheSameBitsAtEveryPlaceOfABatch) {
  for (const size_t place : {0, 3, 5}) {
    SCOPED_TRACE(place);
    std::vector<ScriptedRequest> batch = other_requests(source_.config);
    batch.insert(batch.begin() + static_cast<int64_t>(place), request_);
    expect_same_bits(worker_->run(batch), static_cast<SlotId>(place), alone_);
    expect_same_bits(worker_->run(batch, 2), static_cast<SlotId>(place), alone_);  // two cohorts
  }
}

TEST_P(SameRequest, HasTheSameBitsOnCachedPages) {
  ScriptedRequest cached = request_;
  cached.shares_pages_of = 0;
  cached.cached_tokens = 64;
  cached.start_step = 5;
  const Outcome outcome = worker_->run({request_, cached});
  expect_same_bits(outcome, 0, alone_);
  expect_same_bits(outcome, 1, alone_);
}

TEST_P(SameRequest, HasTheSameBitsAfterPreemption) {
  constexpr int32_t kEmitted = 7;
  const std::vector<TokenId>& tokens = alone_.tokens.at(0);
  ScriptedRequest again = request_;
  again.prompt.insert(again.prompt.end(), tokens.begin(), tokens.begin() + kEmitted);
  again.num_emitted = kEmitted;
  again.new_tokens = request_.new_tokens - kEmitted;
  again.chunk = 41;
  expect_same_bits(worker_->run({again}), 0, alone_, kEmitted);
}

TEST_P(SameRequest, HasTheSameBitsForOneThreadAndThree) {
  WorkerOptions threaded = options_for(GetParam().dtype);
  threaded.threads = 3;
  worker_.reset();  // one worker at a time uses a group's communicators
  RankedWorker worker(test_world(), source_, GetParam().partition, threaded);
  expect_same_bits(worker.run({request_}), 0, alone_);
}

// Penalties and draws from the whole vocabulary depend on the request alone, too.
TEST_P(SameRequest, DrawsTheSameWithPenaltiesTopPAndLogprobsInABatch) {
  ScriptedRequest rich = request_;
  rich.sampling.top_p = 0.9f;
  rich.sampling.top_k = 40;
  rich.sampling.repetition_penalty = 1.2f;
  rich.sampling.presence_penalty = 0.3f;
  rich.sampling.num_logprobs = 5;
  const Outcome alone = worker_->run({rich});
  ASSERT_EQ(alone.logprobs.size(), static_cast<size_t>(rich.new_tokens));
  for (const LogprobEntry& entry : alone.logprobs) EXPECT_EQ(entry.top.size(), 5u);

  std::vector<ScriptedRequest> batch = other_requests(source_.config);
  ScriptedRequest cached = rich;
  cached.shares_pages_of = 0;
  cached.cached_tokens = 32;
  cached.start_step = 9;
  batch.insert(batch.begin(), rich);
  batch.push_back(cached);
  const Outcome outcome = worker_->run(batch, 2);
  expect_same_bits(outcome, 0, alone);
  expect_same_bits(outcome, 6, alone);
  std::vector<LogprobEntry> entries;
  for (const LogprobEntry& entry : outcome.logprobs) {
    if (entry.slot == 0) entries.push_back(entry);
  }
  EXPECT_EQ(entries, alone.logprobs);
}

INSTANTIATE_TEST_SUITE_P(D1,
                         SameRequest,
                         testing::Values(D1Param{"llama-gqa", {1, 1}, DType::kBFloat16},
                                         D1Param{"llama-gqa", {2, 2}, DType::kBFloat16},
                                         D1Param{"mistral-window", {1, 1}, DType::kFloat32},
                                         D1Param{"qwen3-qk-norm", {1, 2}, DType::kBFloat16},
                                         D1Param{"qwen2-tied", {4, 1}, DType::kFloat32}),
                         [](const auto& info) {
                           std::string name = info.param.model;
                           std::ranges::replace(name, '-', '_');
                           return format_text("{}_tp{}_pp{}",
                                              name,
                                              info.param.partition.tp,
                                              info.param.partition.pp);
                         });

// Logits and draws of `requests` for every partition of {1, 2, 4} x {1, 2, 4} that the model
// allows.
Outcome expect_same_for_every_cut(ModelSource& source,
                                  DType dtype,
                                  const std::vector<ScriptedRequest>& requests) {
  const auto allowed = allowed_tensor_parallel(source.config, "cpu");
  Outcome first;
  for (const int tp : {1, 2, 4}) {
    for (const int pp : {1, 2, 4}) {
      if (std::ranges::find(allowed, tp) == allowed.end() || pp > source.config.num_layers) {
        continue;
      }
      SCOPED_TRACE(format_text("tp {}, pp {}, {}", tp, pp, name_of(dtype)));
      RankedWorker worker(test_world(), source, {tp, pp}, options_for(dtype));
      Outcome outcome = worker.run(requests, std::min(pp, 2));
      if (tp * pp == 1) first = std::move(outcome);
      if (tp * pp == 1) continue;
      EXPECT_EQ(outcome.tokens, first.tokens);
      EXPECT_EQ(outcome.logprobs, first.logprobs);
      EXPECT_EQ(outcome.scores, first.scores);
      EXPECT_EQ(outcome.probes.size(), first.probes.size());
      EXPECT_TRUE(outcome.probes == first.probes) << "logits differ in their bits";
    }
  }
  return first;
}

class EveryPartition : public testing::TestWithParam<std::string> {};

TEST_P(EveryPartition, GivesTheSameBits) {
  ModelSource source = open_or_die(kGolden + GetParam());
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    ScriptedRequest plain = watched(source.config);
    plain.chunk = 48;
    ScriptedRequest rich = watched(source.config);
    rich.prompt.resize(21);
    rich.sampling.min_p = 0.02f;
    rich.sampling.frequency_penalty = 0.5f;
    rich.sampling.num_logprobs = 3;
    rich.scores = {{0, 4, 17, 2}, {0, 20, 3, 0}};
    ScriptedRequest greedy = watched(source.config);
    greedy.prompt.resize(33);
    greedy.sampling.temperature = 0;
    expect_same_for_every_cut(source, dtype, {plain, rich, greedy});
  }
}

INSTANTIATE_TEST_SUITE_P(D2,
                         EveryPartition,
                         testing::Values("llama-gqa",
                                         "llama-rope-llama3-sharded",
                                         "llama-tied-fp32",
                                         "mistral-window",
                                         "qwen2-tied",
                                         "qwen3-qk-norm"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

struct AwkwardShape {
  std::string name;
  std::string config;  // of config.json
  DType stored;
  int shards;
};

class Awkward : public testing::TestWithParam<AwkwardShape> {};

TEST_P(Awkward, IsTheReferenceForEveryPartition) {
  // The first rank writes the checkpoint, all ranks read it.
  std::vector<std::byte> path;
  if (test_world().rank() == 0) {
    const std::string dir = write_random_checkpoint(
        GetParam().name, GetParam().config, GetParam().stored, GetParam().shards);
    const auto bytes = std::as_bytes(std::span(dir));
    path.assign(bytes.begin(), bytes.end());
  }
  test_world().share(path, 0);
  const std::string dir(reinterpret_cast<const char*>(path.data()), path.size());
  ModelSource source = open_or_die(dir);

  ScriptedRequest request;
  request.prompt = random_ids(45, source.config.vocabulary_size, 5);
  request.new_tokens = 4;
  request.logit_positions = {0, 1, 17, 31, 32, 44};
  const Outcome outcome = expect_same_for_every_cut(source, DType::kFloat32, {request});
  expect_same_for_every_cut(source, DType::kBFloat16, {request});

  const auto reference = reference_logits(source.config, *source.checkpoint, request.prompt);
  double largest = 0;
  double worst = 0;
  for (const int32_t position : request.logit_positions) {
    const std::vector<float>& logits = outcome.logits(0, position);
    ASSERT_EQ(logits.size(), reference[position].size());
    for (size_t id = 0; id < logits.size(); ++id) {
      largest = std::max(largest, std::abs(reference[position][id]));
      worst = std::max(worst, std::abs(logits[id] - reference[position][id]));
    }
  }
  EXPECT_LE(worst, 1e-4 * largest);

  std::vector<std::byte> done;
  test_world().share(done, 0);
  if (test_world().rank() == 0) std::filesystem::remove_all(dir);
}

std::vector<AwkwardShape> awkward_shapes() {
  const auto config = [](const std::string& type,
                         int hidden,
                         int mlp,
                         int layers,
                         int heads,
                         int kv_heads,
                         int head_dim,
                         int vocabulary,
                         const std::string& more) {
    return format_text(
        "{{\"architectures\": [\"{}ForCausalLM\"], \"model_type\": \"{}\", \"hidden_size\": {}, "
        "\"intermediate_size\": {}, \"num_hidden_layers\": {}, \"num_attention_heads\": {}, "
        "\"num_key_value_heads\": {}, \"head_dim\": {}, \"vocab_size\": {}, "
        "\"max_position_embeddings\": 256, \"rms_norm_eps\": 1e-5, \"hidden_act\": \"silu\"{}}}",
        type == "qwen3" ? "Qwen3" : "Llama",
        type,
        hidden,
        mlp,
        layers,
        heads,
        kv_heads,
        head_dim,
        vocabulary,
        more);
  };
  return {
      {"six_heads_two_kv", config("llama", 96, 136, 3, 6, 2, 16, 211, ""), DType::kFloat16, 1},
      {"one_kv_head",
       config("llama", 64, 100, 4, 8, 1, 24, 130, ", \"tie_word_embeddings\": true"),
       DType::kBFloat16,
       2},
      {"five_layers_head_dim_80",
       config("llama", 80, 75, 5, 4, 4, 80, 97, ", \"attention_bias\": true, \"mlp_bias\": true"),
       DType::kFloat32,
       3},
      {"head_dim_96_qk_norm", config("qwen3", 72, 57, 4, 4, 2, 96, 333, ""), DType::kFloat16, 1},
      {"rope_linear",
       config("llama",
              64,
              64,
              2,
              4,
              2,
              32,
              64,
              ", \"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 4.0}"),
       DType::kBFloat16,
       1},
      {"rope_per_kind_of_layer",
       config("qwen3",
              64,
              64,
              4,
              4,
              2,
              32,
              64,
              ", \"use_sliding_window\": true, \"sliding_window\": 8, \"layer_types\": "
              "[\"sliding_attention\", \"full_attention\", \"sliding_attention\", "
              "\"full_attention\"], \"rope_parameters\": {\"full_attention\": {\"rope_type\": "
              "\"linear\", \"factor\": 4.0, \"rope_theta\": 1000000.0}, \"sliding_attention\": "
              "{\"rope_type\": \"default\", \"rope_theta\": 100.0}}"),
       DType::kFloat32,
       1},
  };
}

INSTANTIATE_TEST_SUITE_P(Shapes,
                         Awkward,
                         testing::ValuesIn(awkward_shapes()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) { return trireme::run_rank_tests(argc, argv); }
