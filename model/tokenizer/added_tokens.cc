#include "model/tokenizer/added_tokens.h"

#include <algorithm>

#include "model/tokenizer/unicode.h"

namespace trireme {
namespace {

bool stands_alone(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 && is_word(utf8_last(text.substr(0, begin)).code)) return false;
  return end == text.size() || !is_word(utf8_step(text.substr(end)).code);
}

size_t before_spaces(std::string_view text, size_t begin, size_t stop) {
  while (begin > stop) {
    const Utf8Step step = utf8_last(text.substr(0, begin));
    if (!is_space(step.code)) break;
    begin -= step.length;
  }
  return std::max(begin, stop);
}

size_t after_spaces(std::string_view text, size_t end) {
  while (end < text.size()) {
    const Utf8Step step = utf8_step(text.substr(end));
    if (!is_space(step.code)) break;
    end += step.length;
  }
  return end;
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::stable_sort(tokens_.begin(), tokens_.end(), [](const AddedToken& a, const AddedToken& b) {
    return a.content != b.content ? a.content < b.content : a.special > b.special;
  });
  for (const AddedToken& token : tokens_) starts_[static_cast<uint8_t>(token.content[0])] = true;
}

// Narrows the range of sorted tokens byte by byte; of those with an equal prefix the shortest is
// first.
const AddedToken* AddedTokenMatcher::longest_at(std::string_view text,
                                                size_t begin,
                                                const TokenAllowed& allowed) const {
  text.remove_prefix(begin);
  const AddedToken* best = nullptr;
  auto first = tokens_.begin();
  auto last = tokens_.end();
  for (size_t depth = 0; depth < text.size() && first != last; ++depth) {
    const uint8_t byte = text[depth];
    const auto at_depth = [depth](const AddedToken& token) -> int {
      return token.content.size() <= depth ? -1 : static_cast<uint8_t>(token.content[depth]);
    };
    first = std::partition_point(
        first, last, [&](const AddedToken& token) { return at_depth(token) < byte; });
    last = std::partition_point(
        first, last, [&](const AddedToken& token) { return at_depth(token) == byte; });
    if (first == last || first->content.size() != depth + 1) continue;
    if (!allowed || allowed(begin, begin + depth + 1, first->special)) best = &*first;
  }
  return best;
}

std::vector<Stretch> AddedTokenMatcher::split(std::string_view text,
                                              bool parse_special,
                                              const TokenAllowed& allowed) const {
  std::vector<Stretch> out;
  size_t plain_from = 0;
  const auto add = [&](size_t begin, size_t end, TokenId id) {
    if (begin < end) out.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end), id});
  };
  for (size_t at = 0; at < text.size();) {
    const AddedToken* token =
        starts_[static_cast<uint8_t>(text[at])] ? longest_at(text, at, allowed) : nullptr;
    if (!token) {
      ++at;
      continue;
    }
    const size_t end = at + token->content.size();
    const bool wanted =
        (parse_special || !token->special) && (!token->single_word || stands_alone(text, at, end));
    if (wanted) {
      const size_t begin = token->lstrip ? before_spaces(text, at, plain_from) : at;
      const size_t stop = token->rstrip ? after_spaces(text, end) : end;
      add(plain_from, begin, -1);
      add(begin, stop, token->id);
      plain_from = stop;
    }
    at = std::max(end, plain_from);
  }
  add(plain_from, text.size(), -1);
  return out;
}

}  // namespace trireme
