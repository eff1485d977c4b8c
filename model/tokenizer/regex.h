// A compiled pattern that finds its matches in a text, by PCRE2 with its JIT. Const and thread-safe
// after compile. Bounded: a match that needs too many steps or too much stack is an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace trireme {

struct Match {
  uint32_t begin;
  uint32_t end;
};

// What a match needs to work in: one per call of encode, made at the first match.
class RegexScratch {
 public:
  RegexScratch();
  ~RegexScratch();

 private:
  friend class Regex;
  struct State;
  std::unique_ptr<State> state_;
};

class Regex {
 public:
  static constexpr size_t kMaxPatternBytes = 4096;  // published ones have up to 600

  // `pattern` in the syntax of tokenizer.json. Error: TRI-TOK-010.
  static StatusOr<std::unique_ptr<const Regex>> compile(std::string_view pattern);
  ~Regex();

  // Appends the matches in `text` (valid UTF-8) from left to right; an empty match right after the
  // last one does not count. Error: TRI-TOK-014.
  Status find_all(std::string_view text, RegexScratch& scratch, std::vector<Match>& out) const;

 private:
  struct Code;
  explicit Regex(std::unique_ptr<Code> code);
  std::unique_ptr<Code> code_;
};

}  // namespace trireme
