#include "worker/comm/peer_arena.h"

#include <cuda_runtime.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>

#include "base/environment.h"
#include "base/host_info.h"
#include "worker/comm/host_collectives.h"

namespace trireme {
namespace {

// Facts about a rank's device, sent to the others byte by byte.
struct Facts {
  char host[64] = {};    // boot id of the kernel: one host can have several names
  uint64_t process = 0;  // random: process ids repeat in containers
  int32_t device = 0;    // index in that process
  int32_t bus[3] = {};   // PCI domain, bus and device
  int32_t num_multiprocessors = 0;
  int32_t num_queues = 0;  // hardware queues of a device, for this process
  uint64_t address = 0;
  cudaIpcMemHandle_t handle = {};
};

uint64_t process_token() {
  static const uint64_t token = [] {
    std::random_device random;
    return uint64_t{random()} << 32 | random();
  }();
  return token;
}

std::string host_token() {
  std::string token;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> token;
  return token.empty() ? host_name() : token;
}

// Streams of a rank: its lane and its side queue (Backend). Between hosts NCCL may serve the
// pipeline and the token return, with a stream of ours and two of its own each.
constexpr int32_t kStreamsOfRank = 2;
constexpr int32_t kStreamsBetweenHosts = 2 * 3;
constexpr int32_t kMaxQueues = 32;  // of CUDA

int32_t num_hardware_queues() {
  constexpr int32_t kDefault = 8;  // of CUDA
  const auto connections = environment("CUDA_DEVICE_MAX_CONNECTIONS");
  return connections ? std::clamp(std::atoi(connections->c_str()), 1, kMaxQueues) : kDefault;
}

cudaError_t find_facts(Facts& facts) {
  host_token().copy(facts.host, sizeof facts.host - 1);
  facts.process = process_token();
  facts.num_queues = num_hardware_queues();
  cudaDeviceProp properties;
  cudaError_t error = cudaGetDevice(&facts.device);
  if (error == cudaSuccess) error = cudaGetDeviceProperties(&properties, facts.device);
  if (error != cudaSuccess) return error;
  facts.bus[0] = properties.pciDomainID;
  facts.bus[1] = properties.pciBusID;
  facts.bus[2] = properties.pciDeviceID;
  facts.num_multiprocessors = properties.multiProcessorCount;
  return cudaSuccess;
}

bool is_same_host(const Facts& a, const Facts& b) { return std::strcmp(a.host, b.host) == 0; }
bool is_same_device(const Facts& a, const Facts& b) {
  return is_same_host(a, b) && std::ranges::equal(a.bus, b.bus);
}

// Of a rank's device, itself included.
int64_t num_sharers(const std::vector<Facts>& ranks, const Facts& one) {
  return std::ranges::count_if(ranks,
                               [&](const Facts& other) { return is_same_device(one, other); });
}

int32_t max_per_device(const std::vector<Facts>& ranks) {
  int64_t maximum = 1;
  for (const Facts& rank : ranks) maximum = std::max<int64_t>(maximum, num_sharers(ranks, rank));
  return static_cast<int32_t>(maximum);
}

// Every rank checks all devices, so that all ranks fail alike.
Status check_queues(const std::vector<Facts>& ranks) {
  const bool spans_hosts = std::ranges::any_of(
      ranks, [&](const Facts& rank) { return !is_same_host(rank, ranks.front()); });
  const int32_t per_rank = kStreamsOfRank + (spans_hosts ? kStreamsBetweenHosts : 0);
  for (const Facts& one : ranks) {
    const auto sharers = std::ranges::count_if(ranks, [&](const Facts& other) {
      return is_same_device(one, other) && one.process == other.process;
    });
    const auto streams = static_cast<int32_t>(sharers) * per_rank;
    if (sharers == 1 || streams <= one.num_queues) continue;
    return invalid(
        "TRI-CUDA-021",
        "{} ranks of one process share a device and use {} streams there, and the device "
        "has {} hardware queues for the process: streams of one queue block one another; "
        "set CUDA_DEVICE_MAX_CONNECTIONS to {} or more (at most {}), or give fewer ranks "
        "one device",
        sharers,
        streams,
        one.num_queues,
        streams,
        kMaxQueues);
  }
  return ok_status();
}

// The index of a peer's device in this process; -1: not visible here (CUDA_VISIBLE_DEVICES).
int local_device(const Facts& own, const Facts& peer) {
  if (own.process == peer.process) return peer.device;
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) return -1;
  for (int device = 0; device < count; ++device) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, device) != cudaSuccess) continue;
    const int32_t bus[3] = {properties.pciDomainID, properties.pciBusID, properties.pciDeviceID};
    if (std::ranges::equal(bus, peer.bus)) return device;
  }
  return -1;
}

