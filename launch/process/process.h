// A child process in a process group of its own, with its output as lines. Started by fork and exec
// without a shell; gets a signal when its parent dies (PR_SET_PDEATHSIG). Main thread only.
// Invariant: the destructor kills the process group and reaps the child.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace trireme {

// The last lines of a child's output, kept to name the cause of its end.
constexpr size_t kTailLines = 200;

// Splits a stream of bytes into lines. Lines above 64 KiB are split at that length.
class LineBuffer {
 public:
  void add(const char* data, size_t count, std::vector<std::string>& lines);
  void finish(std::vector<std::string>& lines);  // takes a last line without a newline

 private:
  static constexpr size_t kMaxLineBytes = 64 << 10;
  std::string partial_;
};

struct ProcessOptions {
  std::vector<std::string> arguments;  // the program first, found through PATH
  std::vector<std::pair<std::string, std::string>> environment;  // added to the parent's
  std::vector<std::string> removed;  // variables of the parent that the child does not get
  bool pipe_stdin = false;           // write_line() works; otherwise stdin is /dev/null
  int death_signal = 15;             // sent to the child when the parent dies
};

class Process {
 public:
  // TRI-UP-020: the program cannot be started.
  static StatusOr<Process> start(const ProcessOptions& options);

  Process() = default;
  Process(Process&& other) noexcept { swap(other); }
  Process& operator=(Process&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Process();

  bool started() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }

  // Appends the lines that have arrived, without waiting. `out` and `err` may be one vector.
  void read_lines(std::vector<std::string>& out, std::vector<std::string>& err);
  // Descriptors that become readable on output and at the end.
  std::vector<int> descriptors() const;

  // The exit status (128 + signal if a signal ended it), once the process has ended.
  std::optional<int> exit_status();
  // The signal that ended it; 0: none did, or it has not ended.
  int end_signal() const { return end_signal_; }
  // The exit status, after waiting up to `timeout_ms` for the end.
  std::optional<int> wait_exit(int timeout_ms);

  void signal_group(int signal) const;
  // False if the reader is gone.
  bool write_line(const std::string& line) const;

 private:
  void swap(Process& other);
  void read_stream(int& fd, LineBuffer& buffer, std::vector<std::string>& lines);

  pid_t pid_ = -1;
  int pid_fd_ = -1;
  int in_fd_ = -1;
  int out_fd_ = -1;
  int err_fd_ = -1;
  LineBuffer out_;
  LineBuffer err_;
  std::optional<int> exit_status_;
  int end_signal_ = 0;
};

// Counts SIGINT and SIGTERM, which are blocked from here on. Made before other threads start, which
// inherit the mask.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  int fd() const { return fd_; }  // readable when a signal has come
  int count();                    // signals since construction or forget()
  // Whether one of them was SIGTERM, which asks for the program's end.
  bool asked_to_end() { return count() > 0 && has_sigterm_; }
  // Counts from 0 again, but a SIGTERM stays.
  void forget() { count_ = asked_to_end() ? 1 : 0; }

 private:
  int fd_ = -1;
  int count_ = 0;
  bool has_sigterm_ = false;
};

}  // namespace trireme
