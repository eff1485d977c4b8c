#include "coordinator/journal/state_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace trireme::journal {
namespace {

constexpr const char* kFile = "/lock";
constexpr std::chrono::milliseconds kPause{20};

std::string holder(int fd) {
  std::array<char, 32> text{};
  const ssize_t bytes = ::pread(fd, text.data(), text.size(), 0);
  const std::string word(text.data(), bytes > 0 ? static_cast<size_t>(bytes) : 0);
  const size_t end = word.find_first_not_of("0123456789");
  return end == 0 || word.empty() ? "another process" : "process " + word.substr(0, end);
}

bool write_pid(int fd) {
  const std::string text = std::to_string(::getpid()) + "\n";
  return ::ftruncate(fd, 0) == 0 &&
         ::pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
}

}  // namespace

StatusOr<StateLock> StateLock::take(const std::string& folder, TimeUs wait_us) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
  StateLock lock(::open((folder + kFile).c_str(), kFlags, 0600));
  SteadyClock clock;
  const TimeUs deadline = clock.now_us() + wait_us;
  int error = lock.fd_ < 0 ? errno : 0;
  while (error == 0) {
    if (::flock(lock.fd_, LOCK_EX | LOCK_NB) == 0) {
      if (write_pid(lock.fd_)) return lock;
      error = errno;
      break;
    }
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) {
      error = errno;
      break;
    }
    if (clock.now_us() >= deadline) {
      return unavailable("TRI-JRN-003",
                         "the state folder {} is in use by {}; stop it, or give another --state",
                         folder,
                         holder(lock.fd_));
    }
    std::this_thread::sleep_for(kPause);
  }
  return unavailable("TRI-JRN-005",
                     "cannot lock the state folder {}: {}; give a --state folder that can be "
                     "written",
                     folder,
                     std::strerror(error));
}

void StateLock::note_drained() { static_cast<void>(::ftruncate(fd_, 0)); }

StateLock::~StateLock() {
  if (fd_ >= 0) ::close(fd_);
}

StateLock::StateLock(StateLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

StateLock& StateLock::operator=(StateLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

}  // namespace trireme::journal
