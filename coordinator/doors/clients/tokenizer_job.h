// Work for the tokenizer pool and its results. Plain values, from the front door to the pool and
// back.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"
#include "model/chat/rendering/chat_request.h"
#include "model/token.h"

namespace trireme {

struct AnswerFormat;

struct TextToEncode {
  std::string text;
  bool add_special = true;
};

struct IdsToDecode {
  std::vector<TokenId> ids;
  bool skip_special = true;
};

struct TokenizerJob {
  uint64_t number = 0;
  std::variant<TextToEncode, ChatRequest, IdsToDecode> work;
  bool want_pieces = false;
  bool is_question = false;  // a Tokenize or Detokenize: prompts of Submits overtake it
};

struct TokenizerResult {
  uint64_t job = 0;
  Status status;
  std::vector<TokenId> ids;
  std::vector<std::string> pieces;             // where they were wanted; parallel to ids
  std::shared_ptr<const AnswerFormat> format;  // of a chat that is not raw
  std::string text;                            // of IdsToDecode
};

inline int64_t bytes_of(const TokenizerJob& job) {
  if (const auto* text = std::get_if<TextToEncode>(&job.work)) {
    return static_cast<int64_t>(text->text.size());
  }
  if (const auto* ids = std::get_if<IdsToDecode>(&job.work)) {
    return static_cast<int64_t>(ids->ids.size() * sizeof(TokenId));
  }
  const auto& chat = std::get<ChatRequest>(job.work);
  return static_cast<int64_t>(chat.messages_json.size() + chat.tools_json.size() +
                              chat.documents_json.size() + chat.kwargs_json.size() +
                              chat.tool_name.size());
}

// The answer to one question. Questions cost no credit, so that all that one connection may ask at
// once has to fit beside its streams.
inline constexpr int64_t kMaxAnswerBytes = 4ll << 20;

// Upper bound of the bytes of a result on the wire.
inline constexpr int64_t kWireIdBytes = 5;     // the longest varint of an id
inline constexpr int64_t kWirePieceBytes = 6;  // of a piece or a text: tag and length
inline int64_t wire_bytes_of(const TokenizerResult& result) {
  int64_t bytes = 64 + kWireIdBytes * static_cast<int64_t>(result.ids.size()) +
                  static_cast<int64_t>(result.text.size());
  for (const std::string& piece : result.pieces) {
    bytes += kWirePieceBytes + static_cast<int64_t>(piece.size());
  }
  return bytes;
}

inline Status check_answer_bytes(int64_t bytes) {
  if (bytes <= kMaxAnswerBytes) return ok_status();
  return too_large("TRI-NET-004",
                   "the answer has {} bytes or more, at most {} are sent; ask in parts",
                   bytes,
                   kMaxAnswerBytes);
}

}  // namespace trireme
