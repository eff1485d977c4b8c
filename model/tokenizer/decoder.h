// The decoder of a tokenizer.json, which turns pieces into bytes. Const after load, any thread.
// Only decoders that work on a stream are supported: the bytes of a piece depend on that piece
// alone, and only leading characters of the text may be dropped.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/tokenizer/json_fields.h"
#include "model/tokenizer/unicode.h"

namespace trireme {

class Decoder {
 public:
  Decoder() = default;  // of a file without a decoder: joins pieces by a space

  // Reads the field `decoder`. Errors: TRI-TOK-003, TRI-TOK-012.
  static StatusOr<Decoder> read(JsonValue value);

  // Appends the bytes of a piece; `first`: it is the first one of the text.
  void append_bytes(std::string_view piece, bool first, std::string& out) const;

  // The maximum number of leading `strip_character`s that are dropped from the whole text.
  int strip_start() const { return strip_start_; }
  char32_t strip_character() const { return strip_character_; }

 private:
  class Reader;

  enum class Kind { kJoinBySpace, kByteLevel, kPieces };
  Kind kind_ = Kind::kJoinBySpace;
  std::vector<std::pair<std::string, std::string>> replacements_;
  std::string dropped_in_first_;  // Metaspace: the mark that is dropped from the first piece
  bool byte_fallback_ = false;
  int strip_start_ = 0;
  char32_t strip_character_ = ' ';
  ByteAlphabet alphabet_;
};

}  // namespace trireme
