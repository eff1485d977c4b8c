// Backends and GPUs of a machine, as its trireme-worker tells of them (--list-devices): the one
// program that knows CUDA. And what follows for a cluster: which backend, and how its ranks start.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "launch/cluster_flags.h"

namespace trireme {

struct Gpu {
  std::string name;
  std::string compute_capability;  // "9.0"
  int64_t memory_bytes = 0;
  std::vector<int> peers;  // the GPUs whose memory it reaches
};

struct DeviceReport {
  std::vector<std::string> backends;  // that are built
  std::string cuda_error;             // "TRI-...": why there are no GPUs; "": there are
  std::string driver;                 // the newest CUDA that it serves: "13.0"
  std::string runtime;                // that the program was built against
  std::vector<Gpu> gpus;
  std::string nccl_error;    // "TRI-...": why there is no NCCL; "": there is
  std::string nccl_version;  // "2.28.3"
  std::string nccl_path;

  bool builds(const std::string& backend) const;
};

// The line that a worker prints; null: it is no such line.
std::optional<DeviceReport> parse_device_report(const std::string& line);

// `worker`: the command that runs the program, perhaps through a launch agent. TRI-UP-017: it
// cannot be run, or does not answer within a few seconds.
StatusOr<DeviceReport> ask_for_devices(std::vector<std::string> worker);

// What the ranks of a cluster run on.
struct BackendChoice {
  std::string backend = "cpu";
  int num_gpus = 0;              // of this machine
  int64_t gpu_memory_bytes = 0;  // of the smallest
  int local_ranks = 1;           // over 1: a group is one process, its ranks are threads
  std::string note;              // for people; "": nothing to say

  // A group's ranks on one GPU, at most.
  int ranks_a_gpu(int num_ranks) const;
};

// `report`: of this machine. `auto` takes GPUs where there are some and the dtype allows. Hosts of
// a hostfile answer for themselves when they start. TRI-CUDA-002: cuda was asked for and cannot be
// here; TRI-UP-001: the backend has no such dtype; TRI-UP-017; TRI-UP-018: groups share GPUs and
// nothing says how much each may take.
StatusOr<BackendChoice> choose_backend(const ClusterFlags& flags,
                                       const StatusOr<DeviceReport>& report);
// The same, asking this machine's worker where it matters; for `auto` with a hostfile those of its
// hosts, through the launch agent: GPUs where all of them have some. TRI-UP-004: no such hostfile.
StatusOr<BackendChoice> choose_backend(const ClusterFlags& flags);

}  // namespace trireme
