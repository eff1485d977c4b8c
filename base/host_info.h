// What this machine has, read from /proc and /sys: for `doctor` and for the check before launch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trireme {

// What processes may still take: the machine's, or the control group's if that is less. -1:
// unknown.
int64_t usable_memory_bytes();
int usable_core_count();  // affinity, cut by the control group's quota
std::string host_name();
// The widest vector instructions that the CPU kernels use: "portable", "avx2", "avx512", ...
std::string cpu_isa();
// The path of a program in PATH, or "".
std::string find_program(const std::string& name);
// The folder of this program, with its neighbours trireme-coordinator and trireme-worker.
std::string program_folder();
// IPv4 and IPv6 addresses of a name, as text; empty if it does not resolve.
std::vector<std::string> resolve(const std::string& host);
// Whether somebody answers a TCP connection within the time.
bool answers_tcp(const std::string& host, int port, int timeout_ms);

}  // namespace trireme
