// After warm-up the step loop allocates nothing, alone and in a group of two.
#include <gtest/gtest.h>

#include "tests/cluster/ranked_worker.h"
#include "tests/worker/counting_new.h"

namespace trireme {
namespace {

class NoResults final : public ResultSink {
 public:
  void on_result(StepResult&) override {}
  void on_probe(Probe&) override {}
};

class Allocation : public testing::TestWithParam<Partition> {};

TEST_P(Allocation, TwoHundredDecodeStepsAllocateNothing) {
  GroupComms* const comms = test_world().group(GetParam());
  if (comms == nullptr) return;
  auto source = open_model(TRIREME_SOURCE_DIR "/models/demo");
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  WorkerOptions options;
  options.tp = GetParam().tp;
  options.pp = GetParam().pp;
  options.threads = 2;
  options.max_slots = 8;
  Progress progress;
  NoResults sink;
  auto worker = Worker::make(options, *source, *comms, progress, nullptr);
  ASSERT_TRUE(worker.ok()) << message_of(worker.status());
  ASSERT_TRUE((*worker)->start((*worker)->num_pages(), sink).ok());

  std::vector<ScriptedRequest> requests(4);
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].prompt.assign(3 + 20 * i, static_cast<TokenId>(5 + i));
    requests[i].new_tokens = 230;
    requests[i].sampling.temperature = static_cast<float>(i);
  }
  requests[1].sampling.top_p = 0.9f;
  requests[2].sampling.repetition_penalty = 1.3f;
  requests[3].sampling.top_k = 20;
  const auto plans = plan_requests(requests, {}, 1);
  ASSERT_GE(plans.size(), 221u);
  int64_t before = 0;
  for (size_t i = 0; i < 221; ++i) {
    if (i == 21) before = counted_allocations();
    ASSERT_TRUE((*worker)->executor().execute(plans[i]).ok());
  }
  EXPECT_EQ(counted_allocations() - before, 0);
  ASSERT_TRUE((*worker)->executor().finish().ok());
}

INSTANTIATE_TEST_SUITE_P(Cuts,
                         Allocation,
                         testing::Values(Partition{1, 1}, Partition{2, 1}, Partition{1, 2}),
                         [](const auto& info) {
                           return format_text("tp{}_pp{}", info.param.tp, info.param.pp);
                         });

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) { return trireme::run_rank_tests(argc, argv); }
