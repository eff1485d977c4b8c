#include "coordinator/journal/posix_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace trireme::journal {
namespace {

constexpr mode_t kOwnerOnly = 0600;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

// 0, or the error.
int write_all(int fd, uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    if (written == 0) return ENOSPC;
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return 0;
}

// Room for the bytes [from, to) of a file that ends at `from`. 0, or the error.
int allocate(int fd, uint64_t from, uint64_t to) {
  int error = 0;
  do {
    const auto length = static_cast<off_t>(to - from);
    error = ::fallocate(fd, 0, static_cast<off_t>(from), length) == 0 ? 0 : errno;
  } while (error == EINTR);
  if (error != EOPNOTSUPP && error != ENOSYS) return error;
  // A file system without allocation: the zeros themselves take the room.
  const std::string zeros(1 << 20, '\0');
  for (; from < to; from += zeros.size()) {
    const size_t bytes = std::min<uint64_t>(zeros.size(), to - from);
    error = write_all(fd, from, std::string_view(zeros).substr(0, bytes));
    if (error != 0) return error;
  }
  return 0;
}

}  // namespace

StatusOr<std::unique_ptr<PosixDisk>> PosixDisk::open(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return unavailable("TRI-JRN-005",
                       "cannot open the folder of the journal {}: {}; give a --state folder that "
                       "can be read and written",
                       folder,
                       std::strerror(errno));
  }
  return std::unique_ptr<PosixDisk>(new PosixDisk(folder, fd));
}

PosixDisk::PosixDisk(std::string folder, int folder_fd)
    : folder_(std::move(folder)), folder_fd_(folder_fd) {}

PosixDisk::~PosixDisk() {
  close_writer();
  ::close(folder_fd_);
}

Status PosixDisk::failed(const char* what, const std::string& name, int error) const {
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    return exhausted("TRI-JRN-004",
                     "no room on the disk to {} {}/{}: {}; free space there, or give a --state "
                     "folder on a larger disk",
                     what,
                     folder_,
                     name,
                     std::strerror(error));
  }
  return unavailable("TRI-JRN-005",
                     "cannot {} {}/{}: {}; look at the disk and at the rights of the folder",
                     what,
                     folder_,
                     name,
                     std::strerror(error));
}

StatusOr<std::vector<DiskFile>> PosixDisk::list() {
  const int fd = ::openat(folder_fd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* folder = fd >= 0 ? ::fdopendir(fd) : nullptr;
  if (folder == nullptr) {
    const int error = errno;
    if (fd >= 0) ::close(fd);
    return failed("list", ".", error);
  }
  std::vector<DiskFile> files;
  while (const dirent* entry = ::readdir(folder)) {
    struct stat info {};
    if (::fstatat(folder_fd_, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISREG(info.st_mode)) {
      files.push_back({entry->d_name, static_cast<uint64_t>(info.st_size)});
    }
  }
  ::closedir(folder);
  return files;
}

StatusOr<std::string> PosixDisk::read(const std::string& name, uint64_t offset, uint64_t bytes) {
  const Descriptor file(::openat(folder_fd_, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) return failed("open", name, errno);
  const auto size = static_cast<uint64_t>(info.st_size);
  std::string out(offset < size ? std::min(bytes, size - offset) : 0, '\0');
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = ::pread(
        file.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read", name, errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  out.resize(done);
  return out;
}

Status PosixDisk::reserve(const std::string& name, uint64_t bytes) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
  const Descriptor file(::openat(folder_fd_, name.c_str(), kFlags, kOwnerOnly));
  struct stat info {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) return failed("create", name, errno);
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size >= bytes) return ok_status();
  const int error = allocate(file.get(), size, bytes);
  if (error == 0) return ok_status();
  // Back to what it was: others may need the room.
  if (size == 0) {
    ::unlinkat(folder_fd_, name.c_str(), 0);
  } else if (::ftruncate(file.get(), info.st_size) != 0) {
    return failed("shorten", name, errno);
  }
  return failed("reserve", name, error);
}

Status PosixDisk::shorten(const std::string& name, uint64_t bytes) {
  const Descriptor file(::openat(folder_fd_, name.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.get() >= 0 && ::ftruncate(file.get(), static_cast<off_t>(bytes)) == 0) {
    return ok_status();
  }
  return failed("shorten", name, errno);
}

int PosixDisk::writer(const std::string& name) {
  if (writer_fd_ >= 0 && writer_name_ == name) return writer_fd_;
  close_writer();
  writer_fd_ = ::openat(folder_fd_, name.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  writer_name_ = name;
  return writer_fd_;
}

void PosixDisk::close_writer() {
  if (writer_fd_ >= 0) ::close(writer_fd_);
  writer_fd_ = -1;
}

Status PosixDisk::write(const std::string& name, uint64_t offset, std::string_view bytes) {
  const int fd = writer(name);
  const int error = fd < 0 ? errno : write_all(fd, offset, bytes);
  return error == 0 ? ok_status() : failed("write", name, error);
}

Status PosixDisk::sync(const std::string& name) {
  const int fd = writer(name);
  if (fd >= 0 && ::fdatasync(fd) == 0) return ok_status();
  return failed("sync", name, errno);
}

Status PosixDisk::sync_folder() {
  return ::fsync(folder_fd_) == 0 ? ok_status() : failed("sync", ".", errno);
}

Status PosixDisk::unlink(const std::string& name) {
  if (writer_name_ == name) close_writer();
  if (::unlinkat(folder_fd_, name.c_str(), 0) == 0 || errno == ENOENT) return ok_status();
  return failed("remove", name, errno);
}

}  // namespace trireme::journal
