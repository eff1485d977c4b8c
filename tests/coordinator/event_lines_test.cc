// The writer of event lines and the reader of the command line agree on every field.
#include "coordinator/event_lines.h"

#include <gtest/gtest.h>

#include "launch/coordinator_events.h"

namespace trireme {
namespace {

using Kind = CoordinatorEvent::Kind;

class EventLinesTest : public testing::Test {
 protected:
  EventLinesTest() : file_(std::tmpfile()), lines_(file_) {}
  ~EventLinesTest() override { std::fclose(file_); }

  // The last line, as the command line reads it.
  CoordinatorEvent last() {
    std::rewind(file_);
    char buffer[4096];
    std::string line;
    while (std::fgets(buffer, sizeof buffer, file_) != nullptr) line = buffer;
    const auto event = parse_coordinator_event(line);
    EXPECT_TRUE(event) << line;
    return event.value_or(CoordinatorEvent{});
  }
  int count() {
    std::rewind(file_);
    int lines = 0;
    for (int c = std::fgetc(file_); c != EOF; c = std::fgetc(file_)) lines += c == '\n';
    return lines;
  }

  std::FILE* file_;
  EventLines lines_;
};

TEST_F(EventLinesTest, AReadyGroupArrivesWithItsShape) {
  notice::GroupReady ready;
  ready.shape.group = 3;
  ready.shape.num_pages = 7;
  ready.shape.page_tokens = 32;
  ready.shape.max_model_len = 224;
  ready.asked_model_len = 2048;
  ready.tp = 2;
  ready.pp = 4;
  ready.hello.backend = "cpu";
  ready.hello.dtype = "bfloat16";
  ready.hello.isa = "avx2";
  lines_.notice(ready, 1);
  const CoordinatorEvent event = last();
  EXPECT_EQ(event.kind, Kind::kGroupReady);
  EXPECT_EQ(event.group, 3);
  EXPECT_EQ(event.pages, 7);
  EXPECT_EQ(event.page_tokens, 32);
  EXPECT_EQ(event.max_model_len, 224);
  EXPECT_EQ(event.asked_model_len, 2048);
  EXPECT_EQ(event.tp, 2);
  EXPECT_EQ(event.pp, 4);
  EXPECT_EQ(event.backend, "cpu");
  EXPECT_EQ(event.dtype, "bfloat16");
  EXPECT_EQ(event.isa, "avx2");
}

TEST_F(EventLinesTest, ALostGroupArrivesWithRankHostPhaseAndCause) {
  lines_.notice(
      notice::GroupLost{
          1, 5, 3, "n2", "loading", unavailable("TRI-GRP-041", "it ended"), true, true},
      1);
  CoordinatorEvent event = last();
  EXPECT_EQ(event.kind, Kind::kGroupLost);
  EXPECT_EQ(event.group, 1);
  EXPECT_EQ(event.rank, 3);
  EXPECT_EQ(event.host, "n2");
  EXPECT_EQ(event.phase, "loading");
  EXPECT_EQ(event.id, "TRI-GRP-041");
  EXPECT_EQ(event.text, "TRI-GRP-041: it ended");
  EXPECT_TRUE(event.was_ready);
  EXPECT_TRUE(event.memory);
  lines_.notice(notice::GroupLost{}, 1);
  EXPECT_EQ(last().rank, -1) << "no single rank";
}

TEST_F(EventLinesTest, DoorsRanksAndErrorsArrive) {
  lines_.doors({"tcp://c:1", "tcp://w:2", "/s/worker.key"});
  CoordinatorEvent event = last();
  EXPECT_EQ(event.kind, Kind::kDoors);
  EXPECT_EQ(event.client_endpoint, "tcp://c:1");
  EXPECT_EQ(event.worker_endpoint, "tcp://w:2");
  EXPECT_EQ(event.worker_key_file, "/s/worker.key");
  std::fseek(file_, 0, SEEK_END);
  lines_.notice(notice::RankSeen{1, 2, "n3", 44}, 1);
  event = last();
  EXPECT_EQ(event.kind, Kind::kRank);
  EXPECT_EQ(event.rank, 2);
  EXPECT_EQ(event.host, "n3");
  EXPECT_EQ(event.pid, 44);
  std::fseek(file_, 0, SEEK_END);
  lines_.error(invalid("TRI-ARGS-010", "no"));
  EXPECT_EQ(last().id, "TRI-ARGS-010");
}

TEST_F(EventLinesTest, LoadingIsRefreshedFiveTimesPerSecondAndTheLastLineAlwaysWritten) {
  for (TimeUs now = 1; now <= 400'000; now += 1'000) {
    lines_.notice(notice::RankLoading{0, now, 1'000'000}, now);
  }
  EXPECT_EQ(count(), 2);
  std::fseek(file_, 0, SEEK_END);
  lines_.notice(notice::RankLoading{0, 1'000'000, 1'000'000}, 400'001);
  EXPECT_EQ(count(), 3);
  EXPECT_EQ(last().loaded_bytes, 1'000'000);
}

}  // namespace
}  // namespace trireme
