// Runs the trireme program in a test: stdout and stderr are kept apart, every wait has a deadline,
// and no process outlives the test.
#pragma once

#include <csignal>
#include <string>
#include <vector>

#include "launch/process/process.h"

namespace trireme {

struct CommandResult {
  int status = -1;  // -1: it did not end in time
  std::string out;
  std::string err;
  double seconds = 0;
};

// Runs `trireme arguments...` to its end.
CommandResult run_trireme(const std::vector<std::string>& arguments, int timeout_ms = 60'000);

// The bytes of a file; "" if it cannot be read.
std::string read_file(const std::string& path);

// False for a zombie, too.
bool is_running(pid_t pid);

class RunningTrireme {
 public:
  // `prefix` goes before the program: {"prlimit", "--as=..."}. `takes_lines`: write_line() works;
  // otherwise standard input is empty.
  explicit RunningTrireme(const std::vector<std::string>& arguments,
                          const std::vector<std::string>& prefix = {},
                          bool takes_lines = false);

  void write_line(const std::string& line);

  // The first line of stdout that contains `words` and was not returned yet; "" after the deadline
  // or the program's end.
  std::string wait_for(const std::string& words, int timeout_ms = 30'000);
  // Waits until stderr contains `words`. False: the deadline has passed or the program has ended.
  bool wait_for_note(const std::string& words, int timeout_ms = 30'000);
  void signal(int number) { process_.signal_group(number); }
  // Waits for its end and returns its output.
  CommandResult finish(int timeout_ms = 30'000);
  // Descendant processes of this name.
  std::vector<pid_t> descendants(const std::string& name) const;
  // Waits until there are so many of them; fewer after the deadline.
  std::vector<pid_t> wait_for_descendants(const std::string& name, size_t count);
  std::string text() const;  // both streams so far, for messages

 private:
  void read(int timeout_ms);

  Process process_;
  std::vector<std::string> out_;
  std::vector<std::string> err_;
  size_t seen_ = 0;
};

// A folder below the test's temporary directory, deleted with this object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace trireme
