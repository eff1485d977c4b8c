// The writer of event lines and the reader of the command line agree on every field.
#include "coordinator/event_lines.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <thread>

#include "base/clock.h"
#include "base/text.h"
#include "launch/supervision/coordinator_events.h"

namespace trireme {
namespace event_lines_test {

using Kind = CoordinatorEvent::Kind;

class EventLinesTest : public testing::Test {
 protected:
  EventLinesTest() : file_(std::tmpfile()), lines_(fileno(file_)) {}
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
          1, 5, 3, "n2", "loading", unavailable("TRI-GRP-041", "it ended"), true, true, 7},
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
  EXPECT_EQ(event.steps, 7);
  lines_.notice(notice::GroupLost{}, 1);
  EXPECT_EQ(last().rank, -1) << "no single rank";
}

TEST_F(EventLinesTest, DoorsRanksAndErrorsArrive) {
  lines_.doors({"tcp://c:1", "tcp://w:2", "/s/worker.key"});
  CoordinatorEvent event = last();
  EXPECT_EQ(event.kind, Kind::kDoors);
  EXPECT_EQ(event.pid, ::getpid());
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
  std::fseek(file_, 0, SEEK_END);
  lines_.no_chat(invalid("TRI-CHAT-001", "none"));
  EXPECT_EQ(last().kind, Kind::kNoChat);
  EXPECT_EQ(last().text, "TRI-CHAT-001: none");
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

TEST_F(EventLinesTest, TheLoopSaysEveryFiveSecondsThatItRuns) {
  for (TimeUs now = 1; now <= 10'000'001; now += 250'000) lines_.tick(now);
  EXPECT_EQ(count(), 3);
  EXPECT_EQ(last().kind, Kind::kAlive);
}

// A pipe whose reader reads when it is told to.
class SlowReader {
 public:
  SlowReader() {
    EXPECT_EQ(::pipe2(ends_.data(), O_CLOEXEC), 0);
    EXPECT_EQ(::fcntl(ends_[0], F_SETFL, O_NONBLOCK), 0);
  }
  ~SlowReader() {
    ::close(ends_[0]);
    if (ends_[1] >= 0) ::close(ends_[1]);
  }
  SlowReader(const SlowReader&) = delete;

  int writer() const { return ends_[1]; }
  // All lines, for which `lines` gets its turns.
  std::vector<CoordinatorEvent> read_all(EventLines& lines) {
    std::vector<CoordinatorEvent> events;
    for (int round = 0; round < 20; ++round) {
      for (CoordinatorEvent& event : read()) events.push_back(std::move(event));
      lines.tick(1);
    }
    return events;
  }
  std::vector<CoordinatorEvent> wait_and_read() {
    pollfd wait{ends_[0], POLLIN, 0};
    ::poll(&wait, 1, 100);
    return read();
  }

 private:
  std::vector<CoordinatorEvent> read() {
    char bytes[4096];
    for (ssize_t n = 0; (n = ::read(ends_[0], bytes, sizeof bytes)) > 0;) text_.append(bytes, n);
    std::vector<CoordinatorEvent> events;
    for (size_t end = 0; (end = text_.find('\n')) != std::string::npos;) {
      const auto event = parse_coordinator_event(text_.substr(0, end));
      EXPECT_TRUE(event) << "a broken line: " << text_.substr(0, end);
      if (event) events.push_back(*event);
      text_.erase(0, end + 1);
    }
    return events;
  }

  std::array<int, 2> ends_ = {-1, -1};
  std::string text_;
};

TEST(EventLines, AReaderThatStopsBlocksNobodyAndGetsTheNewestChanges) {
  SlowReader reader;
  EventLines lines(reader.writer());
  const std::string cause(9'000, 'x');  // a pipe of 16 pages is full within such a line
  constexpr int kLost = 200;            // nearly two million bytes
  for (int i = 0; i < kLost; ++i) {
    const Status why = unavailable("TRI-GRP-041", "{} {}", cause, i);
    lines.notice(notice::GroupLost{i, 1, 0, "n", "", why}, 1);
  }
  int changes = 0;
  int last = -1;
  for (const CoordinatorEvent& event : reader.read_all(lines)) {
    if (event.kind != Kind::kGroupLost) continue;
    ++changes;
    EXPECT_GT(event.group, last) << "lines keep their order";
    EXPECT_TRUE(event.text.ends_with(format_text("x {}", event.group))) << "parts of two lines";
    last = event.group;
  }
  EXPECT_EQ(last, kLost - 1);
  EXPECT_GE(changes, static_cast<int>(EventLines::kMaxWaitingBytes / (cause.size() + 200)));
  EXPECT_LT(changes, kLost);
}

TEST(EventLines, ProgressIsDroppedBeforeChanges) {
  SlowReader reader;
  EventLines lines(reader.writer());
  constexpr int kLoading = 10'000;  // 500 KB and more
  const auto load = [&](int first) {
    for (int i = first; i < first + kLoading; ++i) lines.notice(notice::RankLoading{0, i, i}, i);
  };
  load(1);
  lines.notice(notice::RankSeen{7, 0, "early", 1}, 1);
  load(1 + kLoading);
  lines.notice(notice::RankSeen{8, 0, "late", 1}, 1);
  std::vector<int> seen;
  int loading = 0;
  for (const CoordinatorEvent& event : reader.read_all(lines)) {
    if (event.kind == Kind::kRank) seen.push_back(event.group);
    if (event.kind == Kind::kLoading) ++loading;
  }
  EXPECT_EQ(seen, (std::vector<int>{7, 8}));
  EXPECT_GT(loading, 1'000);
  EXPECT_LT(loading, 2 * kLoading);
}

TEST(EventLines, TheLastLinesWaitForAReaderThatIsSlow) {
  SlowReader reader;
  auto lines = std::make_unique<EventLines>(reader.writer());
  for (int i = 1; i < 2'000; ++i) lines->notice(notice::RankLoading{0, i, i}, i);
  lines->say("drained");
  std::thread end([&] { lines.reset(); });
  std::vector<CoordinatorEvent> events;
  SteadyClock clock;
  const TimeUs deadline_us = clock.now_us() + 10'000'000;
  while ((events.empty() || events.back().kind != Kind::kDrained) && clock.now_us() < deadline_us) {
    for (CoordinatorEvent& event : reader.wait_and_read()) events.push_back(std::move(event));
  }
  end.join();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().kind, Kind::kDrained);
}

}  // namespace event_lines_test
}  // namespace trireme
