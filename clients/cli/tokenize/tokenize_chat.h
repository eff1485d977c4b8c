// tokenize --messages: chats as the model's template renders them, as token ids or as text. Main
// thread.
#pragma once

#include <string>

#include "base/status.h"
#include "clients/cli/terminal.h"

namespace trireme {

struct TokenizeChatOptions {
  std::string model;          // folder
  std::string chat_template;  // file; "": the model's own
  std::string messages;       // file of one JSON object per line
  bool show_template = false;
  bool tokens = false;
  bool json = false;
};

// A line: the chat fields of clients/cli/chat_line.h. TRI-RUN-014: a line is malformed; errors of
// Tokenizer and ChatFormat.
Status tokenize_chats(Terminal& terminal, const TokenizeChatOptions& options);

}  // namespace trireme
