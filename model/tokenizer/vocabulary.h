// The tokens of a tokenizer: piece <-> id, and the kind of each id. Filled while loading, const
// afterwards. Pieces are stored back to back in one pool; lookups use a flat table with open
// addressing. Invariant: a piece has one id and an id at most one piece; ids are in [0, size()).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/token.h"

namespace trireme {

class Vocabulary {
 public:
  static constexpr size_t kMaxPieceBytes = 65535;
  static constexpr TokenId kNone = -1;

  // Capacity for `count` tokens with ids below 1.25 x count + 2,048: gaps are allowed, but the
  // table by id must not need more memory than the file itself. `bytes` is the total length of the
  // pieces of the model.
  explicit Vocabulary(size_t count, size_t bytes = 0);

  // Adds a token of the model. Error: TRI-TOK-005 (id out of range, duplicate id or piece, piece
  // too long).
  Status add(std::string_view piece, int64_t id);

  // Adds an added token, after all tokens of the model, and returns its id. A known piece keeps its
  // id and becomes an added token; once special, it stays special. A new one gets the id after the
  // highest of the added tokens, at least the number of tokens of the model: the rule of the
  // Hugging Face tokenizers, whatever id a file states. Error: TRI-TOK-007 (that id has another
  // token, too long).
  StatusOr<TokenId> add_added(std::string_view piece, bool special);

  std::string_view piece(TokenId id) const;
  std::optional<TokenId> find(std::string_view piece) const;

  // The id of a token of the model, which BPE may produce; kNone for added tokens and unknown
  // pieces.
  TokenId find_in_model(std::string_view piece) const;

  bool is_special(TokenId id) const { return has(id) && (tokens_[id].flags & kSpecial); }
  bool is_added(TokenId id) const { return has(id) && (tokens_[id].flags & kAdded); }
  bool in_model(TokenId id) const { return has(id) && (tokens_[id].flags & kInModel); }
  bool has(TokenId id) const {
    return id >= 0 && static_cast<size_t>(id) < tokens_.size() && tokens_[id].flags != 0;
  }
  // An upper bound on the number of pairs of pieces whose concatenation is a piece: possible
  // merges.
  size_t max_splits() const { return pool_.size() + tokens_.size(); }
  int size() const { return static_cast<int>(tokens_.size()); }

 private:
  enum Flags : uint8_t { kInModel = 1, kAdded = 2, kSpecial = 4 };
  struct Token {
    uint32_t offset = 0;
    uint16_t length = 0;
    uint8_t flags = 0;
  };

  size_t slot_of(std::string_view piece) const;
  Status insert(std::string_view id_of_error, std::string_view piece, int64_t id, uint8_t flags);

  int64_t end_of_ids_;
  int64_t model_size_ = 0;   // tokens of the model
  int64_t last_added_ = -1;  // the highest id of an added token
  std::string pool_;
  std::vector<Token> tokens_;   // by id
  std::vector<TokenId> slots_;  // open addressing; kNone is free; never full
};

}  // namespace trireme
