// The trireme program as a test uses it: started with arguments, its streams kept apart, every wait
// with a deadline. Nothing outlives the test.
#pragma once

#include <csignal>
#include <string>
#include <vector>

#include "launch/process.h"

namespace trireme {

struct CommandResult {
  int status = -1;  // -1: it did not end in time
  std::string out;
  std::string err;
  double seconds = 0;
};

// `trireme arguments...` to its end.
CommandResult run_trireme(const std::vector<std::string>& arguments, int timeout_ms = 60'000);

// Not ended; one that only waits for its parent to look is over.
bool is_running(pid_t pid);

class RunningTrireme {
 public:
  // `prefix` goes before the program: {"prlimit", "--as=..."}.
  explicit RunningTrireme(const std::vector<std::string>& arguments,
                          const std::vector<std::string>& prefix = {});

  // The first line of standard output that holds `words` and was not returned yet; "" after the
  // deadline or the program's end.
  std::string wait_for(const std::string& words, int timeout_ms = 30'000);
  void signal(int number) { process_.signal_group(number); }
  // Waits for its end and returns all that it wrote.
  CommandResult finish(int timeout_ms = 30'000);
  // The processes of this name that it or its children started.
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

// A folder below the test's temporary directory that goes with this object.
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
