#include "worker/comm/device_comms.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/host_info.h"
#include "base/step_memory.h"
#include "worker/comm/host_collectives.h"
#include "worker/comm/nccl_comm.h"
#include "worker/comm/peer_comm.h"

namespace trireme {
namespace {

// One of the group's three communicators, with the options of its replacement.
struct Part {
  std::unique_ptr<Comm>* comm = nullptr;
  PeerCommOptions options;
};

struct RankName {
  int32_t rank = 0;
  char host[64] = {};
};

std::array<Part, 3> parts_of(GroupComms& comms, const DeviceCommOptions& options, int pp) {
  std::array<Part, 3> parts;
  parts[0].comm = &comms.tensor;
  parts[0].options = {.name = "the tensor group",
                      .reduce_bytes = options.reduce_bytes,
                      .messages = PeerMessages::kAll,
                      .message_bytes = options.exchange_bytes};
  parts[1].comm = &comms.pipeline;
  parts[1].options = {.name = "the pipeline",
                      .reduce_bytes = 0,
                      .messages = PeerMessages::kToNext,
                      .message_bytes = options.residual_bytes,
                      .depth = num_residual_buffers(pp)};
  parts[2].comm = &comms.tokens;
  parts[2].options = {.name = "the token return",
                      .reduce_bytes = 0,
                      .messages = PeerMessages::kLastToFirst,
                      .message_bytes = options.token_bytes,
                      .depth = num_token_lists(pp)};
  for (Part& part : parts) part.options.wait_limit_us = options.wait_limit_us;
  return parts;
}

StatusOr<std::vector<std::string>> names_of(Comm& control, int rank) {
  RankName own{.rank = rank};
  host_name().copy(own.host, sizeof own.host - 1);
  ASSIGN_OR_RETURN(const std::vector<RankName> all, gather_values(control, own));
  std::vector<std::string> names;
  for (const RankName& name : all) {
    names.push_back(format_text("rank {} on {}", name.rank, std::string(name.host)));
  }
  return names;
}

// Allocates `bytes` on every rank or on none. Collective over `control`.
StatusOr<Buffer> allocate(Backend& backend,
                          int64_t bytes,
                          Comm& control,
                          const PeerCommOptions& options) {
  StatusOr<Buffer> buffer = bytes == 0 ? Buffer() : backend.allocate(bytes, options.name);
  RETURN_IF_ERROR(agree(control, buffer.status(), options.peers));
  return buffer;
}

Status use_peer_memory(Part& part, Backend& backend, std::unique_ptr<Comm> large) {
  Comm& control = **part.comm;
  const int64_t bytes = PeerComm::arena_bytes(part.options, control.rank(), control.size());
  ASSIGN_OR_RETURN(Buffer arena, allocate(backend, bytes, control, part.options));
  StatusOr<Buffer> shared =
      backend.allocate_shared(PeerComm::shared_bytes(control.size()), part.options.name);
  RETURN_IF_ERROR(agree(control, shared.status(), part.options.peers));
  ASSIGN_OR_RETURN(
      auto comm,
      PeerComm::make(
          part.options, std::move(arena), std::move(shared).value(), std::move(*part.comm)));
  if (large != nullptr) comm->set_large(std::move(large));
  *part.comm = std::move(comm);
  return ok_status();
}

StatusOr<std::unique_ptr<Comm>> connect_nccl(const Part& part,
                                             Backend& backend,
                                             const DeviceCommOptions& options) {
  Comm& control = **part.comm;
  NcclCommOptions nccl = {.name = part.options.name,
                          .peers = part.options.peers,
                          .is_captured = part.options.reduce_bytes > 0,
                          .setup_limit_us = options.setup_limit_us};
  if (options.in_rank_order) nccl.piece_bytes = part.options.reduce_bytes;
  const int64_t bytes = nccl_scratch_bytes(nccl, control.size());
  ASSIGN_OR_RETURN(Buffer scratch, allocate(backend, bytes, control, part.options));
  return make_nccl_comm(nccl, std::move(scratch), control);
}

// Collective over the communicator: every rank gets the same survey and takes the same branch.
Status replace(Part& part, Backend& backend, const DeviceCommOptions& options, int rank) {
  Comm& control = **part.comm;
  if (control.size() == 1) return ok_status();
  control.set_deadline(SteadyClock().now_us() + options.setup_limit_us);
  ASSIGN_OR_RETURN(part.options.peers, names_of(control, rank));
  ASSIGN_OR_RETURN(const PeerReach reach, survey_peers(control));
  const bool reduces = part.options.reduce_bytes > 0;
  const bool fits = !reduces || control.size() <= kMaxPeers;
  if (reach.is_one_host && reach.is_reachable && fits) {
    std::unique_ptr<Comm> large;  // sums over NCCL: faster, in an unspecified order
    const bool is_alone = part.options.ranks_per_device == 1;
    if (reduces && !options.in_rank_order && is_alone && nccl_library().ok()) {
      ASSIGN_OR_RETURN(large, connect_nccl(part, backend, options));
    }
    return use_peer_memory(part, backend, std::move(large));
  }
  if (reach.ranks_per_device == 1) {
    ASSIGN_OR_RETURN(*part.comm, connect_nccl(part, backend, options));
    return ok_status();
  }
  return invalid("TRI-CUDA-018",
                 "{} has {} ranks on one device, and {}; NCCL refuses ranks that share a device: "
                 "give each rank a device of its own, or all of them one host",
                 part.options.name,
                 reach.ranks_per_device,
                 !reach.is_one_host ? "spans hosts" : "its devices cannot all access one another");
}

}  // namespace

StatusOr<DeviceShare> find_device_share(GroupComms& comms) { return survey_devices(*comms.group); }

// Barrier first: a rank may still be loading. All three communicators are tried even if one fails:
// ranks of other stages belong to the others and would wait for this rank.
Status use_device_comms(GroupComms& comms,
                        Backend& backend,
                        const DeviceShare& share,
                        const DeviceCommOptions& options) {
  RETURN_IF_ERROR(meet_all(*comms.group, options.meet_limit_us));
  const int pp = comms.pipeline->size();
  Status first;
  for (Part& part : parts_of(comms, options, pp)) {
    part.options.ranks_per_device = share.ranks_per_device;
    part.options.num_multiprocessors = share.num_multiprocessors;
    part.options.side = &cuda::cuda_queue(backend.side());
    const Status status = replace(part, backend, options, comms.rank);
    if (first.ok()) first = status;
  }
  return first;
}

}  // namespace trireme
