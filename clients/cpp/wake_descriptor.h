// One descriptor for an event loop that stands for several: readable while one of the watched
// descriptors is, or while it is armed. Used by one thread.
#pragma once

#include <vector>

#include "base/status.h"

namespace trireme {

class WakeDescriptor {
 public:
  // TRI-UP-041: no descriptor is free.
  static StatusOr<WakeDescriptor> create();
  ~WakeDescriptor();
  WakeDescriptor(WakeDescriptor&& other) noexcept;
  WakeDescriptor& operator=(WakeDescriptor&&) = delete;

  int get() const { return epoll_; }
  // In place of those watched before, which may be closed only after this call.
  void watch(std::vector<int> descriptors);
  void set_armed(bool armed);
  // Whether it became readable within `timeout_ms`.
  bool wait(int timeout_ms) const;

 private:
  WakeDescriptor(int epoll, int event) : epoll_(epoll), event_(event) {}

  int epoll_ = -1;
  int event_ = -1;
  bool armed_ = false;
  std::vector<int> watched_;
};

}  // namespace trireme
