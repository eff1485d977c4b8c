// Every golden model through whole groups of ranks: logits, hidden states and greedy tokens against
// the reference, for each partition that the model allows. One launch of eight ranks runs all.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/cluster/golden_case.h"
#include "tests/cluster/ranked_worker.h"

namespace trireme {
namespace {

struct GoldenParam {
  std::string model;  // below the source tree
  DType dtype;
};

constexpr Partition kPartitions[] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}, {2, 4}};

class Golden : public testing::TestWithParam<GoldenParam> {};

TEST_P(Golden, LogitsHiddenStatesAndGreedyTokensAreTheReferences) {
  const std::string dir = std::string(TRIREME_SOURCE_DIR "/") + GetParam().model;
  auto source = open_model(dir);
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  const GoldenCase golden(dir, GetParam().dtype);
  const std::vector<ScriptedRequest> requests = golden.requests();

  for (const Partition partition : kPartitions) {
    const auto allowed = allowed_tensor_parallel(source->config, "cpu");
    if (std::ranges::find(allowed, partition.tp) == allowed.end() ||
        partition.pp > source->config.num_layers) {
      continue;
    }
    SCOPED_TRACE(format_text("tp {}, pp {}", partition.tp, partition.pp));
    WorkerOptions options;
    options.dtype = GetParam().dtype;
    options.threads = 1;
    options.max_slots = 8;
    RankedWorker worker(test_world(), *source, partition, options);
    const Outcome outcome = worker.run(requests, std::min(partition.pp, 2));
    golden.check(outcome);
    if (GetParam().dtype == DType::kFloat32) golden.check_hidden(source->config, outcome);
    if (HasFailure()) return;
  }
}

std::vector<GoldenParam> all_cases() {
  std::vector<GoldenParam> cases;
  for (const std::string& model : golden_models()) {
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) cases.push_back({model, dtype});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Models, Golden, testing::ValuesIn(all_cases()), [](const auto& info) {
  std::string name = info.param.model.substr(info.param.model.rfind('/') + 1);
  std::ranges::replace(name, '-', '_');
  return format_text("{}_{}", name, name_of(info.param.dtype));
});

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) { return trireme::run_rank_tests(argc, argv); }
