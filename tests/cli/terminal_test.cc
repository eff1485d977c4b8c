#include "clients/cli/terminal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <utility>

namespace trireme {
namespace terminal_test {

// Files in place of pipes: neither stdout nor stderr is a terminal.
class TerminalTest : public testing::Test {
 protected:
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

  static std::string content(const File& file) {
    std::rewind(file.get());
    std::string text(1 << 12, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file.get()));
    return text;
  }

  File out_{std::tmpfile(), std::fclose};
  File err_{std::tmpfile(), std::fclose};
  Terminal terminal_{out_.get(), err_.get()};
};

TEST_F(TerminalTest, TheAnswerGoesToStdoutAndNotesToStderr) {
  terminal_.answer("an answer");
  terminal_.answer_line("");
  terminal_.note("a note");
  terminal_.warn("careful");
  EXPECT_EQ(content(out_), "an answer\n");
  EXPECT_EQ(content(err_), "a note\nwarning: careful\n");
}

TEST_F(TerminalTest, AnAnswerThatCannotBeWrittenIsAnError) {
  EXPECT_EQ(terminal_.finish(kDone), kDone);
  const File full(std::fopen("/dev/full", "w"), std::fclose);
  ASSERT_NE(full, nullptr);
  Terminal terminal(full.get(), err_.get());
  EXPECT_EQ(terminal.finish(kDone), kDone);
  terminal.answer("lost");
  EXPECT_EQ(terminal.finish(kBadInput), kBadInput);
  EXPECT_EQ(content(err_), "");
  EXPECT_EQ(terminal.finish(kDone), kAnswerIsNo);
  EXPECT_THAT(content(err_), testing::StartsWith("TRI-ARGS-024: the answer could not be written"));
}

// A pipe whose reader can leave.
class Pipe {
 public:
  Pipe() {
    EXPECT_EQ(::pipe(ends_), 0);
    writer_.reset(::fdopen(ends_[1], "w"));
  }
  ~Pipe() { close_reader(); }
  void close_reader() {
    if (ends_[0] >= 0) ::close(std::exchange(ends_[0], -1));
  }
  std::FILE* writer() { return writer_.get(); }

 private:
  int ends_[2] = {-1, -1};
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> writer_{nullptr, std::fclose};
};

TEST_F(TerminalTest, AReaderThatLeftIsNoticedWithoutAWriteAndIsNoSuccess) {
  std::signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  Terminal terminal(pipe.writer(), err_.get());
  terminal.survive_lost_reader();
  terminal.answer("read by somebody");
  EXPECT_FALSE(terminal.output_lost());
  pipe.close_reader();
  EXPECT_TRUE(terminal.output_lost());
  terminal.answer("read by nobody");
  EXPECT_EQ(terminal.finish(kDone), kReaderGone);
  EXPECT_EQ(terminal.finish(kBadInput), kBadInput);
  EXPECT_EQ(content(err_), "");
  EXPECT_FALSE(terminal_.output_lost());  // a file has no reader
}

TEST_F(TerminalTest, WithoutAClusterTheProgramEndsLikeOthersInAPipe) {
  const auto write_to_nobody = [this] {
    std::signal(SIGPIPE, SIG_IGN);
    Pipe pipe;
    pipe.close_reader();
    Terminal terminal(pipe.writer(), err_.get());
    terminal.answer("read by nobody");
    std::exit(0);
  };
  EXPECT_EXIT(write_to_nobody(), testing::KilledBySignal(SIGPIPE), "");
}

TEST_F(TerminalTest, ANoteEscapesBytesThatAreNotUtf8) {
  terminal_.note("models/m\xFF caf\xC3\xA9");
  EXPECT_EQ(content(err_), "models/m\\xff caf\xC3\xA9\n");
}

TEST_F(TerminalTest, APipeGetsNeitherColourNorABar) {
  terminal_.set_bar("loading");
  terminal_.set_bar("");
  EXPECT_EQ(terminal_.paint_out(Style::kBad, "no"), "no");
  EXPECT_EQ(terminal_.paint_err(Style::kGood, "yes"), "yes");
  EXPECT_EQ(content(err_), "");
  EXPECT_EQ(terminal_.columns(), 80);
}

TEST_F(TerminalTest, EveryLineOfAFailureIsShown) {
  const Status status =
      absl::InvalidArgumentError("TRI-ARGS-001: no flag --a\nTRI-ARGS-002: --b lacks a value");
  EXPECT_EQ(terminal_.fail(status), kBadInput);
  EXPECT_EQ(content(err_), "TRI-ARGS-001: no flag --a\nTRI-ARGS-002: --b lacks a value\n");
  EXPECT_EQ(content(out_), "");
}

TEST_F(TerminalTest, ProgressIsAPlainLineEveryFewSeconds) {
  FakeClock clock;
  ProgressBar bar(terminal_, clock, "loading", ProgressBar::Unit::kCount);
  clock.advance_us(1'000'000);
  bar.update(10, 100);
  EXPECT_EQ(content(err_), "");
  clock.advance_us(3'000'000);
  bar.update(40, 100);
  EXPECT_EQ(content(err_), "loading 40 of 100, 10/s, 6.0 s left\n");
}

TEST(ExitStatus, BadInputIsTwoAndOtherFailuresAreThree) {
  EXPECT_EQ(exit_status_of(ok_status()), 0);
  EXPECT_EQ(exit_status_of(invalid("TRI-ARGS-001", "")), 2);
  EXPECT_EQ(exit_status_of(unavailable("TRI-UP-008", "")), 3);
  EXPECT_EQ(exit_status_of(timed_out("TRI-UP-012", "")), 3);
}

TEST(Format, SecondsAreShownInAUnitOfTheirSize) {
  EXPECT_EQ(format_seconds(0), "0 ms");
  EXPECT_EQ(format_seconds(0.13), "130 ms");
  EXPECT_EQ(format_seconds(0.9996), "1.0 s");
  EXPECT_EQ(format_seconds(4.23), "4.2 s");
  EXPECT_EQ(format_seconds(42.6), "43 s");
  EXPECT_EQ(format_seconds(200), "3 min 20 s");
  EXPECT_EQ(format_seconds(7'260), "2 h 1 min");
}

TEST(Format, ABarNeverExceedsItsCells) {
  EXPECT_EQ(bar_cells(0, 4), "[----]");
  EXPECT_EQ(bar_cells(0.5, 4), "[##--]");
  EXPECT_EQ(bar_cells(7, 4), "[####]");
  EXPECT_EQ(bar_cells(-1, 4), "[----]");
}

}  // namespace terminal_test
}  // namespace trireme
