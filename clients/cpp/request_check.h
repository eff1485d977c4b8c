// Checks of a request before it is sent. A frame that the coordinator cannot take would end the
// connection, and with it all other requests. Pure functions.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "proto/client_messages.h"

namespace trireme {

// The error names the field. TRI-NET-003: a text is not UTF-8, which protobuf would not carry.
// TRI-NET-004: the prompt alone has more than `max_prompt_bytes`.
Status check_request(const door::Submit& request, int64_t max_prompt_bytes);
Status check_request(const door::Tokenize& request, int64_t max_prompt_bytes);
Status check_request(const door::Detokenize& request, int64_t max_prompt_bytes);

}  // namespace trireme
