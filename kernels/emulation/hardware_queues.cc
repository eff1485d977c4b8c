#include "kernels/emulation/hardware_queues.h"

#include <algorithm>
#include <cstdlib>

#include "base/environment.h"
#include "kernels/emulation/control.h"
#include "kernels/emulation/device.h"

namespace trireme::emulation {

int num_hardware_queues() {
  constexpr int kDefault = 8;  // of CUDA, at most 32
  constexpr int kMaximum = 32;
  if (settings().num_queues > 0) return settings().num_queues;
  const auto connections = environment("CUDA_DEVICE_MAX_CONNECTIONS");
  return connections ? std::clamp(std::atoi(connections->c_str()), 1, kMaximum) : kDefault;
}

void HardwareQueues::push(const Work& work) {
  if (work.place.queue < 0) return;
  waiting_[work.place.queue].emplace(work.place.launch, &work);
}

void HardwareQueues::pop(const Work& work) {
  if (work.place.queue < 0) return;
  auto& queue = waiting_[work.place.queue];
  const auto [first, last] = queue.equal_range(work.place.launch);
  const auto found = std::find_if(first, last, [&](const auto& it) { return it.second == &work; });
  if (found != last) queue.erase(found);
}

const Work* HardwareQueues::head_of(const Work& work) const {
  const auto queue = waiting_.find(work.place.queue);
  if (queue == waiting_.end() || queue->second.empty()) return nullptr;
  const auto& [launch, head] = *queue->second.begin();
  return launch < work.place.launch ? head : nullptr;
}

}  // namespace trireme::emulation
