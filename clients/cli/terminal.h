// Output of the command line: the answer on stdout; progress, notes and errors on stderr. Colours
// and a moving bar on a terminal only, and never with NO_COLOR or TERM=dumb. Main thread.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "base/clock.h"
#include "base/exit_status.h"
#include "base/status.h"

namespace trireme {

enum class Style : uint8_t { kPlain, kBold, kDim, kGood, kBad, kWarning };

constexpr char kOutputLostId[] = "TRI-ARGS-024";
// The error of work that stops because of Terminal::output_lost().
Status output_lost_error();

class Terminal {
 public:
  Terminal(std::FILE* out, std::FILE* err);

  bool out_is_terminal() const { return out_is_terminal_; }
  bool err_is_terminal() const { return err_is_terminal_; }
  int columns() const;  // of stderr; 80 if unknown

  // Writes to stdout unchanged, and flushes. Ends the program with SIGPIPE, like other programs in
  // a pipe, if the reader of stdout is gone, unless survive_lost_reader() was called.
  void answer(const std::string& text);
  void answer_line(const std::string& text) { answer(text + "\n"); }

  // Writes to stderr what stands before the user's input, without ending the line.
  void prompt(const std::string& text);
  // Writes a line to stderr, after erasing the bar.
  void note(const std::string& text);
  void warn(const std::string& text);
  // Writes the message of an error to stderr, its ids coloured. Returns the error's exit status.
  int fail(const Status& status);
  // Returns the exit status of the program: success becomes kReaderGone if the reader of stdout was
  // gone, and kAnswerIsNo, with TRI-ARGS-024, if a part of the answer could not be written.
  int finish(int exit_status);

  // From now on answer() returns even if the reader of stdout is gone: a cluster has to be ended.
  void survive_lost_reader() { survives_lost_reader_ = true; }
  // The reader of stdout is gone or a write to it has failed: further answers reach nobody.
  bool output_lost();

  // Shows a line on stderr that the next call replaces, on a terminal only. "" erases it.
  void set_bar(const std::string& text);

  std::string paint_out(Style style, const std::string& text) const;
  std::string paint_err(Style style, const std::string& text) const;

 private:
  std::FILE* const out_;
  std::FILE* const err_;
  int write_error_ = 0;  // errno of the first failed write to stdout
  bool out_is_terminal_ = false;
  bool err_is_terminal_ = false;
  bool color_ = false;
  bool bar_stands_ = false;
  bool survives_lost_reader_ = false;
};

// Progress of long work: a bar with rate and remaining time on a terminal, otherwise one plain line
// every 3 s.
class ProgressBar {
 public:
  enum class Unit : uint8_t { kBytes, kCount };

  ProgressBar(Terminal& terminal, Clock& clock, std::string label, Unit unit);
  ~ProgressBar() { terminal_.set_bar(""); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void update(int64_t done, int64_t total);

 private:
  std::string describe(int64_t done, int64_t total, TimeUs now_us) const;

  Terminal& terminal_;
  Clock& clock_;
  const std::string label_;
  const Unit unit_;
  const TimeUs start_us_;
  TimeUs shown_us_;
};

// "[########------------]" of `width` cells.
std::string bar_cells(double fraction, int width);

}  // namespace trireme
