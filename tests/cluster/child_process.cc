#include "tests/cluster/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

namespace trireme {

ChildProcess::ChildProcess(const std::vector<std::string>& command) {
  int pipe_fds[2];
  CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0);
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  pid_ = fork();
  CHECK(pid_ >= 0);
  if (pid_ == 0) {
    setpgid(0, 0);
    dup2(pipe_fds[1], STDOUT_FILENO);
    dup2(pipe_fds[1], STDERR_FILENO);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  setpgid(pid_, pid_);
  close(pipe_fds[1]);
  output_fd_ = pipe_fds[0];
  fcntl(output_fd_, F_SETFL, O_NONBLOCK);
}

ChildProcess::~ChildProcess() {
  kill(-pid_, SIGKILL);
  if (!ended_) waitpid(pid_, nullptr, 0);
  close(output_fd_);
}

bool ChildProcess::wait_for_end(int timeout_ms) {
  SteadyClock clock;
  const TimeUs deadline_us = clock.now_us() + TimeUs{1000} * timeout_ms;
  while (!ended_ && clock.now_us() < deadline_us) {
    pollfd waiting{output_fd_, POLLIN, 0};
    poll(&waiting, 1, 20);
    read_output();
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) != pid_) continue;
    ended_ = true;
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  read_output();
  return ended_;
}

const std::string& ChildProcess::output() {
  read_output();
  return output_;
}

void ChildProcess::read_output() {
  char buffer[4096];
  ssize_t count = 0;
  while ((count = read(output_fd_, buffer, sizeof buffer)) > 0) {
    output_.append(buffer, static_cast<size_t>(count));
  }
}

}  // namespace trireme
