// Writes the worker door's key to a file that only its owner can read.
#pragma once

#include <string>

#include "base/status.h"
#include "proto/worker_key.h"

namespace trireme {

// Replaces the file; never follows a link. TRI-NET-015: it cannot be written.
Status write_key_file(const std::string& path, const WorkerKey& key);

}  // namespace trireme
