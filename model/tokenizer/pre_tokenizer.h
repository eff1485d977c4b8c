// The pre-tokenizer of a tokenizer.json: splits a normalised text into the words that the model
// encodes one by one. Const after load, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"
#include "model/tokenizer/json_fields.h"
#include "model/tokenizer/pattern.h"
#include "model/tokenizer/unicode.h"

namespace trireme {

// A text and the words in it, in order. Words are never empty.
struct Words {
  struct Word {
    uint32_t begin;
    uint32_t end;
    bool at_start;  // begins at the first byte of the whole input
  };
  std::string text;
  std::vector<Word> words;

  std::string_view view(const Word& word) const {
    return std::string_view(text).substr(word.begin, word.end - word.begin);
  }
};

enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
enum class PrependScheme { kFirst, kNever, kAlways };

struct SplitByPattern {
  Pattern pattern;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;
};
struct SplitByClass {
  enum class Class { kSpace, kNumber, kPunctuation } character_class;
  SplitBehavior behavior;
};
struct AddPrefixSpace {};
struct MapBytes {};  // to the alphabet of GPT-2
struct Metaspace {
  std::string replacement;
  PrependScheme scheme = PrependScheme::kAlways;
  bool split = true;
};

using PreTokenizerStep =
    std::variant<SplitByPattern, SplitByClass, AddPrefixSpace, MapBytes, Metaspace>;

class PreTokenizer {
 public:
  PreTokenizer() = default;  // the whole text is one word

  // Reads the field `pre_tokenizer`. `add_prefix_space` replaces that of each ByteLevel step.
  // Errors: TRI-TOK-003, TRI-TOK-009, TRI-TOK-010.
  static StatusOr<PreTokenizer> read(JsonValue value,
                                     std::optional<bool> add_prefix_space = std::nullopt);

  // The words of `text`. If the last step is MapBytes, the model applies it: see words_are_bytes().
  // Errors: TRI-TOK-014, TRI-TOK-015.
  StatusOr<Words> split(std::string text, bool at_start, RegexScratch& scratch) const;

  // True: the words are plain bytes, which the model must map to the alphabet of GPT-2.
  bool words_are_bytes() const { return words_are_bytes_; }
  const ByteAlphabet& alphabet() const { return alphabet_; }

 private:
  std::vector<PreTokenizerStep> steps_;
  bool words_are_bytes_ = false;
  ByteAlphabet alphabet_;
};

}  // namespace trireme
