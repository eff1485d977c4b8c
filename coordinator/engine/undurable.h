// The records that are on their way to the disk, and what may be told to clients once they are
// there. Part of the Engine; its thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "coordinator/engine/events.h"

namespace trireme {

class Undurable {
 public:
  // A durable record allows to tell of the acceptance (choice -1), or of the ids of a choice up to
  // `num_ids`, and of its end.
  struct Mark {
    RequestId request;
    int32_t choice = -1;
    int32_t num_ids = 0;
    bool ended = false;
  };

  // Without a journal the entries are not needed.
  explicit Undurable(bool keeps_entries) : keeps_entries_(keeps_entries) {}

  bool keeps_entries() const { return keeps_entries_; }
  void add(RecordEntry entry) {
    if (keeps_entries_) open_.push_back(std::move(entry));
  }
  void allow(const Mark& mark) { marks_.push_back(mark); }

  // Marks of records that are not durable yet: about 30 bytes each in the journal.
  size_t num_marks() const { return num_marks_; }

  // At the end of an event: one record for all that it has added.
  void close(std::vector<Effect>& effects) {
    if (open_.empty() && marks_.empty()) return;
    effects.push_back(effect::Append{++sequence_, std::move(open_)});
    num_marks_ += marks_.size();
    waiting_.emplace_back(sequence_, std::move(marks_));
    open_.clear();
    marks_.clear();
  }

  // Records up to `sequence` are durable: their marks, in order.
  std::vector<Mark> take(uint64_t sequence) {
    std::vector<Mark> marks;
    while (!waiting_.empty() && waiting_.front().first <= sequence) {
      const std::vector<Mark>& front = waiting_.front().second;
      marks.insert(marks.end(), front.begin(), front.end());
      num_marks_ -= front.size();
      waiting_.pop_front();
    }
    return marks;
  }

 private:
  const bool keeps_entries_;
  uint64_t sequence_ = 0;  // of the last record
  Record open_;            // of the event being handled
  std::vector<Mark> marks_;
  size_t num_marks_ = 0;                                        // of waiting_
  std::deque<std::pair<uint64_t, std::vector<Mark>>> waiting_;  // by record, the oldest first
};

}  // namespace trireme
