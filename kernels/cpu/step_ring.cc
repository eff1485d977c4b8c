#include <atomic>
#include <cstring>

#include "base/check.h"
#include "kernels/cpu/backend.h"

namespace trireme {

namespace {

std::byte* entry_in_turn(const StepRing& ring) {
  CHECK(ring.depth > 0 && ring.entry_bytes > 0);
  const auto index = static_cast<int64_t>(*ring.step % static_cast<uint64_t>(ring.depth));
  return ring.entries + index * ring.entry_bytes;
}

}  // namespace

void CpuBackend::take_entry(Queue&, const StepRing& inputs, std::byte* to) {
  std::memcpy(to, entry_in_turn(inputs), inputs.entry_bytes);
}

void CpuBackend::post(Queue&, const std::byte* from, int64_t bytes, const StepRing& results) {
  constexpr int64_t kFlagBytes = sizeof(uint64_t);
  CHECK(results.entry_bytes % kFlagBytes == 0 && bytes + kFlagBytes <= results.entry_bytes);
  std::byte* entry = entry_in_turn(results);
  if (bytes > 0) std::memcpy(entry, from, bytes);
  auto* flag = reinterpret_cast<uint64_t*>(entry + results.entry_bytes - kFlagBytes);
  std::atomic_ref<uint64_t>(*flag).store(*results.step + 1, std::memory_order_release);
  ++*results.step;
}

}  // namespace trireme
