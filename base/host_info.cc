#include "base/host_info.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "base/environment.h"
#include "base/text.h"

namespace trireme {

namespace {

namespace fs = std::filesystem;

// A number in a one-line file; -1 for "max" and for absence.
int64_t read_number(const char* path) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? value : -1;
}

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

std::unique_ptr<addrinfo, FreeAddresses> look_up(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const std::string service = format_text("{}", port);
  if (::getaddrinfo(host.c_str(), port > 0 ? service.c_str() : nullptr, &hints, &list) != 0) {
    return nullptr;
  }
  return std::unique_ptr<addrinfo, FreeAddresses>(list);
}

int affinity_count() {
  cpu_set_t affinity;
  CPU_ZERO(&affinity);
  return ::sched_getaffinity(0, sizeof affinity, &affinity) == 0 ? CPU_COUNT(&affinity) : 1;
}

// The control group's cpu.max, "" without one.
std::string cpu_quota() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  std::getline(file, quota);
  return quota;
}

}  // namespace

int64_t usable_memory_bytes() {
  int64_t available = -1;
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    std::istringstream words(line);
    std::string name;
    int64_t kibibytes = 0;
    if (words >> name >> kibibytes && name == "MemAvailable:") available = kibibytes * 1024;
  }
  const int64_t limit = read_number("/sys/fs/cgroup/memory.max");
  const int64_t used = read_number("/sys/fs/cgroup/memory.current");
  if (limit >= 0 && used >= 0) {
    const int64_t left = std::max<int64_t>(0, limit - used);
    available = available < 0 ? left : std::min(available, left);
  }
  return available;
}

int cores_within_quota(int cores, const std::string& quota) {
  std::istringstream numbers(quota);
  double runtime_us = 0;
  double period_us = 0;
  if (!(numbers >> runtime_us >> period_us) || period_us <= 0) return cores;
  return std::clamp(static_cast<int>(runtime_us / period_us), 1, std::max(1, cores));
}

int share_of_cores(int host_cores, int affinity, const std::string& quota, int num_processes) {
  const int part = cores_within_quota(host_cores, quota) / std::max(1, num_processes);
  return std::max(1, std::min(cores_within_quota(affinity, quota), part));
}

int usable_core_count() { return cores_within_quota(affinity_count(), cpu_quota()); }

int usable_core_count(int num_processes) {
  const auto online = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  return share_of_cores(std::max(1, online), affinity_count(), cpu_quota(), num_processes);
}

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

std::string find_program(const std::string& name) {
  for (const std::string& folder : split(environment("PATH").value_or(""), ':')) {
    std::string path = format_text("{}/{}", folder, name);
    if (!folder.empty() && ::access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

std::string program_folder() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path().string();
}

std::vector<std::string> resolve(const std::string& host) {
  std::vector<std::string> addresses;
  const auto list = look_up(host, 0);
  for (const addrinfo* at = list.get(); at != nullptr; at = at->ai_next) {
    char text[NI_MAXHOST] = {};
    if (::getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) ==
        0) {
      addresses.emplace_back(text);
    }
  }
  std::ranges::sort(addresses);
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

bool answers_tcp(const std::string& host, int port, int timeout_ms) {
  const auto list = look_up(host, port);
  for (const addrinfo* at = list.get(); at != nullptr; at = at->ai_next) {
    const int fd = ::socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    int error = ::connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      pollfd wait{fd, POLLOUT, 0};
      socklen_t length = sizeof error;
      if (::poll(&wait, 1, timeout_ms) != 1 ||
          ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
        error = ETIMEDOUT;
      }
    }
    ::close(fd);
    if (error == 0) return true;
  }
  return false;
}

}  // namespace trireme
