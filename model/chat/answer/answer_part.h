// A part of an answer to a chat: new text of its content, of its reasoning or of one tool call.
// Plain value, from the answer parser to the wire.
#pragma once

#include <cstdint>
#include <string>

namespace trireme {

enum class PartKind : uint8_t { kContent, kReasoning, kToolCall };

// The texts of all parts of one kind (and, for calls, of one call_index) concatenate to the whole.
// The first part of a call has call_id and name; its text is the beginning of the arguments, a JSON
// object.
struct AnswerPart {
  PartKind kind = PartKind::kContent;
  int32_t call_index = 0;
  std::string call_id;
  std::string name;
  std::string text;
  bool operator==(const AnswerPart&) const = default;
};

}  // namespace trireme
