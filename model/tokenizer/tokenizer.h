// Text to token ids and back, defined by a Hugging Face tokenizer.json and the files beside it.
// Const after load and without caches: any number of threads may call it at once.
// Invariant: every id that encode() returns has a piece, and decode() never fails for any ids.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/token.h"
#include "model/tokenizer/guard.h"
#include "model/tokenizer/tokenizer_settings.h"

namespace trireme {

struct EncodeOptions {
  bool add_special = true;    // apply the post-processor (begin and end tokens)
  bool parse_special = true;  // special tokens spelled out in the text become their ids
  // Where added tokens are not recognised; ascending, disjoint; read during encode() only.
  std::span<const GuardedRange> guarded = {};
};

struct TokenizerParts;

class Tokenizer {
 public:
  // The tokenizer of a model's folder: its tokenizer.json, and what tokenizer_config.json adds. All
  // that serves a model takes this one. Errors: TRI-TOK-001..013, each naming the file, the field
  // and what is supported.
  static StatusOr<std::unique_ptr<const Tokenizer>> load_folder(const std::string& dir);

  // One tokenizer.json alone, whatever stands beside it.
  static StatusOr<std::unique_ptr<const Tokenizer>> load(const std::string& path);
  static StatusOr<std::unique_ptr<const Tokenizer>> parse(std::string_view json,
                                                          const TokenizerSettings& settings = {});

  explicit Tokenizer(std::unique_ptr<const TokenizerParts> parts);
  ~Tokenizer();

  // Invalid UTF-8 in `text` is replaced by U+FFFD. Errors: TRI-TOK-014 (a pattern of the file
  // needs too many steps on this text), TRI-TOK-015 (text too long), TRI-TOK-020 (a character
  // without a token, and the file names none for it).
  StatusOr<std::vector<TokenId>> encode(std::string_view text,
                                        const EncodeOptions& options = {}) const;

  // The text of all ids; ids without a piece are skipped.
  std::string decode(std::span<const TokenId> ids, bool skip_special) const;

  // The token as it is written in the file ("\u0120ship"); empty for an id without a piece.
  std::string_view piece(TokenId id) const;

  // The bytes that the id adds to a text, including special tokens. A leading space that the
  // decoder would drop is still included: the Detokenizer drops it.
  std::string bytes_of(TokenId id) const;

  bool is_special(TokenId id) const;
  std::optional<TokenId> id_of(std::string_view piece) const;

  // The highest id + 1. Ids can have gaps, and the embedding can have more rows.
  int vocabulary_size() const;

  // A warning for the user; "": none. Names an id that the file states and that is not used.
  const std::string& note() const;

  const TokenizerParts& parts() const { return *parts_; }

 private:
  const std::unique_ptr<const TokenizerParts> parts_;
};

}  // namespace trireme
