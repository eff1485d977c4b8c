// The merges of a BPE model: a map from a pair of ids to the rank of the merge and the merged id.
// Filled while loading, const afterwards. Open addressing; most lookups need one probe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/token.h"

namespace trireme {

struct Merge {
  int32_t rank = -1;  // lower ranks merge first; -1: the pair does not merge
  TokenId merged = -1;
};

class MergeTable {
 public:
  explicit MergeTable(size_t count = 0);

  // A duplicate pair takes the later rank. False if the table already has `count` pairs.
  bool add(TokenId left, TokenId right, Merge merge);

  Merge find(TokenId left, TokenId right) const;
  size_t size() const { return size_; }

 private:
  struct Slot {
    TokenId left = -1;
    TokenId right = -1;
    Merge merge;
  };
  size_t slot_of(TokenId left, TokenId right) const;

  size_t capacity_;
  std::vector<Slot> slots_;  // open addressing; a free slot has left = -1
  size_t size_ = 0;
};

}  // namespace trireme
