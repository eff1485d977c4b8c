// A compiled regular expression: PCRE2 with its JIT compiler. Const after compile, any thread.
// Bounded: a match that needs too many steps or too much memory is an error.
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

// Working memory of matches: one per call of encode, allocated by the first match.
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

  // Appends the matches in `text` (valid UTF-8) from left to right, without an empty match that
  // touches the previous one. Error: TRI-TOK-014.
  Status find_all(std::string_view text, RegexScratch& scratch, std::vector<Match>& out) const;

 private:
  struct Code;
  explicit Regex(std::unique_ptr<Code> code);
  std::unique_ptr<Code> code_;
};

}  // namespace trireme
