// How much room a request may need in the journal. Pure function.
#pragma once

#include <cstdint>

#include "coordinator/engine/submit_request.h"

namespace trireme::journal {

struct WorstCase {
  int64_t accepted = 0;  // of its acceptance, with a copy of its prompt, and of its end
  int64_t running = 0;   // of its tokens, if each has a record of its own, and of their copy
  int64_t all() const { return accepted + running; }
};

WorstCase worst_case_bytes(const SubmitRequest& submit);

}  // namespace trireme::journal
