#include "model/tokenizer/merge_table.h"

#include "model/tokenizer/flat_hash.h"

namespace trireme {

MergeTable::MergeTable(size_t count) : capacity_(count), slots_(count + count / 2 + 8) {}

size_t MergeTable::slot_of(TokenId left, TokenId right) const {
  size_t slot = slot_of_hash(hash_pair(left, right), slots_.size());
  while (slots_[slot].left != -1 && (slots_[slot].left != left || slots_[slot].right != right)) {
    slot = slot + 1 == slots_.size() ? 0 : slot + 1;
  }
  return slot;
}

bool MergeTable::add(TokenId left, TokenId right, Merge merge) {
  Slot& slot = slots_[slot_of(left, right)];
  if (slot.left == -1) {
    if (size_ == capacity_) return false;
    ++size_;
  }
  slot = {left, right, merge};
  return true;
}

Merge MergeTable::find(TokenId left, TokenId right) const {
  return slots_[slot_of(left, right)].merge;
}

}  // namespace trireme
