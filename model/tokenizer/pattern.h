// The pattern of a Replace or Split step: a literal or a regular expression, {"String": "..."} or
// {"Regex": "..."} in the file. Const after creation, any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/tokenizer/json_fields.h"
#include "model/tokenizer/regex.h"

namespace trireme {

class Pattern {
 public:
  // `where` names the field in errors (TRI-TOK-003, TRI-TOK-010).
  static StatusOr<Pattern> read(JsonValue value, const std::string& where);
  static Pattern text(std::string literal);
  static StatusOr<Pattern> regex(std::string_view expression);

  // Replaces `out` by the matches, from left to right. Error: TRI-TOK-014.
  Status find_all(std::string_view text, RegexScratch& scratch, std::vector<Match>& out) const;

 private:
  std::string literal_;
  std::unique_ptr<const Regex> regex_;
};

}  // namespace trireme
