// The public id of a request: for users and logs. A keyed hash, so that it reveals nothing of the
// request id, which is a secret. Pure function.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "coordinator/engine/submit_request.h"

namespace trireme {

using PublicIdKey = std::array<uint8_t, 32>;  // random, drawn once per coordinator

// 24 hexadecimal digits.
std::string public_id_of(const RequestId& id, const PublicIdKey& key);

}  // namespace trireme
