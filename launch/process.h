// A child process in a group of its own, with its output as lines. Started by fork and exec, no
// shell; dies with its parent (PR_SET_PDEATHSIG). Used by the main thread only.
// Invariant: a Process that goes out of scope is dead and reaped.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace trireme {

// Cuts a stream of bytes into lines; a line longer than the bound is cut there.
class LineBuffer {
 public:
  void add(const char* data, size_t count, std::vector<std::string>& lines);
  void finish(std::vector<std::string>& lines);  // what stands without a newline

 private:
  static constexpr size_t kMaxLineBytes = 64 << 10;
  std::string partial_;
};

struct ProcessOptions {
  std::vector<std::string> arguments;  // the program first, found through PATH
  std::vector<std::pair<std::string, std::string>> environment;  // beside the parent's
  bool pipe_stdin = false;
  int death_signal = 15;  // when the parent dies
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

  // Lines that have arrived, without waiting. The descriptors to poll: out, err, exit.
  void read_lines(std::vector<std::string>& out, std::vector<std::string>& err);
  std::vector<int> descriptors() const;

  // The exit status (128 + signal if one ended it) once the process is over.
  std::optional<int> exit_status();
  // Waits at most so long for the end.
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
};

// SIGINT and SIGTERM as counts instead of death. Lives in main, before any thread starts.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  int fd() const { return fd_; }
  int count();  // since the start

 private:
  int fd_ = -1;
  int count_ = 0;
};

}  // namespace trireme
