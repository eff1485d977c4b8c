#include "coordinator/doors/worker_key_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace trireme {
namespace {

std::string door_key_path(const std::string& state_dir) { return state_dir + "/worker_door.key"; }

Status write_file(const std::string& path, const std::string& text) {
  ::unlink(path.c_str());
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
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

// The door's secret stands where a rank's key has the ranks' one.
WorkerKey as_worker_key(const DoorKey& key) {
  return {key.ranks.server_public, key.ranks.client_public, key.server_secret};
}

std::optional<WorkerKey> read_file(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  if (!(file >> text)) return std::nullopt;
  const auto key = parse_worker_key(text);
  if (!key.ok()) return std::nullopt;
  return *key;
}

}  // namespace

std::string worker_key_path(const std::string& state_dir) { return state_dir + "/worker.key"; }

Status write_key_files(const std::string& state_dir, const DoorKey& key) {
  RETURN_IF_ERROR(write_file(door_key_path(state_dir), to_hex(as_worker_key(key)) + "\n"));
  return write_file(worker_key_path(state_dir), to_hex(key.ranks) + "\n");
}

std::optional<DoorKey> read_key_files(const std::string& state_dir) {
  const auto ranks = read_file(worker_key_path(state_dir));
  const auto door = read_file(door_key_path(state_dir));
  if (!ranks || !door || ranks->server_public != door->server_public) return std::nullopt;
  return DoorKey{*ranks, door->client_secret};
}

}  // namespace trireme
