// Prompts of `run` and `bench serve --dataset`: one from the command line, or one JSON object per
// line of a file. All lines are read and checked before a cluster starts. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/chat/chat_format.h"
#include "model/checkpoint/model_source.h"
#include "model/tokenizer/tokenizer.h"
#include "proto/client_messages.h"

namespace trireme {

struct Prompt {
  std::string id;           // field "id" of the line, or the line number
  int64_t line_number = 0;  // 0: the command line
  door::Submit submit;
};

// `status` with "FILE line 3: " after its id; as it is for `number` 0, the command line.
Status at_line(const std::string& path, int64_t number, const Status& status);

// A line: {"id"?, "prompt": text | "token_ids": [...] | "messages": [...], and sampling fields}.
// TRI-RUN-040: not UTF-8; TRI-RUN-021: not a JSON object; TRI-RUN-022: not exactly one prompt;
// TRI-RUN-024: an unknown field (names the nearest); TRI-RUN-020, TRI-REQ-001: a sampling field.
// Every message starts with file and line.
StatusOr<std::vector<Prompt>> read_prompts(const std::string& path, const door::Submit& defaults);

// The model of a private cluster, as far as prompts are checked against it.
struct LocalModel {
  const ModelSource& source;
  const Tokenizer* tokenizer = nullptr;  // null: token ids only
  const ChatFormat* chat = nullptr;      // null: `no_chat` says why
  Status no_chat = ok_status();
};

// Checks prompts against a local model before the launch. TRI-RUN-025: text, but the model has no
// tokenizer; TRI-CHAT: messages that its template cannot render; TRI-RUN-026: an id outside the
// vocabulary; TRI-RUN-027: no room for an answer within the maximum sequence length, or a score or
// probe beyond it; TRI-RUN-028: no tokens.
Status check_prompts(const std::vector<Prompt>& prompts,
                     const std::string& path,
                     const LocalModel& model,
                     int64_t max_model_len);

}  // namespace trireme
