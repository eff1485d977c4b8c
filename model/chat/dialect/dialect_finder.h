// Finds how a template writes answers (a Dialect, answer/answer_format.h): renders probe
// conversations, compares them, and reads each back. Used by one thread, while loading.
#pragma once

#include <memory>
#include <string>

#include "model/chat/answer/answer_format.h"
#include "model/chat/rendering/chat_template.h"

namespace trireme {

struct FoundDialect {
  Dialect dialect;
  MessageForm form;
  bool answers = false;  // an assistant message is rendered where an answer would stand
  bool reasoning = false;
  bool tools = false;
  bool several_calls = false;
  bool shows_calls = false;  // calls in messages are rendered
  std::string no_tools;      // why not
  std::string fault;         // why answers stay uncut, or ""
};

FoundDialect find_dialect(ChatTemplate& chat_template);

// A few lines for people.
std::string describe_dialect(const FoundDialect& found);

}  // namespace trireme
