// The sequences that wait for a slot, in the order in which they are admitted:
// 1. those that come back (preempted, their group lost, or from an earlier coordinator), by
// arrival;
// 2. by priority, the lower number first;
// 3. within a priority in fair shares: start-time fair queueing (Goyal, Vin and Cheng 1996) with
//    tokens as the cost, so that a share with many or long requests delays the others by one
//    request at most; within a share by arrival.
// A request is charged its prompt and the most tokens that its answer may have; what it did not
// generate is given back to its share when it ends. Used by the Engine alone.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "coordinator/engine/sequence.h"

namespace trireme {

class WaitingQueue {
 public:
  // Shares that are remembered although they do not wait; beyond them they start equal again.
  static constexpr size_t kMaxShares = 65'536;

  // A new sequence, of `tokens` at most.
  void add(Sequence& sequence, int64_t tokens);
  // One that comes back.
  void add_again(Sequence& sequence);
  // It leaves the queue for a group.
  void admit(Sequence& sequence);
  // It has ended while it waited.
  void drop(Sequence& sequence);
  // It has ended and used only so many of the tokens that it was charged when it was new.
  void give_back(const Sequence& sequence, int64_t used);

  size_t size() const { return order_.size(); }
  size_t num_shares() const;  // that are remembered
  bool empty() const { return order_.empty(); }
  auto begin() const { return order_.begin(); }
  auto end() const { return order_.end(); }

 private:
  struct ByPlace {
    bool operator()(const Sequence* first, const Sequence* other) const {
      return place_of(*first) < place_of(*other);
    }
    static std::tuple<bool, int32_t, int64_t, uint64_t> place_of(const Sequence& sequence) {
      const bool is_new = !sequence.comes_back;
      return {is_new,
              is_new ? sequence.request->submit.priority : 0,
              is_new ? sequence.fair_start : 0,
              sequence.arrival};
    }
  };
  // Times are in tokens of one share.
  struct Share {
    int64_t until = 0;       // the end of its last sequence, less what was given back
    int64_t last_start = 0;  // of the last one that waits: later ones stay behind it
    int64_t waiting = 0;
  };
  struct Class {  // of one priority
    // Grows with each admission by its tokens over the number of shares that wait, so that new
    // shares, however many there are, cannot keep the others from their turn.
    int64_t now = 0;
    int64_t carry = 0;    // tokens that were admitted and have not moved `now` yet
    uint64_t number = 0;  // of this object: a sequence gives back to the one that charged it
    std::map<std::string, Share> shares;
    int64_t waiting = 0;         // sequences
    int64_t waiting_shares = 0;  // that have any
  };

  static void forget_old(Class& each);

  std::set<Sequence*, ByPlace> order_;
  std::map<int32_t, Class> classes_;  // by priority, of those with waiting sequences
  uint64_t num_classes_ = 0;          // that there have been
};

}  // namespace trireme
