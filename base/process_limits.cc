#include "base/process_limits.h"

#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <vector>

namespace trireme {

namespace {

constexpr int64_t kManyFiles = 1 << 20;  // shown and set for "unlimited"
constexpr size_t kProbeStackBytes = 64 << 10;

int64_t bounded(rlim_t limit) {
  return static_cast<int64_t>(std::min<rlim_t>(limit, static_cast<rlim_t>(kManyFiles)));
}

rlimit file_limits() {
  rlimit limits{};
  ::getrlimit(RLIMIT_NOFILE, &limits);
  return limits;
}

// The body of a probing thread: ends when the starting thread releases the mutex.
void* wait_for_release(void* mutex) {
  const std::lock_guard lock(*static_cast<std::mutex*>(mutex));
  return nullptr;
}

// Tries to run `wanted` threads at the same time. Returns how many ran, and errno in `error`.
int run_threads(int wanted, bool small_stacks, int& error) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  if (small_stacks) {
    ::pthread_attr_setstacksize(&attributes, std::max<size_t>(kProbeStackBytes, PTHREAD_STACK_MIN));
  }
  std::vector<pthread_t> threads;
  std::mutex gate;
  gate.lock();
  error = 0;
  while (static_cast<int>(threads.size()) < wanted && error == 0) {
    pthread_t thread{};
    error = ::pthread_create(&thread, &attributes, wait_for_release, &gate);
    if (error == 0) threads.push_back(thread);
  }
  gate.unlock();
  for (const pthread_t thread : threads) ::pthread_join(thread, nullptr);
  ::pthread_attr_destroy(&attributes);
  return static_cast<int>(threads.size());
}

Status try_threads(int needed, bool small_stacks, std::string_view who) {
  int error = 0;
  const int started = run_threads(needed, small_stacks, error);
  if (started == needed) return ok_status();
  rlimit limits{};
  ::getrlimit(RLIMIT_NPROC, &limits);
  return invalid(
      "TRI-UP-042",
      "{} needs {} threads, {} could be started ({}); raise the limit of processes (ulimit -u is "
      "{}), of the container (pids) or of address space (ulimit -v)",
      who,
      needed,
      started,
      std::strerror(error),
      limits.rlim_cur == RLIM_INFINITY ? std::string("unlimited")
                                       : format_text("{}", limits.rlim_cur));
}

}  // namespace

int64_t open_file_limit() { return bounded(file_limits().rlim_cur); }

int64_t count_open_files() {
  std::error_code error;
  int64_t count = -1;  // the iterator has one itself
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    (void)entry;
    ++count;
  }
  return std::max<int64_t>(count, 0);
}

void raise_open_files(int64_t wanted) {
  rlimit limits = file_limits();
  if (bounded(limits.rlim_cur) >= wanted) return;
  limits.rlim_cur = std::min<rlim_t>(limits.rlim_max, static_cast<rlim_t>(wanted));
  ::setrlimit(RLIMIT_NOFILE, &limits);
}

Status require_open_files(int64_t needed, std::string_view who) {
  raise_open_files(needed);
  const int64_t limit = open_file_limit();
  if (limit >= needed) return ok_status();
  return invalid("TRI-UP-041",
                 "the limit of open files is {}, {} needs at least {}; raise it (ulimit -n {})",
                 limit,
                 who,
                 needed,
                 needed);
}

Status require_threads(int needed, std::string_view who) {
  return try_threads(needed, /*small_stacks=*/false, who);
}

Status require_threads_of_all(int needed, std::string_view who) {
  return try_threads(needed, /*small_stacks=*/true, who);
}

}  // namespace trireme
