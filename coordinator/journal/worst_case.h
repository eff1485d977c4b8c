// How much room a request may need in the journal. Pure function.
#pragma once

#include <cstdint>

#include "coordinator/engine/submit_request.h"

namespace trireme::journal {

// Bytes of all its records, if each of its tokens has a record of its own, with its answer and one
// copy of its prompt.
int64_t worst_case_bytes(const SubmitRequest& submit);

}  // namespace trireme::journal
