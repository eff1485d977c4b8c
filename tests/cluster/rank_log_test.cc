// The log of a group's ranks, as --log-file holds it: one line per event, with group and rank.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <sstream>

#include "base/log.h"
#include "tests/cluster/trireme_command.h"
#include "tests/cluster/worker_job.h"

namespace trireme {
namespace {

using testing::HasSubstr;

class RankLog : public testing::Test {
 protected:
  std::vector<std::string> flags(PlayedCoordinator& coordinator) const {
    return {
        "-tp", "2", "--coordinator", coordinator.endpoint(), "--group", "3", "--log-file", path_};
  }

  // The only line of this event and rank; "" if there is none.
  std::string line_of(const std::string& event, int rank) const {
    std::ifstream file(path_);
    std::string found;
    std::string line;
    while (std::getline(file, line)) {
      EXPECT_TRUE(is_log_line(line)) << line;
      if (line.find(format_text(" event={} group=3 rank={} ", event, rank)) == line.npos) continue;
      EXPECT_EQ(found, "") << line;
      found = line;
    }
    return found;
  }

  std::string text() const {
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.path() + "/ranks.log";
};

TEST_F(RankLog, HoldsStartConfigurationLoadReadyAndOrderlyEndOfEachRank) {
  PlayedCoordinator coordinator;
  ChildProcess job(worker_command(2, flags(coordinator)));
  const Epochs epochs{7, 2};
  ASSERT_NO_FATAL_FAILURE(coordinator.start_group(2, epochs)) << job.output();
  const std::vector<StepPlan> plans = demo_plans(epochs, 3);
  for (const StepPlan& plan : plans) coordinator.send_all(plan);
  Fence drained{epochs, "the test is over"};
  drained.drained = true;
  coordinator.send_all(drained);
  ASSERT_TRUE(job.wait_for_end(10'000)) << job.output();
  EXPECT_EQ(job.status(), 0) << job.output();
  const std::string end = format_text("step={} cause=drained", plans.size());
  for (int rank = 0; rank < 2; ++rank) {
    EXPECT_THAT(line_of("start", rank), HasSubstr("model=" + kDemo)) << text();
    EXPECT_THAT(line_of("configured", rank), HasSubstr("dtype=bfloat16")) << text();
    EXPECT_THAT(line_of("loaded", rank), HasSubstr("seconds=")) << text();
    EXPECT_THAT(line_of("ready", rank), HasSubstr("epoch=2 pages=")) << text();
    EXPECT_THAT(line_of("fence", rank), HasSubstr("the test is over")) << text();
    EXPECT_THAT(line_of("end", rank), HasSubstr(end)) << text();
  }
}

TEST_F(RankLog, NamesTheFenceThatEndsARankAtOnce) {
  PlayedCoordinator coordinator;
  ChildProcess job(worker_command(2, flags(coordinator)));
  const Epochs epochs{7, 2};
  ASSERT_NO_FATAL_FAILURE(coordinator.start_group(2, epochs)) << job.output();
  coordinator.send_all(Fence{epochs, "another rank is lost"});
  ASSERT_TRUE(job.wait_for_end(10'000)) << job.output();
  // mpirun may end a rank before it has read its own fence.
  const std::string first = line_of("end", 0);
  const std::string end = first.empty() ? line_of("end", 1) : first;
  EXPECT_THAT(end, HasSubstr("TRI-GRP-019")) << text();
  EXPECT_THAT(end, HasSubstr("another rank is lost")) << text();
}

TEST_F(RankLog, NamesALostConnection) {
  auto coordinator = std::make_unique<PlayedCoordinator>();
  ChildProcess job(worker_command(2, flags(*coordinator)));
  ASSERT_NO_FATAL_FAILURE(coordinator->start_group(2, {1, 1})) << job.output();
  coordinator.reset();
  ASSERT_TRUE(job.wait_for_end(10'000)) << job.output();
  const std::string first = line_of("connection_lost", 0);
  EXPECT_THAT(first.empty() ? line_of("connection_lost", 1) : first, HasSubstr("TRI-GRP-013"));
}

}  // namespace
}  // namespace trireme
