// The keys of a launch in files of the state folder that only their owner can read: worker.key, for
// the ranks, and worker_door.key, with which the next coordinator of the launch opens the same
// door.
#pragma once

#include <optional>
#include <string>

#include "base/status.h"
#include "proto/worker_key.h"

namespace trireme {

struct DoorKey {
  WorkerKey ranks;
  std::string server_secret;  // 32 raw bytes
};

std::string worker_key_path(const std::string& state_dir);

// Replaces both files; never follows a link. TRI-NET-015: one cannot be written.
Status write_key_files(const std::string& state_dir, const DoorKey& key);
// Nothing: one of the files is missing or damaged.
std::optional<DoorKey> read_key_files(const std::string& state_dir);

}  // namespace trireme
