// Which request an idempotency key names, and how long a finished request with a key is kept so
// that the same Submit finds it again. Part of the Engine; its thread only.
// Invariant: at most 1024 finished requests and `max_bytes` of them are kept, the latest ones.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "coordinator/engine/events.h"

namespace trireme {

class KeptAnswers {
 public:
  explicit KeptAnswers(int64_t max_bytes) : max_bytes_(max_bytes) {}

  // From the submission on; a key counts within its principal only.
  void name(const SubmitRequest& submit, const RequestId& id) { ids_[key_of(submit)] = id; }

  std::optional<RequestId> find(const SubmitRequest& submit) const {
    const auto found = ids_.find(key_of(submit));
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }

  // The request is over and takes so many bytes from here on.
  void keep(const SubmitRequest& submit, const RequestId& id, int64_t bytes) {
    kept_.push_back({id, key_of(submit), bytes});
    bytes_ += bytes;
  }

  // While the bounds are exceeded: the oldest one, whose key is forgotten with it.
  std::optional<RequestId> take_excess() {
    if (kept_.size() <= kMaxKept && bytes_ <= max_bytes_) return std::nullopt;
    const Kept oldest = std::move(kept_.front());
    kept_.pop_front();
    bytes_ -= oldest.bytes;
    ids_.erase(oldest.key);
    return oldest.id;
  }

 private:
  using Key = std::pair<std::string, std::string>;  // principal, idempotency key
  struct Kept {
    RequestId id;
    Key key;
    int64_t bytes = 0;
  };
  static constexpr size_t kMaxKept = 1024;
  static Key key_of(const SubmitRequest& submit) {
    return {submit.principal, submit.idempotency_key};
  }

  const int64_t max_bytes_;
  std::map<Key, RequestId> ids_;
  std::deque<Kept> kept_;  // the oldest first
  int64_t bytes_ = 0;
};

}  // namespace trireme
