#include "coordinator/doors/worker_key_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace trireme {

Status write_key_file(const std::string& path, const WorkerKey& key) {
  ::unlink(path.c_str());
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  const std::string text = to_hex(key) + "\n";
  const bool written =
      fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (written) return ok_status();
  return unavailable(
      "TRI-NET-015",
      "cannot write the worker key to {}: {}; give a --state folder that can be written",
      path,
      std::strerror(error));
}

}  // namespace trireme
