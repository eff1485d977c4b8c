#include "clients/cli/tokenize/token_output.h"

#include <nlohmann/json.hpp>
#include <string>

#include "base/text.h"

namespace trireme {

using Json = nlohmann::ordered_json;

static std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void print_token_ids(Terminal& terminal,
                     const Tokenizer& tokenizer,
                     const std::vector<TokenId>& ids,
                     bool json,
                     bool tokens) {
  Json pieces = Json::array();
  for (const TokenId id : ids) pieces.push_back(std::string(tokenizer.piece(id)));
  if (json) return terminal.answer_line(dump({{"ids", ids}, {"tokens", pieces}}));
  terminal.answer_line(join(ids, ","));
  if (!tokens) return;
  for (size_t i = 0; i < ids.size(); ++i) {
    std::string id = format_text("{}", ids[i]);
    id.insert(0, id.size() < 8 ? 8 - id.size() : 0, ' ');
    terminal.answer_line(id + "  " + dump(pieces[i]));
  }
}

}  // namespace trireme
