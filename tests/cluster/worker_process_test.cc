// trireme-worker as real processes under mpirun, with a coordinator played by the test: messages,
// plans and results, and all causes by which a group ends.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "kernels/cuda_backend.h"
#include "proto/step_codec.h"
#include "tests/cluster/worker_job.h"
#include "worker/control/plan_file.h"

namespace trireme {
namespace {

TEST(WorkerProcess, RunsTheCoordinatorsPlansAndEndsAtItsFence) {
  PlayedCoordinator coordinator;
  ChildProcess job(worker_command(
      4, {"-tp", "2", "-pp", "2", "--coordinator", coordinator.endpoint(), "--group", "3"}));
  const Epochs epochs{7, 2};
  ASSERT_NO_FATAL_FAILURE(coordinator.start_group(4, epochs)) << job.output();

  StepPlan stale = demo_plans({7, 1}, 1).front();  // a plan of another epoch changes nothing
  coordinator.send_all(stale);
  const auto plans = demo_plans(epochs, 6);
  for (const StepPlan& plan : plans) coordinator.send_all(plan);
  std::vector<TokenId> ids;
  for (const StepPlan& plan : plans) {
    const auto result = coordinator.wait_for<StepResult>(2);
    ASSERT_TRUE(result.has_value()) << job.output();
    EXPECT_EQ(result->epochs, epochs);
    EXPECT_EQ(result->step, plan.step);
    ids.insert(ids.end(), result->ids.begin(), result->ids.end());
  }
  EXPECT_EQ(ids.size(), 6u);

  coordinator.send_all(Fence{epochs, "the test is over"});
  ASSERT_TRUE(job.wait_for_end(5'000)) << job.output();
  EXPECT_NE(job.output().find("TRI-GRP-019"), std::string::npos) << job.output();
  EXPECT_NE(job.output().find("the test is over"), std::string::npos);
}

TEST(WorkerProcess, RanksThatAreThreadsOfOneProcessRunTheCoordinatorsPlans) {
  PlayedCoordinator coordinator;
  ChildProcess job(
      local_command(4, {"-tp", "2", "-pp", "2", "--coordinator", coordinator.endpoint()}));
  const Epochs epochs{7, 2};
  ASSERT_NO_FATAL_FAILURE(coordinator.start_group(4, epochs)) << job.output();
  for (int rank = 0; rank < 4; ++rank) EXPECT_EQ(coordinator.pid_of(rank), job.pid());
  const auto plans = demo_plans(epochs, 6);
  for (const StepPlan& plan : plans) coordinator.send_all(plan);
  size_t drawn = 0;
  for (size_t i = 0; i < plans.size(); ++i) {
    const auto result = coordinator.wait_for<StepResult>(2);
    ASSERT_TRUE(result.has_value()) << job.output();
    drawn += result->ids.size();
  }
  EXPECT_EQ(drawn, 6u);
  Fence drained{epochs, "the test is over"};
  drained.drained = true;
  coordinator.send_all(drained);
  ASSERT_TRUE(job.wait_for_end(5'000)) << job.output();
  EXPECT_EQ(job.status(), 0) << job.output();
}

TEST(WorkerProcess, OneOfSeveralRanksThatFailsEndsTheProcess) {
  PlayedCoordinator coordinator;
  ChildProcess job(local_command(2, {"-tp", "2", "--coordinator", coordinator.endpoint()}));
  const Epochs epochs{1, 1};
  ASSERT_NO_FATAL_FAILURE(coordinator.start_group(2, epochs)) << job.output();
  StepPlan plan;
  plan.epochs = epochs;
  plan.step = 1;
  plan.parts.resize(1);
  plan.parts[0].decodes = {5};
  coordinator.send_all(plan);
  const auto goodbye = coordinator.wait_for<Goodbye>();
  ASSERT_TRUE(goodbye.has_value()) << job.output();
  EXPECT_NE(goodbye->cause.find("TRI-STEP-003"), std::string::npos) << goodbye->cause;
  ASSERT_TRUE(job.wait_for_end(5'000)) << job.output();
  EXPECT_EQ(job.status(), 3);
}

TEST(WorkerProcess, ABrokenPlanIsNamedInTheGoodbye) {
  PlayedCoordinator coordinator;
  ChildProcess job(worker_command(2, {"-tp", "2", "--coordinator", coordinator.endpoint()}));
  const Epochs epochs{1, 1};
  ASSERT_NO_FATAL_FAILURE(coordinator.start_group(2, epochs)) << job.output();
  StepPlan plan;
  plan.epochs = epochs;
  plan.step = 1;
  plan.parts.resize(1);
  plan.parts[0].decodes = {5};
  coordinator.send_all(plan);
  const auto goodbye = coordinator.wait_for<Goodbye>();
  ASSERT_TRUE(goodbye.has_value()) << job.output();
  EXPECT_NE(goodbye->cause.find("TRI-STEP-003"), std::string::npos) << goodbye->cause;
  EXPECT_EQ(goodbye->epochs, epochs);
  ASSERT_TRUE(job.wait_for_end(5'000)) << job.output();
  EXPECT_EQ(job.status(), 3);
}

TEST(WorkerProcess, ALostCoordinatorEndsTheGroup) {
  auto coordinator = std::make_unique<PlayedCoordinator>();
  ChildProcess job(worker_command(2, {"-pp", "2", "--coordinator", coordinator->endpoint()}));
  ASSERT_NO_FATAL_FAILURE(coordinator->start_group(2, {1, 1})) << job.output();
  coordinator.reset();
  ASSERT_TRUE(job.wait_for_end(10'000)) << job.output();
  EXPECT_NE(job.output().find("TRI-GRP-013"), std::string::npos) << job.output();
}

TEST(WorkerProcess, AMissingCoordinatorIsNamed) {
  ChildProcess job(worker_command(1, {"--coordinator", "tcp://127.0.0.1:1"}));
  ASSERT_TRUE(job.wait_for_end(15'000)) << job.output();
  EXPECT_NE(job.output().find("TRI-GRP-017"), std::string::npos) << job.output();
}

// When a rank is stopped, the others name it and leave within the step's deadline.
TEST(WorkerProcess, AStoppedRankIsNamedByItsPeersWithinTheDeadline) {
  PlayedCoordinator coordinator;
  ChildProcess job(worker_command(
      4, {"-tp", "2", "-pp", "2", "--coordinator", coordinator.endpoint(), "--step-timeout", "4"}));
  const Epochs epochs{1, 1};
  ASSERT_NO_FATAL_FAILURE(coordinator.start_group(4, epochs)) << job.output();
  const auto plans = demo_plans(epochs, 6);
  coordinator.send_all(plans[0]);
  ASSERT_TRUE(coordinator.wait_for<StepResult>().has_value()) << job.output();
  ASSERT_EQ(kill(coordinator.pid_of(1), SIGSTOP), 0);
  coordinator.send_all(plans[1]);
  const auto goodbye = coordinator.wait_for<Goodbye>(-1, 10'000);
  ASSERT_TRUE(goodbye.has_value()) << job.output();
  EXPECT_NE(goodbye->cause.find("TRI-GRP-005"), std::string::npos) << goodbye->cause;
  if (goodbye->rank == 0) {
    EXPECT_NE(goodbye->cause.find("rank 1 on "), std::string::npos) << goodbye->cause;
  }
  ASSERT_TRUE(job.wait_for_end(15'000)) << job.output();
  EXPECT_NE(job.status(), 0);
}

// Rank 0 waits in step 2 for rank 1, which is stopped.
TEST(WorkerProcess, ACrashIsReportedWithItsSignalAndStep) {
  PlayedCoordinator coordinator;
  ChildProcess job(worker_command(2, {"-tp", "2", "--coordinator", coordinator.endpoint()}));
  const Epochs epochs{1, 1};
  ASSERT_NO_FATAL_FAILURE(coordinator.start_group(2, epochs)) << job.output();
  const auto plans = demo_plans(epochs, 6);
  coordinator.send_all(plans[0]);
  ASSERT_TRUE(coordinator.wait_for<StepResult>().has_value()) << job.output();
  ASSERT_EQ(kill(coordinator.pid_of(1), SIGSTOP), 0);
  coordinator.send_all(plans[1]);
  while (true) {
    const auto beat = coordinator.wait_for<Heartbeat>(0, 10'000);
    ASSERT_TRUE(beat.has_value()) << job.output();
    if (beat->step == 2) break;
  }
  ASSERT_EQ(kill(coordinator.pid_of(0), SIGSEGV), 0);
  const auto goodbye = coordinator.wait_for<Goodbye>(0, 10'000);
  ASSERT_TRUE(goodbye.has_value()) << job.output();
  EXPECT_TRUE(goodbye->cause.starts_with("TRI-GRP-059: ")) << goodbye->cause;
  EXPECT_EQ(goodbye->signal, SIGSEGV);
  EXPECT_EQ(goodbye->step, 2);
  EXPECT_EQ(goodbye->epochs, epochs);
  ASSERT_TRUE(job.wait_for_end(15'000)) << job.output();
}

TEST(WorkerProcess, ACrashBetweenStepsNamesNone) {
  PlayedCoordinator coordinator;
  ChildProcess job(worker_command(1, {"--coordinator", coordinator.endpoint()}));
  const Epochs epochs{1, 1};
  ASSERT_NO_FATAL_FAILURE(coordinator.start_group(1, epochs)) << job.output();
  coordinator.send_all(demo_plans(epochs, 1)[0]);
  ASSERT_TRUE(coordinator.wait_for<StepResult>().has_value()) << job.output();
  while (true) {
    const auto beat = coordinator.wait_for<Heartbeat>(0, 10'000);
    ASSERT_TRUE(beat.has_value()) << job.output();
    if (beat->step_completed == 1) break;
  }
  ASSERT_EQ(kill(coordinator.pid_of(0), SIGABRT), 0);
  const auto goodbye = coordinator.wait_for<Goodbye>(0, 10'000);
  ASSERT_TRUE(goodbye.has_value()) << job.output();
  EXPECT_EQ(goodbye->signal, SIGABRT);
  EXPECT_EQ(goodbye->step, 0);
  ASSERT_TRUE(job.wait_for_end(15'000)) << job.output();
  EXPECT_NE(job.output().find("SIGABRT"), std::string::npos) << job.output();
}

TEST(WorkerProcess, AKilledRankEndsTheWholeJob) {
  PlayedCoordinator coordinator;
  ChildProcess job(worker_command(4, {"-tp", "4", "--coordinator", coordinator.endpoint()}));
  const Epochs epochs{1, 1};
  ASSERT_NO_FATAL_FAILURE(coordinator.start_group(4, epochs)) << job.output();
  for (const StepPlan& plan : demo_plans(epochs, 40)) coordinator.send_all(plan);
  ASSERT_TRUE(coordinator.wait_for<StepResult>().has_value()) << job.output();
  ASSERT_EQ(kill(coordinator.pid_of(2), SIGKILL), 0);
  ASSERT_TRUE(job.wait_for_end(10'000)) << job.output();
  EXPECT_NE(job.status(), 0);
}

TEST(WorkerProcess, AWrongNumberOfRanksIsOneClearLine) {
  ChildProcess job(worker_command(3, {"-tp", "2", "-pp", "2", "--bench-step", "repeats=1"}));
  ASSERT_TRUE(job.wait_for_end(10'000)) << job.output();
  const std::string& output = job.output();
  EXPECT_EQ(job.status(), 2) << output;
  const size_t first = output.find("TRI-GRP-001: the launcher started 3 ranks");
  EXPECT_NE(first, std::string::npos) << output;
  EXPECT_EQ(output.find("TRI-GRP-001", first + 1), std::string::npos) << output;
}

struct BadUse {
  std::vector<std::string> flags;
  std::string says;
  int status = 2;
};

TEST(WorkerProcess, BadFlagsAreNamedAndEndWithTheirStatus) {
  const BadUse uses[] = {
      {{}, "TRI-GRP-023"},
      {{"--bench-step", "repeats=1", "--plans", "x"}, "TRI-GRP-023"},
      {{"--bench-step", "repeats=1", "--dtype", "int4"}, "TRI-GRP-024"},
      {{"--bench-step", "repeats=1", "--backend", "cpu", "--dtype", "float16"}, "TRI-GRP-024"},
      {{"--bench-step", "repeats=1", "-tp", "2", "--local-ranks", "3"}, "TRI-GRP-029"},
      {{"--bench-step", "repeats=1", "--quantization", "q4"}, "TRI-GRP-024"},
      {{"--bench-step", "repeats=1", "-tp", "0"}, "TRI-GRP-026"},
      {{"--bench-step", "repeats=1", "surplus"}, "TRI-GRP-027"},
      {{"--bench-step", "repeats=1", "--max-model-len", "5000"}, "TRI-GRP-007"},
      {{"--bench-step", "pre=1"}, "TRI-GRP-011", 3},
      {{"--bench-step", "decode=2000"}, "TRI-GRP-012", 3},
      {{"--bench-step", "repeats=1", "--kv-memory", "1MiB", "--max-model-len", "1024"},
       "TRI-MEM-002",
       3},
      {{"--plans", "/no/such/file"}, "TRI-GRP-008", 3},
  };
  for (const BadUse& use : uses) {
    std::vector<std::string> command = worker_command(1, use.flags);
    command.erase(command.begin(), command.begin() + 2);  // without mpirun
    ChildProcess job(command);
    ASSERT_TRUE(job.wait_for_end(10'000)) << job.output();
    EXPECT_EQ(job.status(), use.status) << job.output();
    EXPECT_NE(job.output().find(use.says), std::string::npos) << use.says << "\n" << job.output();
  }
}

TEST(WorkerProcess, AMissingModelIsReportedOnceByTheWholeGroup) {
  const std::vector<std::string> flags = {"-tp", "4", "--bench-step", "repeats=1"};
  for (auto command : {worker_command(4, flags), local_command(4, flags)}) {
    *std::ranges::find(command, kDemo) = "/no/such/model";
    ChildProcess job(command);
    ASSERT_TRUE(job.wait_for_end(15'000)) << job.output();
    EXPECT_EQ(job.status(), 2) << job.output();
    const size_t first = job.output().find("TRI-");
    ASSERT_NE(first, std::string::npos) << job.output();
    EXPECT_EQ(job.output().find("TRI-", first + 1), std::string::npos) << job.output();
  }
}

TEST(WorkerProcess, CudaThatIsNotBuiltIsRefusedBeforeTheStart) {
  if (is_built_with_cuda()) GTEST_SKIP() << "this build has CUDA";
  ChildProcess job(local_command(1, {"--backend", "cuda", "--bench-step", "repeats=1"}));
  ASSERT_TRUE(job.wait_for_end(10'000)) << job.output();
  EXPECT_EQ(job.status(), 2) << job.output();
  EXPECT_NE(job.output().find("TRI-CUDA-002: this build has no CUDA"), std::string::npos)
      << job.output();
}

TEST(WorkerProcess, RunsPlansFromAFile) {
  const std::string plans_path = testing::TempDir() + "worker_process_test.plans";
  const std::string results_path = testing::TempDir() + "worker_process_test.results";
  const auto plans = demo_plans({}, 5);
  {
    auto writer = RecordWriter::create(plans_path);
    ASSERT_TRUE(writer.ok());
    for (const StepPlan& plan : plans) (*writer)->write(plan);
    ASSERT_TRUE((*writer)->flush().ok());
  }
  for (const auto& [tp, pp] : {std::pair{1, 1}, {2, 2}}) {
    ChildProcess job(worker_command(tp * pp,
                                    {"-tp",
                                     format_text("{}", tp),
                                     "-pp",
                                     format_text("{}", pp),
                                     "--plans",
                                     plans_path,
                                     "--results",
                                     results_path}));
    ASSERT_TRUE(job.wait_for_end(20'000)) << job.output();
    EXPECT_EQ(job.status(), 0) << job.output();
    std::ifstream file(results_path, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), {});
    StepCodec codec;
    size_t results = 0;
    for (size_t at = 0; at + 4 <= bytes.size(); ++results) {
      uint32_t size = 0;
      std::memcpy(&size, bytes.data() + at, 4);
      RankMessage message;
      ASSERT_TRUE(codec.decode(std::string_view(bytes).substr(at + 4, size), message).ok());
      EXPECT_EQ(std::get<StepResult>(message).step, plans[results].step);
      at += 4 + size;
    }
    EXPECT_EQ(results, plans.size());
  }
  std::filesystem::remove(plans_path);
  std::filesystem::remove(results_path);
}

}  // namespace
}  // namespace trireme
