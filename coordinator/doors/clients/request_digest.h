// Whether two Submits with one idempotency key are the same request: a digest of the prompt and of
// every parameter that changes the answer. Pure function.
#pragma once

#include <string>

#include "proto/client_codec.h"
#include "proto/client_messages.h"

namespace trireme {

// 16 bytes. Not part of it: tag, key, principal and whatever concerns the delivery alone
// (deadline, credit, disconnection, progress, trace).
std::string digest_of(const door::Submit& submit, ClientCodec& codec);

}  // namespace trireme
