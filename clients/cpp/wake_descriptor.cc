#include "clients/cpp/wake_descriptor.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace trireme {
namespace {

void add(int epoll, int descriptor) {
  epoll_event event = {};
  event.events = EPOLLIN;
  CHECK(::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0);
}

}  // namespace

StatusOr<WakeDescriptor> WakeDescriptor::create() {
  WakeDescriptor wake(::epoll_create1(EPOLL_CLOEXEC), ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wake.epoll_ < 0 || wake.event_ < 0) {
    return exhausted("TRI-UP-041", "a client found no free descriptor: {}", std::strerror(errno));
  }
  add(wake.epoll_, wake.event_);
  return wake;
}

WakeDescriptor::~WakeDescriptor() {
  if (event_ >= 0) ::close(event_);
  if (epoll_ >= 0) ::close(epoll_);
}

WakeDescriptor::WakeDescriptor(WakeDescriptor&& other) noexcept
    : epoll_(std::exchange(other.epoll_, -1)),
      event_(std::exchange(other.event_, -1)),
      armed_(other.armed_),
      watched_(std::move(other.watched_)) {}

void WakeDescriptor::watch(std::vector<int> descriptors) {
  for (const int old : watched_) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, old, nullptr);
  watched_ = std::move(descriptors);
  for (const int descriptor : watched_) add(epoll_, descriptor);
}

void WakeDescriptor::set_armed(bool armed) {
  if (armed == armed_) return;
  armed_ = armed;
  uint64_t count = 1;
  if (armed) {
    CHECK(::write(event_, &count, sizeof count) == sizeof count);
  } else {
    CHECK(::read(event_, &count, sizeof count) == sizeof count);
  }
}

bool WakeDescriptor::wait(int timeout_ms) const {
  pollfd item = {epoll_, POLLIN, 0};
  return ::poll(&item, 1, timeout_ms) > 0;
}

}  // namespace trireme
