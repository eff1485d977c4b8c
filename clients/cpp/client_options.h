// Settings of a Client that reconnects. Plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/clock.h"

namespace trireme {

struct ClientOptions {
  std::string name = "trireme-cpp";  // for the coordinator's log
  // Requests outlive a connection: the next one goes on with their answers, and nothing is lost or
  // repeated. False: they end with their connection.
  bool resumes = true;
  // How long requests wait for a new connection before they end with TRI-NET-031.
  std::chrono::milliseconds resume_patience{60'000};
  // A request that is submitted without a connection waits for one; false: it is refused at once.
  bool holds_submits = false;
  // Between the loss of a connection and the next attempt (backoff.h).
  std::chrono::milliseconds first_retry{50};
  std::chrono::milliseconds longest_retry{2'000};
  uint64_t retry_seed = 0;  // of the random share of the delays
  // Without a Welcome for this long after Hello was sent, the connection is given up.
  std::chrono::milliseconds welcome_timeout{5'000};
  // Frames that the socket has not taken, and requests that the coordinator has not accepted: with
  // more bytes of either a further request is refused (TRI-NET-030). If the oldest frame waits for
  // longer, the connection is given up.
  int64_t max_unsent_bytes = int64_t{64} << 20;
  std::chrono::milliseconds unsent_timeout{30'000};
  Clock* clock = nullptr;  // null: the steady clock; outlives the Client
};

}  // namespace trireme