bool can_reach(const Facts& own, const Facts& peer) {
  if (!is_same_host(own, peer)) return false;
  if (is_same_device(own, peer)) return true;
  const int device = local_device(own, peer);
  if (device < 0) return false;  // memory of an invisible device cannot be opened
  int can = 0;
  return cudaDeviceCanAccessPeer(&can, own.device, device) == cudaSuccess && can != 0;
}

Status unreachable(const std::string& own,
                   const std::string& peer,
                   const Facts& facts,
                   const std::string& why) {
  return unavailable(
      "TRI-CUDA-012",
      "{} cannot see the memory of {} (its device {}): {}; `nvidia-smi topo -p2p r` shows which "
      "devices reach one another, and ranks in containers need one IPC namespace",
      own,
      peer,
      facts.device,
      why);
}

// Lets kernels and copies of this rank's device reach the peer's.
cudaError_t enable_access(const Facts& own, const Facts& peer) {
  const int device = local_device(own, peer);
  if (device < 0 || is_same_device(own, peer)) return cudaSuccess;
  const cudaError_t error = cudaDeviceEnablePeerAccess(device, 0);
  if (error != cudaErrorPeerAccessAlreadyEnabled) return error;
  cudaGetLastError();  // not an error of ours: the next call must not find it
  return cudaSuccess;
}

}  // namespace

StatusOr<PeerReach> survey_peers(Comm& control) {
  Facts own;
  const cudaError_t error = find_facts(own);
  ASSIGN_OR_RETURN(const std::vector<Facts> all, gather_values(control, own));
  PeerReach reach{.is_one_host = true, .ranks_per_device = max_per_device(all)};
  uint8_t reaches = error == cudaSuccess;
  for (const Facts& peer : all) {
    reach.is_one_host = reach.is_one_host && is_same_host(own, peer);
    reaches = reaches && can_reach(own, peer);
  }
  ASSIGN_OR_RETURN(const std::vector<uint8_t> reached, gather_values(control, reaches));
  reach.is_reachable = std::ranges::count(reached, 0) == 0;
  return reach;
}

StatusOr<DeviceShare> survey_devices(Comm& group) {
  Facts own;
  find_facts(own);  // an error here occurs again, and is reported, in survey_peers()
  ASSIGN_OR_RETURN(const std::vector<Facts> all, gather_values(group, own));
  RETURN_IF_ERROR(check_queues(all));
  const auto smallest = std::ranges::min_element(all, {}, &Facts::num_multiprocessors);
  DeviceShare share{.ranks_per_device = max_per_device(all),
                    .num_multiprocessors = smallest->num_multiprocessors};
  for (int32_t rank = 0; rank < group.size(); ++rank) {
    if (is_same_device(own, all[rank])) share.ranks_here.push_back(rank);
  }
  return share;
}

StatusOr<PeerArena> PeerArena::open(Buffer memory,
                                    Comm& control,
                                    const std::vector<std::string>& peers,
                                    uint64_t process) {
  Facts own;
  cudaError_t error = find_facts(own);
  if (process != 0) own.process = process;
  own.address = reinterpret_cast<uint64_t>(memory.data());
  // Threads of one process need no handle, and some devices cannot create one.
  const cudaError_t handle_error = cudaIpcGetMemHandle(&own.handle, memory.data());
  if (handle_error != cudaSuccess) cudaGetLastError();
  ASSIGN_OR_RETURN(const std::vector<Facts> all, gather_values(control, own));
  PeerArena arena;
  arena.memory_ = std::move(memory);
  const std::string& self = peers[control.rank()];
  Status status;
  for (int rank = 0; rank < control.size() && status.ok(); ++rank) {
    const Facts& peer = all[rank];
    // NOLINTNEXTLINE(performance-no-int-to-ptr): pointers of threads are sent as numbers
    void* address = reinterpret_cast<void*>(peer.address);
    if (error == cudaSuccess) error = enable_access(own, peer);
    if (!is_same_host(own, peer)) {
      status = unreachable(self, peers[rank], peer, "it is on another host");
    } else if (error == cudaSuccess && peer.process != own.process) {
      error = cudaIpcOpenMemHandle(&address, peer.handle, cudaIpcMemLazyEnablePeerAccess);
      if (error == cudaSuccess) arena.opened_.push_back(address);
    }
    if (status.ok() && error != cudaSuccess) {
      status = unreachable(self, peers[rank], peer, cudaGetErrorString(error));
    }
    arena.addresses_.push_back(static_cast<std::byte*>(address));
    arena.on_own_device_.push_back(is_same_device(own, peer));
  }
  RETURN_IF_ERROR(agree(control, status, peers));
  return arena;
}

void PeerArena::close() {
  for (void* const address : opened_) cudaIpcCloseMemHandle(address);
  opened_.clear();
}

}  // namespace trireme
