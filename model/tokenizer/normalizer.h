// The normalizer of a tokenizer.json: Unicode forms, prefixes and replacements, applied to a text
// before it is split into words. Const after load, any thread.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"
#include "model/tokenizer/json_fields.h"
#include "model/tokenizer/pattern.h"

namespace trireme {

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };

struct PrependText {
  std::string text;
};
struct ReplaceMatches {
  Pattern pattern;
  std::string content;
};
struct Lowercase {};
struct StripAccents {};
struct StripSpaces {
  bool left = true;
  bool right = true;
};

using NormalizerStep =
    std::variant<UnicodeForm, PrependText, ReplaceMatches, Lowercase, StripAccents, StripSpaces>;

class Normalizer {
 public:
  Normalizer() = default;  // the identity

  // Reads the field `normalizer`. Errors: TRI-TOK-003, TRI-TOK-008, TRI-TOK-010.
  static StatusOr<Normalizer> read(JsonValue value);

  bool empty() const { return steps_.empty(); }
  // Errors: TRI-TOK-014, TRI-TOK-015.
  StatusOr<std::string> apply(std::string text, RegexScratch& scratch) const;

 private:
  std::vector<NormalizerStep> steps_;
};

}  // namespace trireme
