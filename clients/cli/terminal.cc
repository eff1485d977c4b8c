#include "clients/cli/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>

#include "base/environment.h"
#include "base/text.h"
#include "base/utf8.h"

namespace trireme {

namespace {

constexpr TimeUs kBarEveryUs = 100'000;
constexpr TimeUs kLineEveryUs = 3'000'000;

std::string paint(bool color, Style style, const std::string& text) {
  constexpr const char* kCodes[] = {"", "1", "2", "32", "31", "33"};
  if (!color || style == Style::kPlain) return text;
  return format_text("\x1b[{}m{}\x1b[0m", kCodes[static_cast<int>(style)], text);
}

}  // namespace

Status output_lost_error() {
  return unavailable(kOutputLostId, "the answers cannot be written to standard output");
}

Terminal::Terminal(std::FILE* out, std::FILE* err) : out_(out), err_(err) {
  out_is_terminal_ = ::isatty(::fileno(out)) == 1;
  err_is_terminal_ = ::isatty(::fileno(err)) == 1;
  color_ = environment("NO_COLOR").value_or("").empty() && environment("TERM") != "dumb";
}

int Terminal::columns() const {
  winsize size{};
  if (::ioctl(::fileno(err_), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

void Terminal::answer(const std::string& text) {
  if (out_is_terminal_) set_bar("");
  const bool written = std::fwrite(text.data(), 1, text.size(), out_) == text.size();
  if ((std::fflush(out_) != 0 || !written) && write_error_ == 0) write_error_ = errno;
  if (write_error_ == EPIPE && !survives_lost_reader_) {
    std::signal(SIGPIPE, SIG_DFL);
    std::raise(SIGPIPE);
  }
}

bool Terminal::output_lost() {
  if (write_error_ != 0) return true;
  pollfd reader{::fileno(out_), 0, 0};  // a pipe without a reader reports an error unasked
  if (::poll(&reader, 1, 0) == 1 && (reader.revents & (POLLERR | POLLHUP)) != 0) {
    write_error_ = EPIPE;
  }
  return write_error_ != 0;
}

int Terminal::finish(int exit_status) {
  if (exit_status != kDone || write_error_ == 0) return exit_status;
  if (write_error_ == EPIPE) return kReaderGone;
  (void)fail(unavailable(kOutputLostId,
                         "the answer could not be written to standard output: {}; free some space, "
                         "or send it elsewhere",
                         std::strerror(write_error_)));
  return kAnswerIsNo;
}

void Terminal::prompt(const std::string& text) {
  set_bar("");
  std::fputs(paint_err(Style::kBold, text).c_str(), err_);
  std::fflush(err_);
}

void Terminal::note(const std::string& text) {
  set_bar("");
  std::fprintf(err_, "%s\n", escape_not_utf8(text).c_str());
  std::fflush(err_);
}

void Terminal::warn(const std::string& text) {
  note(paint_err(Style::kWarning, "warning: ") + text);
}

int Terminal::fail(const Status& status) {
  const std::string message = message_of(status);
  for (const std::string& line : split(message, '\n')) {
    const size_t colon = line.starts_with("TRI-") ? std::min(line.find(':'), line.size()) : 0;
    note(paint_err(Style::kBad, line.substr(0, colon)) + line.substr(colon));
  }
  return exit_status_of(status);
}

void Terminal::set_bar(const std::string& text) {
  if (!err_is_terminal_ || (text.empty() && !bar_stands_)) return;
  const size_t room = static_cast<size_t>(std::max(20, columns() - 1));
  std::fprintf(err_, "\r\x1b[K%s", std::string(utf8_head(text, room)).c_str());
  std::fflush(err_);
  bar_stands_ = !text.empty();
}

std::string Terminal::paint_out(Style style, const std::string& text) const {
  return paint(color_ && out_is_terminal_, style, text);
}

std::string Terminal::paint_err(Style style, const std::string& text) const {
  return paint(color_ && err_is_terminal_, style, text);
}

std::string bar_cells(double fraction, int width) {
  const int full = static_cast<int>(std::lround(std::clamp(fraction, 0.0, 1.0) * width));
  return format_text("[{}{}]", std::string(full, '#'), std::string(width - full, '-'));
}

ProgressBar::ProgressBar(Terminal& terminal, Clock& clock, std::string label, Unit unit)
    : terminal_(terminal),
      clock_(clock),
      label_(std::move(label)),
      unit_(unit),
      start_us_(clock.now_us()),
      shown_us_(start_us_) {}

void ProgressBar::update(int64_t done, int64_t total) {
  const TimeUs now_us = clock_.now_us();
  const bool moves = terminal_.err_is_terminal();
  if (now_us - shown_us_ < (moves ? kBarEveryUs : kLineEveryUs)) return;
  shown_us_ = now_us;
  const std::string text = describe(done, total, now_us);
  if (!moves) return terminal_.note(label_ + " " + text);
  const double fraction = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 0;
  const int width = std::clamp(terminal_.columns() - 60, 10, 40);
  terminal_.set_bar(format_text("{} {} {}", label_, bar_cells(fraction, width), text));
}

std::string ProgressBar::describe(int64_t done, int64_t total, TimeUs now_us) const {
  const auto show = [&](double value) {
    return unit_ == Unit::kBytes ? format_bytes(value) : format_text("{}", std::llround(value));
  };
  const double seconds = std::max(1e-6, static_cast<double>(now_us - start_us_) * 1e-6);
  const double rate = static_cast<double>(done) / seconds;
  std::string text =
      format_text("{} of {}", show(static_cast<double>(done)), show(static_cast<double>(total)));
  if (done <= 0) return text;
  const std::string shown_rate = unit_ == Unit::kCount && rate < 10
                                     ? format_text("{:g}", std::round(rate * 10) / 10)
                                     : show(rate);
  const double left_s = static_cast<double>(std::max<int64_t>(total - done, 0)) / rate;
  return format_text("{}, {}/s, {} left", text, shown_rate, format_seconds(left_s));
}

}  // namespace trireme
