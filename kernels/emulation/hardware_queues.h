// The hardware queues of an emulated device. Streams are dealt over them in the order in which they
// are made. Work of a queue begins in the order in which it was enqueued, whichever stream it is
// of: a wait at the head of a queue holds back everything behind it, as on a device whose streams
// share a connection (CUDA_DEVICE_MAX_CONNECTIONS). Used with the runtime's mutex held.
#pragma once

#include <cstdint>
#include <map>

namespace trireme::emulation {

struct Work;

// The place of a piece of work. The default stream has no queue: it is ordered by its streams only.
struct QueuePlace {
  int queue = -1;
  int stream = -1;      // number of the stream, in order of creation on its device
  uint64_t launch = 0;  // ascends; equal for all nodes of one launch of a graph
};

// Queues of a device that is opened now: the setting, or CUDA_DEVICE_MAX_CONNECTIONS, or 8.
int num_hardware_queues();

class HardwareQueues {
 public:
  void push(const Work& work);
  // The work has begun: what stands behind it may begin.
  void pop(const Work& work);
  // Whether everything that was enqueued earlier on the work's queue has begun.
  bool may_begin(const Work& work) const { return head_of(work) == nullptr; }
  // The first work of the same queue that holds this one back; null: none.
  const Work* head_of(const Work& work) const;

 private:
  std::map<int, std::multimap<uint64_t, const Work*>> waiting_;  // by queue, by launch
};

}  // namespace trireme::emulation
