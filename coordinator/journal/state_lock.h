// The lock of a --state folder: one coordinator at a time. Held until the object or the process
// ends, however it ends; child processes do not inherit it. Any thread.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace trireme::journal {

class StateLock {
 public:
  // Waits up to `wait_us` for a process that holds it. TRI-JRN-003: it is still held, by the
  // process that the error names. TRI-JRN-005: the folder cannot be written.
  static StatusOr<StateLock> take(const std::string& folder, TimeUs wait_us);

  // From here on the file says that its process has ended in order (it is empty), which
  // `trireme drain` waits for.
  void note_drained();

  ~StateLock();
  StateLock(StateLock&& other) noexcept;
  StateLock& operator=(StateLock&& other) noexcept;

 private:
  explicit StateLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace trireme::journal
