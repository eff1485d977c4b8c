#include "base/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace trireme {

Status check_writable(const std::string& path, const char* id, std::string_view subject) {
  // A pipe without a reader would block.
  constexpr int kFlags = O_WRONLY | O_CLOEXEC | O_NONBLOCK;
  const int created = ::open(path.c_str(), kFlags | O_CREAT | O_EXCL, 0644);
  if (created >= 0) {
    ::close(created);
    ::unlink(path.c_str());
    return ok_status();
  }
  // O_CREAT again for a link to a file that is not there yet.
  const int fd = errno == EEXIST ? ::open(path.c_str(), kFlags | O_CREAT, 0644) : -1;
  if (fd >= 0) ::close(fd);
  if (fd >= 0 || errno == ENXIO) return ok_status();  // ENXIO: a pipe without a reader
  return invalid(id,
                 "cannot write {} {}: {}; name a file in a folder that can be written",
                 subject,
                 path,
                 std::strerror(errno));
}

}  // namespace trireme
