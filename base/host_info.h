// Facts about this host: memory, cores, names, addresses. Read from /proc and /sys at each call.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trireme {

// Memory that processes may still take: the machine's available memory, or what the control group
// has left if that is less. -1: unknown.
int64_t usable_memory_bytes();
// Cores that this process may use: its affinity, limited by the control group's quota.
int usable_core_count();
// At most `cores`; `quota` is the text of cpu.max ("150000 100000": 1.5 cores; "max 100000": no
// limit). Rounded down, at least 1: a thread more than the quota pays for is throttled.
int cores_within_quota(int cores, const std::string& quota);
std::string host_name();
// The path of a program in PATH, or "".
std::string find_program(const std::string& name);
// The folder of this program, with its neighbours trireme-coordinator and trireme-worker.
std::string program_folder();
// IPv4 and IPv6 addresses of a name, as text; empty if it does not resolve.
std::vector<std::string> resolve(const std::string& host);
// Whether somebody answers a TCP connection within the time.
bool answers_tcp(const std::string& host, int port, int timeout_ms);

}  // namespace trireme
