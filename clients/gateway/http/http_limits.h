// Bounds of what a client may send and hold. Constants; a test makes some of them smaller.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace trireme::gateway {

struct HttpLimits {
  int64_t request_line_bytes = 8 << 10;
  int64_t headers_bytes = 16 << 10;
  int num_headers = 100;
  int64_t body_bytes = 32 << 20;
  int64_t all_bodies_bytes = 1 << 30;  // that connections have received and not passed on
  int num_connections = 4096;
  TimeUs head_us = 10'000'000;        // from the first byte, or from the connection
  TimeUs body_grace_us = 10'000'000;  // after it the mean rate counts
  int64_t body_bytes_per_s = 4 << 10;
  TimeUs idle_us = 75'000'000;   // between two requests
  TimeUs stall_us = 60'000'000;  // the client takes no byte of an answer
  TimeUs linger_us = 2'000'000;  // input is read and dropped after a last answer
  // Read ahead while an answer is on its way; a client that sends more meanwhile is closed.
  int64_t pipelined_bytes = 64 << 10;
};

}  // namespace trireme::gateway
