// A program started by a test: its output is collected line by line, and it never outlives the
// test. Every wait has a deadline.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace trireme {

class ChildProcess {
 public:
  // stdout and stderr come together. A program that cannot start ends with status 127.
  explicit ChildProcess(const std::vector<std::string>& command);
  ~ChildProcess();  // kills its whole process group
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Waits for the end; false after the deadline. The status is 128 + signal for a killed one.
  bool wait_for_end(int timeout_ms);
  int status() const { return status_; }
  pid_t pid() const { return pid_; }
  // All that it has written so far.
  const std::string& output();

 private:
  void read_output();

  pid_t pid_ = -1;
  int output_fd_ = -1;
  int status_ = -1;
  bool ended_ = false;
  std::string output_;
};

}  // namespace trireme
