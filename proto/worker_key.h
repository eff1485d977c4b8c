// The key of a launch, with which ranks prove themselves at a worker door off loopback (CURVE).
// The coordinator makes it, keeps it in a 0600 file under --state, and `up` hands it to the ranks
// in the environment variable TRIREME_WORKER_KEY: 192 hexadecimal digits, three keys of 32 bytes.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace trireme {

struct WorkerKey {  // raw bytes, 32 each
  std::string server_public;
  std::string client_public;
  std::string client_secret;
};

std::string to_hex(const WorkerKey& key);

// TRI-NET-014: not 192 hexadecimal digits. The text itself is never in a message.
StatusOr<WorkerKey> parse_worker_key(std::string_view hex);

}  // namespace trireme
