#include "model/tokenizer/added_token_list.h"

#include <algorithm>

#include "base/check.h"
#include "model/tokenizer/tokenizer_parts.h"

namespace trireme {
namespace {

// Limits the cost of each '<' in a text: the bytes compared with added tokens.
constexpr size_t kMaxAddedTokenBytes = 4096;
constexpr size_t kMaxAddedTokenGrowth = 64;  // by the normalizer

}  // namespace

AddedTokenList::AddedTokenList(TokenizerParts& parts, size_t count) : parts_(parts) {
  tokens_.reserve(count);
}

Status AddedTokenList::add(AddedToken token, int64_t stated_id, const std::string& path) {
  if (token.content.empty()) return ok_status();
  if (token.content.size() > kMaxAddedTokenBytes) {
    return invalid("TRI-TOK-007",
                   "added token \"{}...\" has {} bytes; at most {} are supported",
                   token.content.substr(0, 40),
                   token.content.size(),
                   kMaxAddedTokenBytes);
  }
  ASSIGN_OR_RETURN(token.id, parts_.vocabulary.add_added(token.content, token.special));
  if (stated_id >= 0 && stated_id != token.id && note_.empty()) {
    note_ = format_text(
        "{} states id {} for \"{}\"; id {} is used, by the rule of the tokenizers library",
        path,
        stated_id,
        token.content.substr(0, 80),
        token.id);
  }
  tokens_.push_back(std::move(token));
  return ok_status();
}

bool AddedTokenList::has(std::string_view content) const {
  const auto id = parts_.vocabulary.find(content);
  return id && parts_.vocabulary.is_added(*id);
}

void AddedTokenList::make_special(std::string_view content) {
  CHECK(has(content) && parts_.vocabulary.add_added(content, true).ok());
}

Status AddedTokenList::normalize(AddedToken& token, RegexScratch& scratch) const {
  const std::string_view piece = parts_.vocabulary.piece(token.id);
  ASSIGN_OR_RETURN(token.content, parts_.normalizer.apply(std::move(token.content), scratch));
  const size_t limit = piece.size() + kMaxAddedTokenGrowth;
  if (token.content.size() > limit) {
    return invalid(
        "TRI-TOK-007",
        "added token {} grows to {} bytes by the normalizer; at most {} are supported; use the "
        "publisher's tokenizer.json",
        token.id,
        token.content.size(),
        limit);
  }
  if (token.content != piece) parts_.normalized_pieces.emplace(token.id, token.content);
  return ok_status();
}

Status AddedTokenList::finish() {
  std::ranges::stable_sort(tokens_, {}, &AddedToken::id);
  const auto num_normalized =
      static_cast<size_t>(std::ranges::count(tokens_, true, &AddedToken::normalized));
  RegexScratch scratch;
  std::vector<AddedToken> raw;
  std::vector<AddedToken> normalized;
  raw.reserve(tokens_.size() - num_normalized);
  normalized.reserve(num_normalized);
  for (size_t i = 0; i < tokens_.size(); ++i) {
    if (i + 1 < tokens_.size() && tokens_[i + 1].id == tokens_[i].id) continue;  // the last counts
    AddedToken& token = tokens_[i];
    token.special = parts_.vocabulary.is_special(token.id);
    if (!token.normalized) {
      raw.push_back(std::move(token));
      continue;
    }
    RETURN_IF_ERROR(normalize(token, scratch));
    if (!token.content.empty()) normalized.push_back(std::move(token));
  }
  tokens_.clear();
  parts_.added = AddedTokenMatcher(std::move(raw));
  parts_.added_normalized = AddedTokenMatcher(std::move(normalized));
  return ok_status();
}

}  // namespace trireme
