// Backends and GPUs of a machine as reported by `trireme-worker --list-devices`, the only program
// that links CUDA, and the choice of a cluster's backend from them. Main thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "launch/command_lines/cluster_flags.h"

namespace trireme {

struct Gpu {
  std::string name;
  std::string compute_capability;  // "9.0"
  int64_t memory_bytes = 0;
  std::vector<int> peers;  // indices of the GPUs whose memory it can access
};

struct DeviceReport {
  std::vector<std::string> backends;  // of the build
  std::string cuda_error;             // "TRI-...": why no GPU can be used; "": gpus is not empty
  std::string driver;                 // newest CUDA version that the driver supports: "13.0"
  std::string runtime;                // CUDA version that the program was built with
  std::vector<Gpu> gpus;
  std::string nccl_error;    // "TRI-...": why NCCL cannot be used; "": it can
  std::string nccl_version;  // "2.28.3"
  std::string nccl_path;

  bool builds(const std::string& backend) const;
};

// Parses the line that a worker prints. Nothing if it is another line.
std::optional<DeviceReport> parse_device_report(const std::string& line);

// Runs `worker` (the program, possibly behind a launch agent) with --list-devices. TRI-UP-017: it
// cannot be run, or does not answer within 10 s.
StatusOr<DeviceReport> ask_for_devices(std::vector<std::string> worker);

struct BackendChoice {
  std::string backend = "cpu";
  int num_gpus = 0;              // of this machine
  int64_t gpu_memory_bytes = 0;  // of the smallest GPU
  int local_ranks = 1;           // above 1: a group is one process, its ranks are threads
  std::string note;              // message to show; "": none

  // Maximum number of ranks on one GPU, if `num_ranks` share the GPUs of this machine evenly.
  int ranks_per_gpu(int num_ranks) const;
};

// Chooses from `report` of this machine. `auto` selects cuda if there are GPUs and the dtype is not
// float32. With a hostfile, ranks check their own hosts when they start. TRI-CUDA-002: cuda was
// requested and is not usable here; TRI-UP-001: the backend lacks the dtype; TRI-UP-017: no report;
// TRI-UP-018: groups share GPUs without --kv-memory.
StatusOr<BackendChoice> choose_backend(const ClusterFlags& flags,
                                       const StatusOr<DeviceReport>& report);
// The same, from the report of this machine's worker if one is needed. `auto` with a hostfile asks
// all hosts through the launch agent and selects cuda if every host has GPUs. TRI-UP-004: hostfile.
StatusOr<BackendChoice> choose_backend(const ClusterFlags& flags);

}  // namespace trireme
