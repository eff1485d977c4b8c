// Facts about this host: memory, cores, names, addresses. Read from /proc and /sys at each call;
// nothing is cached. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trireme {

// Bytes that can still be allocated: MemAvailable of the host, or the rest of the cgroup's limit if
// that is less. -1: unknown.
int64_t usable_memory_bytes();
// Cores that this process may use: its affinity mask, limited by the CPU quota of the cgroup.
int usable_core_count();
// Cores for each of so many processes that share this host: an equal part of the host within the
// quota, but no more than this process's own affinity, which may already be its part.
int usable_core_count(int num_processes);
int share_of_cores(int host_cores, int affinity, const std::string& quota, int num_processes);
// The cores of a quota, at least 1 and at most `cores`; `quota` is the text of cpu.max ("150000
// 100000": 1.5 cores; "max 100000": no limit). Rounded down: one thread above the quota would get
// all threads throttled.
int cores_within_quota(int cores, const std::string& quota);
std::string host_name();
// The path of a program in PATH, or "".
std::string find_program(const std::string& name);
// The folder of the running executable, which also holds trireme-coordinator and trireme-worker.
std::string program_folder();
// IPv4 and IPv6 addresses of a name, as sorted text; empty if it does not resolve.
std::vector<std::string> resolve(const std::string& host);
// Whether a TCP connection to host:port is accepted within the time.
bool answers_tcp(const std::string& host, int port, int timeout_ms);

}  // namespace trireme
