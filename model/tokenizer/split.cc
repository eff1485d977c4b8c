#include "model/tokenizer/split.h"

namespace trireme {
namespace {

// Emits ranges, joined by the rule of the behaviour; holds back one pending range.
class Joiner {
 public:
  Joiner(const Words::Word& word, SplitBehavior behavior, std::vector<Words::Word>& out)
      : word_(word), behavior_(behavior), out_(out) {}

  void add(uint32_t begin, uint32_t end, bool is_match) {
    if (behavior_ == SplitBehavior::kRemoved) {
      if (!is_match) emit(begin, end);
      return;
    }
    if (pending_ && joins(is_match)) {
      pending_end_ = end;
    } else {
      finish();
      pending_begin_ = begin;
      pending_end_ = end;
      pending_ = true;
    }
    previous_match_ = is_match;
  }

  void finish() {
    if (pending_) emit(pending_begin_, pending_end_);
    pending_ = false;
  }

 private:
  // Whether the current range is joined to the pending one.
  bool joins(bool is_match) const {
    switch (behavior_) {
      case SplitBehavior::kContiguous:
        return is_match == previous_match_;
      case SplitBehavior::kMergedWithPrevious:
        return is_match && !previous_match_;
      case SplitBehavior::kMergedWithNext:
        return previous_match_ && !is_match;
      default:
        return false;
    }
  }

  void emit(uint32_t begin, uint32_t end) {
    if (begin == end) return;
    out_.push_back({word_.begin + begin, word_.begin + end, word_.at_start && begin == 0});
  }

  const Words::Word& word_;
  const SplitBehavior behavior_;
  std::vector<Words::Word>& out_;
  bool pending_ = false;
  bool previous_match_ = false;
  uint32_t pending_begin_ = 0;
  uint32_t pending_end_ = 0;
};

}  // namespace

void split_word(const Words::Word& word,
                const std::vector<Match>& matches,
                SplitBehavior behavior,
                bool invert,
                std::vector<Words::Word>& out) {
  Joiner joiner(word, behavior, out);
  const uint32_t size = word.end - word.begin;
  uint32_t at = 0;
  for (const Match& match : matches) {
    if (match.begin > at) joiner.add(at, match.begin, invert);
    joiner.add(match.begin, match.end, !invert);
    at = match.end;
  }
  if (at < size) joiner.add(at, size, invert);
  joiner.finish();
}

}  // namespace trireme
