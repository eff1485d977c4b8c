#include "coordinator/engine/waiting_queue.h"

#include <algorithm>

namespace trireme {

void WaitingQueue::add(Sequence& sequence, int64_t tokens) {
  const SubmitRequest& submit = sequence.request->submit;
  Class& same = classes_[submit.priority];
  if (same.number == 0) same.number = ++num_classes_;
  forget_old(same);
  Share& share = same.shares[submit.share];
  sequence.comes_back = false;
  sequence.fair_class = same.number;
  sequence.fair_tokens = tokens;
  sequence.fair_start = std::max(share.until, same.now);
  if (share.waiting > 0) sequence.fair_start = std::max(sequence.fair_start, share.last_start);
  share.last_start = sequence.fair_start;
  share.until = sequence.fair_start + tokens;
  if (++share.waiting == 1) ++same.waiting_shares;
  ++same.waiting;
  order_.insert(&sequence);
}

void WaitingQueue::add_again(Sequence& sequence) {
  sequence.comes_back = true;
  order_.insert(&sequence);
}

void WaitingQueue::admit(Sequence& sequence) {
  if (!sequence.comes_back) {
    Class& same = classes_.at(sequence.request->submit.priority);
    same.carry += sequence.fair_tokens;
    same.now = std::max(same.now, sequence.fair_start) + same.carry / same.waiting_shares;
    same.carry %= same.waiting_shares;
  }
  drop(sequence);
}

void WaitingQueue::drop(Sequence& sequence) {
  order_.erase(&sequence);
  if (sequence.comes_back) return;
  const SubmitRequest& submit = sequence.request->submit;
  const auto found = classes_.find(submit.priority);
  Class& same = found->second;
  if (--same.shares[submit.share].waiting == 0) --same.waiting_shares;
  if (--same.waiting == 0) classes_.erase(found);  // nobody waits: nobody is owed anything
}

void WaitingQueue::give_back(const Sequence& sequence, int64_t used) {
  const SubmitRequest& submit = sequence.request->submit;
  const auto same = classes_.find(submit.priority);
  if (same == classes_.end() || same->second.number != sequence.fair_class) return;
  const auto share = same->second.shares.find(submit.share);
  if (share == same->second.shares.end()) return;
  share->second.until -= sequence.fair_tokens - std::clamp<int64_t>(used, 0, sequence.fair_tokens);
}

size_t WaitingQueue::num_shares() const {
  size_t count = 0;
  for (const auto& [priority, each] : classes_) count += each.shares.size();
  return count;
}

// Those that wait for nothing and are owed nothing; beyond the bound also those that owe.
void WaitingQueue::forget_old(Class& each) {
  if (each.shares.size() < 2 * static_cast<size_t>(each.waiting) + 64) return;
  const bool is_full = each.shares.size() >= kMaxShares;
  std::erase_if(each.shares, [&](const auto& share) {
    return share.second.waiting == 0 && (is_full || share.second.until <= each.now);
  });
}

}  // namespace trireme
