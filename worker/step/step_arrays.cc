#include "worker/step/step_arrays.h"

#include <iterator>

#include "base/check.h"
#include "base/step_memory.h"

namespace trireme {
namespace {

constexpr int64_t kAlignment = 16;

// Places one array after another; without a base it only counts bytes.
class Cutter {
 public:
  explicit Cutter(std::byte* base) : base_(base) {}

  template <class T>
  std::span<T> take(int64_t count) {
    std::byte* const at = base_ == nullptr ? nullptr : base_ + used_;
    used_ += (count * static_cast<int64_t>(sizeof(T)) + kAlignment - 1) / kAlignment * kAlignment;
    return {reinterpret_cast<T*>(at), static_cast<size_t>(at == nullptr ? 0 : count)};
  }
  int64_t used() const { return used_; }

 private:
  std::byte* base_;
  int64_t used_ = 0;
};

int64_t cut(StepArrays& record, std::byte* base, const StepArrayLimits& limits) {
  Cutter cutter(base);
  std::span<int32_t>* const by_token[] = {
      &record.token_ids, &record.positions, &record.slots, &record.places};
  static_assert(std::size(by_token) == kArraysPerToken);
  for (auto* rows : by_token) *rows = cutter.take<int32_t>(limits.max_batched_tokens);
  record.segment_starts = cutter.take<int32_t>(int64_t{limits.max_slots} + 1);
  std::span<int32_t>* const by_draw[] = {
      &record.sampled_rows, &record.sampled_slots, &record.sampled_places};
  static_assert(std::size(by_draw) == kArraysPerDraw);
  for (auto* rows : by_draw) *rows = cutter.take<int32_t>(limits.max_slots);
  record.table_changes = cutter.take<int32_t>(1 + 2 * int64_t{limits.max_changes});
  record.sampling = cutter.take<SamplingRow>(limits.max_slots);
  return cutter.used();
}

}  // namespace

StepArrays::StepArrays(std::byte* base, const StepArrayLimits& limits) {
  CHECK(base != nullptr);
  cut(*this, base, limits);
}

int64_t StepArrays::bytes(const StepArrayLimits& limits) {
  StepArrays record;
  return cut(record, nullptr, limits);
}

}  // namespace trireme
