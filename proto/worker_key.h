// The key with which the ranks of one launch authenticate at a worker door that is not on loopback
// (CURVE). The coordinator generates it and keeps it in a file of mode 0600 under --state; `up`
// passes it to the ranks in the environment variable TRIREME_WORKER_KEY: 192 hexadecimal digits,
// three keys of 32 bytes. Pure functions.
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

// TRI-NET-014: not 192 lower-case hexadecimal digits. The message never contains the text.
StatusOr<WorkerKey> parse_worker_key(std::string_view hex);

}  // namespace trireme
