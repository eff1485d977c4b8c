#include "launch/process/running_coordinator.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

namespace trireme {

namespace {

// The text of a lock file: the process that holds it, or nothing after an end in order.
std::optional<std::string> text_of(int fd) {
  std::array<char, 32> text{};
  const ssize_t bytes = ::pread(fd, text.data(), text.size(), 0);
  if (bytes < 0) return std::nullopt;
  return std::string(text.data(), static_cast<size_t>(bytes));
}

int open_lock(const std::string& folder) {
  return ::open((folder + "/lock").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

}  // namespace

StatusOr<RunningCoordinator> RunningCoordinator::find(const std::string& folder) {
  const int fd = open_lock(folder);
  const bool is_free = fd < 0 || ::flock(fd, LOCK_SH | LOCK_NB) == 0;
  const auto text = is_free ? std::nullopt : text_of(fd);
  if (fd >= 0) ::close(fd);
  pid_t pid = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), pid);
  const int pid_fd = pid > 0 ? static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)) : -1;
  if (pid_fd >= 0) return RunningCoordinator(folder, pid, pid_fd);
  return not_found("TRI-UP-045",
                   "no cluster runs on the state folder {}; give the folder of its `trireme up` "
                   "(--state, or ~/.local/state/trireme/MODEL-PORT)",
                   folder);
}

RunningCoordinator::RunningCoordinator(RunningCoordinator&& other) noexcept
    : folder_(other.folder_), pid_(other.pid_), pid_fd_(std::exchange(other.pid_fd_, -1)) {}

RunningCoordinator::~RunningCoordinator() {
  if (pid_fd_ >= 0) ::close(pid_fd_);
}

Status RunningCoordinator::ask_to_drain() const {
  if (::syscall(SYS_pidfd_send_signal, pid_fd_, SIGTERM, nullptr, 0) == 0 || errno == ESRCH) {
    return ok_status();
  }
  return unavailable(
      "TRI-UP-046", "process {} cannot be asked to end: {}", pid_, std::strerror(errno));
}

bool RunningCoordinator::wait_end(int timeout_ms) const {
  pollfd wait{pid_fd_, POLLIN, 0};
  return ::poll(&wait, 1, timeout_ms) > 0;
}

Status RunningCoordinator::check_drained() const {
  const int fd = open_lock(folder_);
  const auto text = fd >= 0 ? text_of(fd) : std::nullopt;
  if (fd >= 0) ::close(fd);
  if (text && text->empty()) return ok_status();
  return unavailable("TRI-UP-047",
                     "process {} has ended without draining; what was accepted is in the journal, "
                     "if the cluster had one",
                     pid_);
}

}  // namespace trireme
