// Which request an idempotency key names, and which requests are over and kept for their readers:
// until their time to live has passed, or until they take more than `max_bytes`. Then the oldest of
// those that were read to their end go first. Part of the Engine; its thread only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "coordinator/engine/submit_request.h"

namespace trireme {

class KeptAnswers {
 public:
  explicit KeptAnswers(int64_t max_bytes) : max_bytes_(max_bytes) {}

  // From the submission on; a key counts within its principal only.
  void name(const SubmitRequest& submit, const RequestId& id) {
    if (!submit.idempotency_key.empty()) ids_[key_of(submit)] = id;
  }
  // The request's key names nothing from here on: the same Submit runs anew.
  void forget_key(const SubmitRequest& submit, const RequestId& id) {
    const auto found = ids_.find(key_of(submit));
    if (found != ids_.end() && found->second == id) ids_.erase(found);
  }
  std::optional<RequestId> find(const SubmitRequest& submit) const {
    const auto found = ids_.find(key_of(submit));
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }

  // The request is over and takes so many bytes from here on.
  void keep(const RequestId& id, int64_t bytes, TimeUs now_us) {
    kept_.emplace(id, Kept{now_us, bytes, false});
    order_.insert({true, now_us, id});
    ends_.insert({now_us, id});
    bytes_ += bytes;
  }
  // Its stream has seen all ends.
  void note_read(const RequestId& id) {
    const auto found = kept_.find(id);
    if (found == kept_.end() || std::exchange(found->second.is_read, true)) return;
    order_.erase({true, found->second.ended_us, id});
    order_.insert({false, found->second.ended_us, id});
  }
  void erase(const RequestId& id) {
    const auto found = kept_.find(id);
    if (found == kept_.end()) return;
    bytes_ -= found->second.bytes;
    order_.erase({!found->second.is_read, found->second.ended_us, id});
    ends_.erase({found->second.ended_us, id});
    kept_.erase(found);
  }

  // A request to forget now, if there is one: it has ended at or before `ended_us`, or the bound of
  // bytes is exceeded.
  std::optional<RequestId> excess(TimeUs ended_us) const {
    if (!ends_.empty() && ends_.begin()->first <= ended_us) return ends_.begin()->second;
    if (bytes_ > max_bytes_) return std::get<RequestId>(*order_.begin());
    return std::nullopt;
  }
  TimeUs oldest_end_us() const { return ends_.empty() ? 0 : ends_.begin()->first; }  // 0: none

 private:
  using Key = std::pair<std::string, std::string>;  // principal, idempotency key
  struct Kept {
    TimeUs ended_us = 0;
    int64_t bytes = 0;
    bool is_read = false;
  };
  static Key key_of(const SubmitRequest& submit) {
    return {submit.principal, submit.idempotency_key};
  }

  const int64_t max_bytes_;
  std::map<Key, RequestId> ids_;
  std::map<RequestId, Kept> kept_;
  std::set<std::tuple<bool, TimeUs, RequestId>> order_;  // not read, end: the first goes first
  std::set<std::pair<TimeUs, RequestId>> ends_;
  int64_t bytes_ = 0;
};

}  // namespace trireme
