#include "tests/cluster/ranked_worker.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace trireme {
namespace {

constexpr TimeUs kPatienceUs = 100'000'000;

TestWorld* running_world = nullptr;  // set during run_rank_tests()

class FailurePrinter final : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::fprintf(stderr,
                 "rank %d, %s:%d: %s\n",
                 test_world().rank(),
                 result.file_name(),
                 result.line_number(),
                 result.message());
  }
};

}  // namespace

TestWorld& test_world() { return *running_world; }

TestWorld::TestWorld(MpiSession& session)
    : session_(session), all_(session.make_group(1, session.size())) {}

GroupComms* TestWorld::group(Partition partition) {
  auto& group = groups_[{partition.tp, partition.pp}];
  if (!group && session_.rank() < partition.tp * partition.pp) {
    group = session_.make_group(partition.tp, partition.pp);
  } else if (!group) {
    session_.make_group(partition.tp, partition.pp);
    group = std::make_unique<GroupComms>();  // marks a partition whose ranks have theirs
  }
  return session_.rank() < partition.tp * partition.pp ? group.get() : nullptr;
}

void TestWorld::share(std::vector<std::byte>& bytes, int root) {
  const auto queue = std::make_unique<Queue>();
  all_->group->set_deadline(SteadyClock().now_us() + kPatienceUs);
  uint64_t size = bytes.size();
  all_->group->broadcast(*queue, std::as_writable_bytes(std::span(&size, 1)), root);
  bytes.resize(size);
  all_->group->broadcast(*queue, bytes, root);
  ASSERT_TRUE(all_->group->status().ok()) << message_of(all_->group->status());
}

RankedWorker::RankedWorker(TestWorld& world,
                           ModelSource& source,
                           Partition partition,
                           WorkerOptions options)
    : world_(world),
      partition_(partition),
      source_(source),
      options_([&] {
        options.tp = partition.tp;
        options.pp = partition.pp;
        return options;
      }()),
      collector_(std::make_unique<OutcomeFrames>()) {
  GroupComms* const comms = world.group(partition);
  if (comms == nullptr) return;
  auto made = Worker::make(options_, source, *comms, progress_, nullptr);
  Status status = made.status();
  if (made.ok()) {
    worker_ = std::move(made).value();
    status = worker_->start(worker_->num_pages(), *collector_);
  }
  ok_ = status.ok();
  EXPECT_TRUE(ok_) << message_of(status);
}

RankedWorker::~RankedWorker() {
  if (!worker_ || !ok_) return;
  const Status finished = worker_->executor().finish();
  EXPECT_TRUE(finished.ok()) << message_of(finished);
}

Outcome RankedWorker::run(const std::vector<ScriptedRequest>& requests, int cohorts) {
  ScriptLimits limits;
  limits.num_layers = static_cast<int32_t>(source_.config.num_layers);
  limits.cohorts = cohorts;
  limits.max_batched_tokens = options_.max_batched_tokens;
  const std::vector<StepPlan> plans = plan_requests(requests, limits, next_step_);
  next_step_ += static_cast<int64_t>(plans.size());
  for (size_t i = 0; worker_ && ok_ && i < plans.size(); ++i) {
    const Status done = worker_->executor().execute(plans[i]);
    ok_ = done.ok();
    EXPECT_TRUE(ok_) << message_of(done);
  }
  Outcome outcome;
  for (int stage = 0; stage < partition_.pp; ++stage) {
    const int root = stage * partition_.tp;
    std::vector<std::byte> bytes;
    if (world_.rank() == root) bytes = collector_->take();
    world_.share(bytes, root);
    take_frames(bytes, outcome);
    if (stage + 1 < partition_.pp) continue;
    EXPECT_EQ(outcome.results, static_cast<int64_t>(plans.size()));
  }
  return outcome;
}

int run_rank_tests(int argc, char** argv) {
  auto session = MpiSession::start(&argc, &argv);
  if (!session.ok()) {
    std::fprintf(stderr, "%s\n", message_of(session.status()).c_str());
    return 1;
  }
  const bool prints = (*session)->rank() == 0;
  testing::InitGoogleTest(&argc, argv);
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  if (!prints) {
    delete listeners.Release(listeners.default_result_printer());
    delete listeners.Release(listeners.default_xml_generator());
    listeners.Append(new FailurePrinter);
  }
  TestWorld world(**session);
  running_world = &world;
  return RUN_ALL_TESTS();
}

}  // namespace trireme
