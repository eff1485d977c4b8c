#include "model/chat/answer/call_forcing.h"

#include <algorithm>

#include "model/chat/answer/marker_match.h"
#include "model/tokenizer/tokenizer.h"

namespace trireme {
namespace {

// Every begin of a call to `name`, up to its first argument or its end.
void add_openings(const CallDialect& calls,
                  const std::string& before_name,
                  const std::string& name,
                  std::vector<std::string>& openings) {
  const std::string opening = before_name + name + calls.after_name;
  if (calls.style == CallStyle::kTagged) {
    openings.push_back(opening + calls.parameter_open.text());
    openings.push_back(opening + calls.close.text());
  } else {
    openings.push_back(opening + "{\"");
    openings.push_back(opening + "{}");
    openings.push_back(opening + "{\n");
  }
}

// The text between the prompt and the name, without white space in front of the call that the
// prompt or the end of its reasoning ends with already.
std::string text_before_name(const AnswerFormat& format, bool in_reasoning) {
  const Dialect& dialect = *format.dialect;
  const std::string begin = in_reasoning ? dialect.reasoning_close.text() : "";
  const std::string_view call = dialect.calls.before_name;
  const std::string prompt = format.opened + begin;
  size_t written = count_blanks(call);
  while (!prompt.ends_with(call.substr(0, written))) --written;
  return begin + std::string(call.substr(written));
}

// The ids that all texts begin with after `context`; false if `context` merges with them.
StatusOr<bool> common_ids(const Tokenizer& tokenizer,
                          const std::string& context,
                          const std::vector<std::string>& texts,
                          std::vector<TokenId>& ids) {
  const EncodeOptions options{.add_special = false};
  ASSIGN_OR_RETURN(const std::vector<TokenId> before, tokenizer.encode(context, options));
  bool first = true;
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(std::vector<TokenId> all, tokenizer.encode(context + text, options));
    if (all.size() < before.size() || !std::equal(before.begin(), before.end(), all.begin())) {
      return false;
    }
    all.erase(all.begin(), all.begin() + static_cast<ptrdiff_t>(before.size()));
    if (first) ids = all;
    const auto same = std::mismatch(ids.begin(), ids.end(), all.begin(), all.end());
    ids.erase(same.first, ids.end());
    first = false;
  }
  return true;
}

// The bytes of `opening` that tokens spell, which may have added spaces in it; npos: other text.
size_t spelled_bytes(std::string_view spelled, std::string_view opening) {
  size_t at = 0;
  for (const char c : spelled) {
    if (at < opening.size() && c == opening[at]) {
      ++at;
    } else if (c != ' ') {
      return std::string_view::npos;
    }
  }
  return at;
}

}  // namespace

StatusOr<ForcedOpening> force_call(const Tokenizer& tokenizer,
                                   const AnswerFormat& format,
                                   const std::vector<std::string>& names,
                                   bool in_reasoning) {
  const Dialect& dialect = *format.dialect;
  const std::string before_name = text_before_name(format, in_reasoning);
  std::vector<std::string> openings;
  for (const std::string& name : names) add_openings(dialect.calls, before_name, name, openings);
  std::string wanted = before_name;  // is to be begun at least
  if (names.size() == 1) wanted += names[0] + dialect.calls.after_name;
  ForcedOpening forced;
  for (const std::string& context : {dialect.header + format.opened, std::string()}) {
    ASSIGN_OR_RETURN(const bool usable, common_ids(tokenizer, context, openings, forced.ids));
    if (!usable) continue;
    std::string spelled;
    for (const TokenId id : forced.ids) spelled += tokenizer.bytes_of(id);
    const size_t length = spelled_bytes(spelled, openings[0]);
    const size_t least = names.size() == 1 ? before_name.size() + names[0].size() : 1;
    if (length == std::string::npos || length < least) continue;
    forced.text = openings[0].substr(0, length);
    return forced;
  }
  // Tokens that do not spell the text: the wanted opening, as it is encoded alone.
  forced.text = wanted;
  ASSIGN_OR_RETURN(forced.ids, tokenizer.encode(forced.text, {.add_special = false}));
  return forced;
}

}  // namespace trireme
