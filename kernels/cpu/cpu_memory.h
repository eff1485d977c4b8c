// Anonymous memory on huge pages where the system gives them (23% of the read rate, cpu-kernels).
#pragma once

#include <cstdint>

#include "base/status.h"
#include "kernels/buffer.h"

namespace trireme {

// Zeroed, 2-MiB aligned. TRI-MEM-001 names `what`, the bytes asked for and what is available.
StatusOr<Buffer> allocate_memory(int64_t bytes, const std::string& what);

// What this process may still take: the machine's, or the control group's if that is less.
int64_t available_memory();

}  // namespace trireme
