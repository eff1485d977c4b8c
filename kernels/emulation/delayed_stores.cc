#include "kernels/emulation/delayed_stores.h"

#include <algorithm>
#include <cstring>

namespace trireme::emulation {
namespace {

constexpr size_t kMaxPending = 128;   // per block: every load searches them
constexpr uint64_t kOneInSoMany = 4;  // stores arrive at once

}  // namespace

void DelayedStores::arrive(size_t index) {
  std::memcpy(stores_[index].to, stores_[index].value.data(), stores_[index].bytes);
  remove(index);
}

void DelayedStores::remove(size_t index) {
  stores_[index] = stores_.back();
  stores_.pop_back();
}

void DelayedStores::make_room_for(const void* to, size_t bytes) {
  const auto* const begin = static_cast<const std::byte*>(to);
  for (size_t i = stores_.size(); i-- > 0;) {
    const Store& old = stores_[i];
    if (old.to < begin + bytes && begin < old.to + old.bytes) arrive(i);
  }
}

void DelayedStores::add(
    void* to, const void* value, size_t bytes, Scope scope, int thread, Random& random) {
  Store store{static_cast<std::byte*>(to), bytes, {}, scope, thread, false};
  std::memcpy(store.value.data(), value, bytes);
  make_room_for(to, bytes);
  stores_.push_back(store);
  if (random.below(kOneInSoMany) == 0) arrive(stores_.size() - 1);
  if (stores_.size() > kMaxPending) arrive(random.below(stores_.size()));
}

void DelayedStores::read(const void* from, void* value, size_t bytes) const {
  const auto* const begin = static_cast<const std::byte*>(from);
  auto* const seen = static_cast<std::byte*>(value);
  std::memcpy(seen, begin, bytes);
  for (const Store& store : stores_) {  // they do not overlap
    const std::byte* const first = std::max<const std::byte*>(store.to, begin);
    const std::byte* const last = std::min<const std::byte*>(store.to + store.bytes, begin + bytes);
    if (first >= last) continue;
    std::memcpy(seen + (first - begin),
                store.value.data() + (first - store.to),
                static_cast<size_t>(last - first));
  }
}

void DelayedStores::order() {
  for (Store& store : stores_) store.is_ordered = true;
}

void DelayedStores::release(int thread, Scope scope, Random& random, DelayedStores& released) {
  random.shuffle(stores_, stores_.size());
  for (size_t i = stores_.size(); i-- > 0;) {
    if (!stores_[i].is_ordered && stores_[i].thread != thread) continue;
    if (stores_[i].scope == Scope::kDevice) {
      released.stores_.push_back(stores_[i]);
      remove(i);
    } else if (scope == Scope::kSystem) {
      arrive(i);
    }
  }
}

void DelayedStores::arrive_all(Random& random) {
  random.shuffle(stores_, stores_.size());
  while (!stores_.empty()) arrive(stores_.size() - 1);
}

void DelayedStores::take(DelayedStores& other) {
  stores_.insert(stores_.end(), other.stores_.begin(), other.stores_.end());
  other.stores_.clear();
}

}  // namespace trireme::emulation
