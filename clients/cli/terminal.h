// What a person or a pipe sees: stdout carries the answer, stderr progress and logs. Colours and a
// moving bar only on a terminal (and never with NO_COLOR or TERM=dumb). Used by the main thread.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "base/clock.h"
#include "base/exit_status.h"
#include "base/status.h"

namespace trireme {

enum class Style : uint8_t { kPlain, kBold, kDim, kGood, kBad, kWarning };

class Terminal {
 public:
  Terminal(std::FILE* out, std::FILE* err);

  bool out_is_terminal() const { return out_is_terminal_; }
  bool err_is_terminal() const { return err_is_terminal_; }
  int columns() const;  // of stderr; 80 if unknown

  // The answer, as it is; flushed.
  void answer(const std::string& text);
  void answer_line(const std::string& text) { answer(text + "\n"); }

  // A line on stderr; a bar that stands there is wiped first.
  void note(const std::string& text);
  void warn(const std::string& text);
  // Every line of the status's message on a line of its own. Returns its exit status.
  int fail(const Status& status);
  // The exit status of the program: a work that was done is not if its answer could not be written.
  // A reader that left has what it wanted. TRI-ARGS-024.
  int finish(int exit_status);

  // A line that replaces itself, on a terminal only. "" wipes it.
  void set_bar(const std::string& text);

  std::string paint_out(Style style, const std::string& text) const;
  std::string paint_err(Style style, const std::string& text) const;

 private:
  std::FILE* const out_;
  std::FILE* const err_;
  int write_error_ = 0;  // errno of the first answer that was lost
  bool out_is_terminal_ = false;
  bool err_is_terminal_ = false;
  bool color_ = false;
  bool bar_stands_ = false;
};

// Work that takes a while: a bar with rate and time left on a terminal, one plain line every few
// seconds otherwise.
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
  TimeUs said_us_;
};

// "[########------------]" of `width` cells.
std::string bar_cells(double fraction, int width);

}  // namespace trireme
