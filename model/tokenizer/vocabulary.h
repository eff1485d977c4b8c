// The tokens of a tokenizer: piece <-> id, and what kind each id is. Filled while loading, then
// const. Pieces lie end to end in one pool; a lookup is one probe into a flat table.
// Invariant: a piece has one id and an id at most one piece; ids are in [0, size()).
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

  // Room for `count` tokens; ids may leave gaps of a quarter of the count and a little more, since
  // a table by id must not cost more than the file that asks for it. `bytes` is the length of all
  // pieces of the model.
  explicit Vocabulary(size_t count, size_t bytes = 0);

  // Adds a token of the model. Errors: TRI-TOK-005 (id out of range, id or piece known already,
  // piece too long).
  Status add(std::string_view piece, int64_t id);

  // Marks a token as added; it may be one of the model, then with the same id. Error: TRI-TOK-007.
  Status add_added(std::string_view piece, int64_t id, bool special);

  std::string_view piece(TokenId id) const;
  std::optional<TokenId> find(std::string_view piece) const;

  // The id of a token of the model's own vocabulary, kNone for others: what BPE may produce.
  TokenId find_in_model(std::string_view piece) const;

  bool is_special(TokenId id) const { return has(id) && (tokens_[id].flags & kSpecial); }
  bool is_added(TokenId id) const { return has(id) && (tokens_[id].flags & kAdded); }
  bool in_model(TokenId id) const { return has(id) && (tokens_[id].flags & kInModel); }
  bool has(TokenId id) const {
    return id >= 0 && static_cast<size_t>(id) < tokens_.size() && tokens_[id].flags != 0;
  }
  // An upper bound on the pairs of pieces whose joining is a piece, each of which may merge.
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
  std::string pool_;
  std::vector<Token> tokens_;   // by id
  std::vector<TokenId> slots_;  // open addressing, kNone is free; never full
};

}  // namespace trireme
