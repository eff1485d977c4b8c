// How a file's decoder turns pieces into bytes. Const, thread-safe. Only decoders that can run on a
// stream are taken: each piece becomes bytes alone, and only leading characters may be dropped.
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
  Decoder() = default;  // of a file without a decoder: pieces with a space between them

  // Reads the field `decoder`. Errors: TRI-TOK-003, TRI-TOK-012.
  static StatusOr<Decoder> read(JsonValue value);

  // Appends the bytes of a piece; `first`: nothing came before it in this text.
  void append_bytes(std::string_view piece, bool first, std::string& out) const;

  // Up to how many leading `strip_character`s the whole text loses.
  int strip_start() const { return strip_start_; }
  char32_t strip_character() const { return strip_character_; }

 private:
  class Reader;

  enum class Kind { kJoinBySpace, kByteLevel, kPieces };
  Kind kind_ = Kind::kJoinBySpace;
  std::vector<std::pair<std::string, std::string>> replacements_;
  std::string dropped_in_first_;  // Metaspace: the mark that the first piece loses
  bool byte_fallback_ = false;
  int strip_start_ = 0;
  char32_t strip_character_ = ' ';
  ByteAlphabet alphabet_;
};

}  // namespace trireme
