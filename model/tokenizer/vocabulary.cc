#include "model/tokenizer/vocabulary.h"

#include <algorithm>

#include "model/tokenizer/flat_hash.h"

namespace trireme {
namespace {

// Published tokenizers have gaps of up to about 1,000 ids before their added tokens.
constexpr int64_t kIdReserve = 2048;

}  // namespace

Vocabulary::Vocabulary(size_t count, size_t bytes)
    : end_of_ids_(static_cast<int64_t>(count + count / 4) + kIdReserve),
      slots_(count + count / 2 + 8, kNone) {
  pool_.reserve(bytes);
  tokens_.reserve(count);
}

size_t Vocabulary::slot_of(std::string_view piece) const {
  size_t slot = slot_of_hash(hash_bytes(piece), slots_.size());
  while (slots_[slot] != kNone && this->piece(slots_[slot]) != piece) {
    slot = slot + 1 == slots_.size() ? 0 : slot + 1;
  }
  return slot;
}

Status Vocabulary::insert(std::string_view id_of_error,
                          std::string_view piece,
                          int64_t id,
                          uint8_t flags) {
  if (id < 0 || id >= end_of_ids_) {
    return invalid(id_of_error,
                   "token \"{}\" has id {}; ids must lie in 0..{} for a vocabulary of this size",
                   piece.substr(0, 80),
                   id,
                   end_of_ids_ - 1);
  }
  if (has(static_cast<TokenId>(id))) {
    return invalid(id_of_error,
                   "id {} is given to \"{}\" and to \"{}\"; ids must be distinct",
                   id,
                   this->piece(id).substr(0, 80),
                   piece.substr(0, 80));
  }
  if (piece.size() > kMaxPieceBytes || pool_.size() > UINT32_MAX - piece.size()) {
    return invalid(id_of_error,
                   "token {} has {} bytes; at most {} are supported, and 4 GiB for all tokens",
                   id,
                   piece.size(),
                   kMaxPieceBytes);
  }
  const size_t slot = slot_of(piece);
  if (slots_[slot] != kNone) {
    return invalid(id_of_error,
                   "token \"{}\" has the ids {} and {}; it must have one",
                   piece.substr(0, 80),
                   slots_[slot],
                   id);
  }
  if (static_cast<size_t>(id) >= tokens_.size()) tokens_.resize(id + 1);
  tokens_[id] = {static_cast<uint32_t>(pool_.size()), static_cast<uint16_t>(piece.size()), flags};
  pool_.append(piece);
  slots_[slot] = static_cast<TokenId>(id);
  return ok_status();
}

Status Vocabulary::add(std::string_view piece, int64_t id) {
  RETURN_IF_ERROR(insert("TRI-TOK-005", piece, id, kInModel));
  ++model_size_;
  return ok_status();
}

StatusOr<TokenId> Vocabulary::add_added(std::string_view piece, bool special) {
  const uint8_t flags = special ? kAdded | kSpecial : kAdded;
  const std::optional<TokenId> known = find(piece);
  const int64_t id = known ? *known : std::max(last_added_ + 1, model_size_);
  if (known) {
    tokens_[id].flags |= flags;
  } else {
    RETURN_IF_ERROR(insert("TRI-TOK-007", piece, id, flags));
  }
  last_added_ = std::max(last_added_, id);
  return static_cast<TokenId>(id);
}

std::string_view Vocabulary::piece(TokenId id) const {
  if (!has(id)) return {};
  return std::string_view(pool_).substr(tokens_[id].offset, tokens_[id].length);
}

std::optional<TokenId> Vocabulary::find(std::string_view piece) const {
  const TokenId id = slots_[slot_of(piece)];
  return id == kNone ? std::nullopt : std::optional<TokenId>(id);
}

TokenId Vocabulary::find_in_model(std::string_view piece) const {
  const TokenId id = slots_[slot_of(piece)];
  return in_model(id) ? id : kNone;
}

}  // namespace trireme
