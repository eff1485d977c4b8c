// Log-probabilities in the forms of the APIs. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "clients/gateway/api/json_writer.h"
#include "proto/client_messages.h"

namespace trireme::gateway {

// `content` of the logprobs of a chat, or the logprobs of a text of /v1/responses: an array.
void write_chat_logprobs(const std::vector<door::TokenLogprob>& entries, JsonWriter& json);

// The bytes of alternative `index` of a token; "" in a message without bytes.
std::string_view top_bytes(const door::TokenLogprob& entry, size_t index);

// A token as text: its bytes, or "bytes:\xe4\xbd" where they are no whole characters.
std::string token_text(std::string_view bytes);

}  // namespace trireme::gateway
