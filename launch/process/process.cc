#include "launch/process/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "base/text.h"

namespace trireme {

namespace {

struct Pipe {
  std::array<int, 2> ends = {-1, -1};

  bool open() { return ::pipe2(ends.data(), O_CLOEXEC) == 0; }
  int take(int which) { return std::exchange(ends[which], -1); }
  ~Pipe() {
    for (const int end : ends) {
      if (end >= 0) ::close(end);
    }
  }
};

struct Pipes {
  Pipe in, out, err, failure;
};

// In the child: executes the program, or writes errno to the failure pipe.
[[noreturn]] void become(const ProcessOptions& options,
                         std::vector<char*>& arguments,
                         const Pipes& pipes,
                         pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, options.death_signal);
  if (::getppid() != parent) ::_exit(127);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  for (const std::string& name : options.removed) ::unsetenv(name.c_str());
  for (const auto& [name, value] : options.environment) ::setenv(name.c_str(), value.c_str(), 1);
  const int input = options.pipe_stdin ? pipes.in.ends[0] : ::open("/dev/null", O_RDONLY);
  ::dup2(input, STDIN_FILENO);
  ::dup2(pipes.out.ends[1], STDOUT_FILENO);
  ::dup2(pipes.err.ends[1], STDERR_FILENO);
  ::execvp(arguments[0], arguments.data());
  const int error = errno;
  [[maybe_unused]] const ssize_t written = ::write(pipes.failure.ends[1], &error, sizeof error);
  ::_exit(127);
}

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

}  // namespace

void LineBuffer::add(const char* data, size_t count, std::vector<std::string>& lines) {
  for (size_t i = 0; i < count; ++i) {
    if (data[i] != '\n') partial_ += data[i];
    if (data[i] == '\n' || partial_.size() >= kMaxLineBytes) {
      lines.push_back(std::exchange(partial_, {}));
    }
  }
}

void LineBuffer::finish(std::vector<std::string>& lines) {
  if (!partial_.empty()) lines.push_back(std::exchange(partial_, {}));
}

StatusOr<Process> Process::start(const ProcessOptions& options) {
  Pipes pipes;
  if (!pipes.in.open() || !pipes.out.open() || !pipes.err.open() || !pipes.failure.open()) {
    return unavailable("TRI-UP-020",
                       "cannot make pipes for {}: {}; raise the limit of open files (ulimit -n)",
                       options.arguments[0],
                       std::strerror(errno));
  }
  std::vector<char*> arguments;
  for (const std::string& argument : options.arguments) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(options, arguments, pipes, parent);
  int error = pid < 0 ? errno : 0;
  close_fd(pipes.failure.ends[1]);
  if (pid > 0 && ::read(pipes.failure.ends[0], &error, sizeof error) == sizeof error) {
    ::waitpid(pid, nullptr, 0);
  }
  if (error != 0) {
    return unavailable("TRI-UP-020",
                       "cannot start {}: {}; `trireme doctor` shows what is missing",
                       options.arguments[0],
                       std::strerror(error));
  }
  Process process;
  process.pid_ = pid;
  process.pid_fd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (options.pipe_stdin) process.in_fd_ = pipes.in.take(1);
  process.out_fd_ = pipes.out.take(0);
  process.err_fd_ = pipes.err.take(0);
  for (const int fd : {process.out_fd_, process.err_fd_}) ::fcntl(fd, F_SETFL, O_NONBLOCK);
  return process;
}

Process::~Process() {
  if (pid_ > 0 && !exit_status()) {
    signal_group(SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
  }
  for (int* fd : {&pid_fd_, &in_fd_, &out_fd_, &err_fd_}) close_fd(*fd);
}

void Process::swap(Process& other) {
  std::swap(pid_, other.pid_);
  std::swap(pid_fd_, other.pid_fd_);
  std::swap(in_fd_, other.in_fd_);
  std::swap(out_fd_, other.out_fd_);
  std::swap(err_fd_, other.err_fd_);
  std::swap(out_, other.out_);
  std::swap(err_, other.err_);
  std::swap(exit_status_, other.exit_status_);
  std::swap(end_signal_, other.end_signal_);
}

void Process::read_stream(int& fd, LineBuffer& buffer, std::vector<std::string>& lines) {
  char bytes[16 << 10];
  while (fd >= 0) {
    const ssize_t count = ::read(fd, bytes, sizeof bytes);
    if (count > 0) {
      buffer.add(bytes, static_cast<size_t>(count), lines);
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
      buffer.finish(lines);
      close_fd(fd);
    } else if (errno == EAGAIN) {
      return;
    }
  }
}

void Process::read_lines(std::vector<std::string>& out, std::vector<std::string>& err) {
  read_stream(out_fd_, out_, out);
  read_stream(err_fd_, err_, err);
}

std::vector<int> Process::descriptors() const {
  std::vector<int> fds;
  for (const int fd : {out_fd_, err_fd_}) {
    if (fd >= 0) fds.push_back(fd);
  }
  if (pid_fd_ >= 0 && !exit_status_) fds.push_back(pid_fd_);
  return fds;
}

std::optional<int> Process::exit_status() {
  if (exit_status_ || pid_ <= 0) return exit_status_;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  if (WIFSIGNALED(status)) end_signal_ = WTERMSIG(status);
  exit_status_ = end_signal_ != 0 ? 128 + end_signal_ : WEXITSTATUS(status);
  return exit_status_;
}

std::optional<int> Process::wait_exit(int timeout_ms) {
  if (const auto status = exit_status()) return status;
  pollfd wait{pid_fd_, POLLIN, 0};
  ::poll(&wait, 1, timeout_ms);
  return exit_status();
}

void Process::signal_group(int signal) const {
  if (pid_ > 0 && !exit_status_) ::kill(-pid_, signal);
}

bool Process::write_line(const std::string& line) const {
  const std::string text = line + "\n";
  return in_fd_ >= 0 &&
         ::write(in_fd_, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

Interrupts::Interrupts() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  fd_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

Interrupts::~Interrupts() { ::close(fd_); }

int Interrupts::count() {
  signalfd_siginfo info;
  while (::read(fd_, &info, sizeof info) == sizeof info) {
    ++count_;
    has_sigterm_ = has_sigterm_ || info.ssi_signo == SIGTERM;
  }
  return count_;
}

}  // namespace trireme
