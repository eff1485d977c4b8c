#include "coordinator/coordinator_log.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace trireme {
namespace coordinator_log_test {

class CoordinatorLogTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    path_ = testing::TempDir() + "/coordinator_log_test.log";
    std::ofstream(path_).close();
    ASSERT_TRUE(start_log({"coordinator", LogLevel::kInfo, path_}).ok());
  }
  // The lines since the last call, from "event=" on.
  std::vector<std::string> lines() {
    std::ifstream file(path_);
    file.seekg(read_);
    std::vector<std::string> all;
    for (std::string line; std::getline(file, line);) {
      read_ += static_cast<std::streamoff>(line.size()) + 1;
      all.push_back(line.substr(line.find("event=")));
    }
    return all;
  }

  static std::string path_;
  static std::streamoff read_;
  CoordinatorLog log_;
};
std::string CoordinatorLogTest::path_;
std::streamoff CoordinatorLogTest::read_ = 0;

TEST_F(CoordinatorLogTest, ALossNamesGroupEpochRankHostPhaseAndCause) {
  log_.notice(notice::GroupLost{
      2, 5, 3, "n7", "computing", unavailable("TRI-GRP-041", "its connection ended"), true});
  const auto written = lines();
  ASSERT_EQ(written.size(), 1u);
  EXPECT_EQ(written[0],
            "event=group_lost group=2 epoch=5 rank=3 host=n7 phase=computing was_ready=true "
            "memory=false cause=\"TRI-GRP-041: its connection ended\"");
}

TEST_F(CoordinatorLogTest, StartAndDoorsNameTheConfiguration) {
  CoordinatorOptions options;
  options.model = "/models/demo";
  options.groups = 3;
  log_.started(options, "f00d");
  log_.doors_open({"tcp://127.0.0.1:1", "tcp://10.0.0.1:2", "/state/worker.key"});
  const auto written = lines();
  ASSERT_EQ(written.size(), 2u);
  for (const char* part : {"event=start", "model=/models/demo", "fingerprint=f00d", "groups=3"}) {
    EXPECT_NE(written[0].find(part), std::string::npos) << written[0];
  }
  EXPECT_EQ(written[1],
            "event=doors_open client=tcp://127.0.0.1:1 worker=tcp://10.0.0.1:2 "
            "worker_encrypted=true");
}

TEST_F(CoordinatorLogTest, RanksAndReadyGroupsAreLinesAndLoadingIsNone) {
  log_.notice(notice::RankSeen{0, 1, "n1", 99});
  log_.notice(notice::RankLoading{0, 1, 2});
  notice::GroupReady ready;
  ready.shape.epoch = 4;
  log_.notice(ready);
  const auto written = lines();
  ASSERT_EQ(written.size(), 2u);
  EXPECT_EQ(written[0], "event=rank_seen group=0 rank=1 host=n1 pid=99");
  EXPECT_EQ(written[1].find("event=group_ready group=0 epoch=4 "), 0u);
}

TEST_F(CoordinatorLogTest, RefusalsAreBoundedPerSecondAndTheOthersCounted) {
  constexpr TimeUs kSecond = 1'000'000;
  const int bound = CoordinatorLog::kRefusalsPerSecond;
  for (int i = 0; i < 10 * bound; ++i) log_.refusal({7, 8, "TRI-REQ-089"}, kSecond + i);
  log_.refusal({7, 9, "TRI-REQ-089"}, 3 * kSecond);
  const auto written = lines();
  ASSERT_EQ(written.size(), static_cast<size_t>(bound) + 1);
  EXPECT_EQ(written[0],
            "event=client_refused id=TRI-REQ-089 connection=7 tag=8 suppressed_before=0");
  EXPECT_EQ(written.back(),
            format_text("event=client_refused id=TRI-REQ-089 connection=7 tag=9 "
                        "suppressed_before={}",
                        9 * bound));
}

TEST_F(CoordinatorLogTest, DrainAndEndNameTheRequestsThatAreLeft) {
  EngineStatus status;
  status.waiting = 1;
  status.running = 2;
  log_.draining(status);
  log_.ended(true, status);
  const auto written = lines();
  ASSERT_EQ(written.size(), 2u);
  EXPECT_EQ(written[0], "event=draining waiting=1 running=2");
  EXPECT_EQ(written[1].find("event=stopped waiting=1 running=2 "), 0u);
}

}  // namespace coordinator_log_test
}  // namespace trireme
