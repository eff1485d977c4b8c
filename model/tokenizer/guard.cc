#include "model/tokenizer/guard.h"

#include <algorithm>
#include <utility>

namespace trireme {

TokenAllowed allowed_outside(std::span<const GuardedRange> ranges) {
  if (ranges.empty()) return nullptr;
  return [ranges](size_t begin, size_t end, bool special) {
    auto range = std::partition_point(
        ranges.begin(), ranges.end(), [begin](const auto& r) { return r.end <= begin; });
    for (; range != ranges.end() && range->begin < end; ++range) {
      if (range->begin < range->end && (special || !range->only_special)) return false;
    }
    return true;
  };
}

std::vector<GuardedRange> guarded_within(std::span<const GuardedRange> ranges,
                                         size_t begin,
                                         size_t end) {
  std::vector<GuardedRange> within;
  auto range = std::partition_point(
      ranges.begin(), ranges.end(), [begin](const auto& r) { return r.end <= begin; });
  for (; range != ranges.end() && range->begin < end; ++range) {
    within.push_back({std::max(range->begin, begin) - begin,
                      std::min(range->end, end) - begin,
                      range->only_special});
  }
  return within;
}

NormalizedGuard::NormalizedGuard(const Normalizer& normalizer,
                                 std::string_view text,
                                 std::string_view normalized,
                                 std::vector<GuardedRange> ranges)
    : normalizer_(normalizer),
      text_(text),
      normalized_(normalized),
      ranges_(std::move(ranges)),
      begins_(ranges_.size()),
      ends_(ranges_.size()) {}

bool NormalizedGuard::allows(size_t begin, size_t end, bool special) {
  size_t low = 0;
  size_t high = ranges_.size();
  while (low < high) {  // the first range that ends after `begin`
    const size_t middle = (low + high) / 2;
    if (end_of(middle) <= begin) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  for (; low < ranges_.size() && begin_of(low) < end; ++low) {
    if (special || !ranges_[low].only_special) return false;
  }
  return true;
}

// The bytes that the normalised text shares with the normalised begin of the text; `whole`: all.
size_t NormalizedGuard::common_prefix(size_t length, bool& whole) {
  const auto prefix = normalizer_.apply(std::string(text_.substr(0, length)), scratch_);
  whole = false;
  if (!prefix.ok()) return 0;
  const auto [at, other] =
      std::mismatch(prefix->begin(), prefix->end(), normalized_.begin(), normalized_.end());
  whole = at == prefix->end();
  return static_cast<size_t>(at - prefix->begin());
}

size_t NormalizedGuard::begin_of(size_t index) {
  bool whole = false;
  if (!begins_[index]) begins_[index] = common_prefix(ranges_[index].begin, whole);
  return *begins_[index];
}

size_t NormalizedGuard::end_of(size_t index) {
  if (ends_[index]) return *ends_[index];
  bool whole = false;
  size_t end = common_prefix(ranges_[index].end, whole);
  // A character that is composed over the border belongs to the range: it ends before the next
  // ASCII character, which composes with nothing before it.
  const auto is_ascii = [&] { return static_cast<unsigned char>(normalized_[end]) < 0x80; };
  while (!whole && end < normalized_.size() && (!is_ascii() || end == 0)) ++end;
  ends_[index] = end;
  return end;
}

}  // namespace trireme
