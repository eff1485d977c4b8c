// A look at the bytes of a message that carries a prompt, without protobuf: the size of its parts,
// and what its refusal names when protobuf cannot read it. Pure functions, any thread, safe for any
// bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace trireme {

// The messages that may be larger than kMaxControlBytes.
enum class PromptMessage : uint8_t { kSubmit, kTokenize, kDetokenize };

// By the type byte of a frame; nothing for other messages.
std::optional<PromptMessage> prompt_message_of(int type);
const char* name_of(PromptMessage message);  // "trireme.v1.Submit"

// The bytes of the body without its prompt; -1 if the body is not a message.
int64_t control_bytes_of(PromptMessage message, std::string_view body);

// The tag, as far as the body can be read; 0: none.
uint64_t tag_of(PromptMessage message, std::string_view body);

// The first string field that is not UTF-8, with the offset of the first wrong byte in it.
struct BadText {
  const char* field = nullptr;
  size_t at = 0;
};
std::optional<BadText> bad_text_of(PromptMessage message, std::string_view body);

}  // namespace trireme
