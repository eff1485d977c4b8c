// Sums of fp32 between threads: the host functions of the ranks' streams meet and add.
#include "tests/worker/fake_nccl/fake_nccl.h"

#include <nccl.h>

#include <algorithm>
#include <barrier>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace {

struct Group {
  explicit Group(int size) : barrier(size), parts(static_cast<size_t>(size)) {}
  std::barrier<> barrier;
  std::vector<const float*> parts;
};

struct Call {
  ncclComm* comm;
  const float* from;
  float* to;
  size_t count;
};

struct Groups {
  std::mutex mutex;
  int last_id = 0;
  std::map<int, std::shared_ptr<Group>> by_id;
};

Groups& groups() {
  static Groups* const groups = new Groups;
  return *groups;
}

[[noreturn]] void hang() {
  std::promise<void> never;
  never.get_future().wait();
  std::abort();
}

}  // namespace

struct ncclComm {
  int rank;
  std::shared_ptr<Group> group;
  std::deque<Call> calls;  // graphs keep their addresses
};

namespace trireme {

FakeNccl& fake_nccl() {
  static FakeNccl* const fake = new FakeNccl;
  return *fake;
}

}  // namespace trireme

using trireme::fake_nccl;

namespace {

void add_up(void* argument) {
  const Call& call = *static_cast<const Call*>(argument);
  Group& group = *call.comm->group;
  group.parts[static_cast<size_t>(call.comm->rank)] = call.from;
  group.barrier.arrive_and_wait();
  std::vector<float> sums(call.count);
  for (const float* part : group.parts) {
    for (size_t i = 0; i < call.count; ++i) sums[i] += part[i];
  }
  group.barrier.arrive_and_wait();
  std::copy(sums.begin(), sums.end(), call.to);
}

}  // namespace

ncclResult_t ncclGetVersion(int* version) {
  *version = 22803;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t) { return "an error of the fake"; }
const char* ncclGetLastError(ncclComm_t) { return ""; }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  const std::lock_guard lock(groups().mutex);
  *id = {};
  const int next = ++groups().last_id;
  std::memcpy(id->internal, &next, sizeof(next));
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(
    ncclComm_t* comm, int size, ncclUniqueId id, int rank, ncclConfig_t* config) {
  if (fake_nccl().init_hangs) hang();
  if (config->blocking == 0) ++fake_nccl().non_blocking_comms;
  const std::lock_guard lock(groups().mutex);
  int number = 0;
  std::memcpy(&number, id.internal, sizeof(number));
  auto& group = groups().by_id[number];
  if (group == nullptr) group = std::make_shared<Group>(size);
  *comm = new ncclComm{rank, group, {}};
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t) { return ncclSuccess; }
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  delete comm;
  return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* state) {
  *state = ncclSuccess;
  return ncclSuccess;
}
ncclResult_t ncclGroupStart() { return ncclSuccess; }
ncclResult_t ncclGroupEnd() { return ncclSuccess; }

ncclResult_t ncclAllReduce(const void* from,
                           void* to,
                           size_t count,
                           ncclDataType_t type,
                           ncclRedOp_t,
                           ncclComm_t comm,
                           cudaStream_t stream) {
  if (fake_nccl().sums_hang) hang();
  if (type != ncclFloat32) return ncclInvalidUsage;
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  cudaStreamIsCapturing(stream, &status);
  const bool captures = status != cudaStreamCaptureStatusNone;
  if (captures && fake_nccl().refuses_captures) return ncclInvalidUsage;
  comm->calls.push_back({comm, static_cast<const float*>(from), static_cast<float*>(to), count});
  return cudaLaunchHostFunc(stream, add_up, &comm->calls.back()) == cudaSuccess
             ? ncclSuccess
             : ncclUnhandledCudaError;
}

ncclResult_t ncclAllGather(const void*, void*, size_t, ncclDataType_t, ncclComm_t, cudaStream_t) {
  return ncclInvalidUsage;
}
ncclResult_t ncclBroadcast(
    const void*, void*, size_t, ncclDataType_t, int, ncclComm_t, cudaStream_t) {
  return ncclInvalidUsage;
}
ncclResult_t ncclSend(const void*, size_t, ncclDataType_t, int, ncclComm_t, cudaStream_t) {
  return ncclInvalidUsage;
}
ncclResult_t ncclRecv(void*, size_t, ncclDataType_t, int, ncclComm_t, cudaStream_t) {
  return ncclInvalidUsage;
}
