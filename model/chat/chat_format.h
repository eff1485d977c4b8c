// A model's chat format: its template, and how its answers are cut, found by rendering probe
// conversations at load. Const after load: any number of threads may call it at once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/chat/answer/answer_parser.h"
#include "model/chat/rendering/chat_request.h"
#include "model/token.h"

namespace trireme {

class Tokenizer;
struct Dialect;

struct ChatPrompt {
  std::string text;  // rendered
  std::vector<TokenId> ids;
  // For the parser of the answer; null: raw, the answer stays text.
  std::shared_ptr<const AnswerFormat> format;
};

// Abilities of the template; also shown by `trireme models show`.
struct ChatAbilities {
  bool tools = false;
  bool reasoning = false;
  bool parts = false;       // takes content as a list of parts
  std::string no_tools;     // the reason where tools are refused
  std::string description;  // a few lines about the markers that were found
};

class ChatFormat {
 public:
  // Takes the template from `template_file` if it is not "", else from the model's folder.
  // TRI-CHAT-001: there is none. TRI-CHAT-002: it does not compile (line and column).
  // `tokenizer` outlives the result.
  static StatusOr<std::unique_ptr<const ChatFormat>> load(const std::string& folder,
                                                          const std::string& template_file,
                                                          const Tokenizer& tokenizer);
  ~ChatFormat();

  // Renders the chat and encodes it; `now_s`: seconds since 1970 for strftime_now. TRI-CHAT-003: a
  // limit of rendering. TRI-CHAT-004: what this template cannot do. TRI-CHAT-005: tools are not
  // supported. TRI-CHAT-006: malformed JSON or messages. TRI-CHAT-007: the template refused with
  // its own words (raise_exception), or failed.
  StatusOr<ChatPrompt> prompt_of(const ChatRequest& request, int64_t now_s) const;

  const ChatAbilities& abilities() const;

  // How answers to chats with or without tools are read.
  std::shared_ptr<const Dialect> dialect(bool with_tools) const;
  // The text of the templates, for a digest.
  std::string sources() const;

 private:
  struct State;
  explicit ChatFormat(std::unique_ptr<const State> state);
  std::unique_ptr<const State> state_;
};

}  // namespace trireme
