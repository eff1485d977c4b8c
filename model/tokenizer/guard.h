// Ranges of a text in which added tokens are not recognised, because their bytes come from a user.
// Views of the caller's ranges; one thread.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/normalizer.h"
#include "model/tokenizer/regex.h"

namespace trireme {

struct GuardedRange {
  size_t begin = 0;  // byte offsets
  size_t end = 0;
  bool only_special = false;  // added tokens with `special: false` are still recognised
};

// Whether an added token may be recognised in [begin, end) of the text.
using TokenAllowed = std::function<bool(size_t begin, size_t end, bool special)>;

// `ranges` are ascending and disjoint. Null if there are none.
TokenAllowed allowed_outside(std::span<const GuardedRange> ranges);

// The ranges of [begin, end), counted from `begin`.
std::vector<GuardedRange> guarded_within(std::span<const GuardedRange> ranges,
                                         size_t begin,
                                         size_t end);

// Guarded ranges of a text, found again in its normalised form: at least the bytes that stem from
// them. Every border is looked up once, when a token near it asks.
class NormalizedGuard {
 public:
  NormalizedGuard(const Normalizer& normalizer,
                  std::string_view text,
                  std::string_view normalized,
                  std::vector<GuardedRange> ranges);

  bool allows(size_t begin, size_t end, bool special);

 private:
  size_t begin_of(size_t index);
  size_t end_of(size_t index);
  size_t common_prefix(size_t length, bool& whole);

  const Normalizer& normalizer_;
  std::string_view text_;
  std::string_view normalized_;
  std::vector<GuardedRange> ranges_;
  std::vector<std::optional<size_t>> begins_;
  std::vector<std::optional<size_t>> ends_;
  RegexScratch scratch_;
};

}  // namespace trireme
