#include "clients/cli/tokenize/tokenize_chat.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/json_value.h"
#include "base/text.h"
#include "base/utf8.h"
#include "clients/cli/chat_line.h"
#include "clients/cli/json_lines.h"
#include "clients/cli/json_text.h"
#include "clients/cli/prompts.h"
#include "clients/cli/tokenize/token_output.h"
#include "model/chat/chat_format.h"
#include "model/tokenizer/tokenizer.h"

namespace trireme {
namespace {

constexpr char kChatLineId[] = "TRI-RUN-014";

StatusOr<ChatRequest> read_chat_line(const std::string& text) {
  RETURN_IF_ERROR(check_utf8(text, "the line"));
  ASSIGN_OR_RETURN(const JsonValue line,
                   JsonValue::parse(text,
                                    kChatLineId,
                                    "the line",
                                    JsonNumbers::kAnySize,
                                    "write one JSON object per line: {\"messages\": [...]}"));
  if (!line.is(JsonValue::Kind::kObject) || !line.find("messages")) {
    return invalid(kChatLineId, "the line is not a JSON object with a field \"messages\"");
  }
  std::string unknown;
  RETURN_IF_ERROR(line.each_member([&](std::string_view name, JsonValue /*value*/) {
    const bool known = std::ranges::find(chat_fields(), name) != chat_fields().end();
    if (!known && name != "id") unknown = name;
    return ok_status();
  }));
  if (!unknown.empty()) {
    const std::string near = nearest(unknown, chat_fields());
    return invalid(kChatLineId,
                   "unknown field \"{}\"{}",
                   utf8_head(unknown, 60),
                   near.empty() ? "" : format_text("; did you mean \"{}\"?", near));
  }
  return read_chat(line, kChatLineId);
}

}  // namespace

Status tokenize_chats(Terminal& terminal, const TokenizeChatOptions& options) {
  ASSIGN_OR_RETURN(const auto tokenizer, Tokenizer::load_folder(options.model));
  if (!tokenizer->note().empty()) terminal.warn(tokenizer->note());
  ASSIGN_OR_RETURN(const auto format,
                   ChatFormat::load(options.model, options.chat_template, *tokenizer));
  ASSIGN_OR_RETURN(const std::vector<NumberedLine> lines, read_lines(options.messages));
  const auto answer = [&](const std::string& text) -> Status {
    ASSIGN_OR_RETURN(const ChatRequest chat, read_chat_line(text));
    ASSIGN_OR_RETURN(const ChatPrompt prompt, format->prompt_of(chat, std::time(nullptr)));
    if (!options.show_template) {
      // JSON as for --jsonl, but for a table of tokens, which is for people.
      const bool json = options.json || !options.tokens;
      print_token_ids(terminal, *tokenizer, prompt.ids, json, options.tokens);
    } else if (options.json) {
      terminal.answer_line(json_text({{"text", prompt.text}}));
    } else {
      terminal.answer_line(prompt.text);
    }
    return ok_status();
  };
  for (const NumberedLine& line : lines) {
    RETURN_IF_ERROR(at_line(options.messages, line.number, answer(line.text)));
  }
  return ok_status();
}

}  // namespace trireme
