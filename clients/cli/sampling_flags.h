// How an answer is drawn and ended, from flags and from the fields of a JSON line. A line's field
// beats the flag. What neither names is the model's default.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/flags.h"
#include "proto/client_messages.h"

namespace trireme {

void add_sampling_flags(FlagSet& flags, door::Sampling& sampling);

// Takes the sampling fields out of `json` (the flags' names in snake_case). TRI-RUN-020: a field of
// the wrong type.
Status read_sampling(nlohmann::ordered_json& json, door::Sampling& sampling);

// The ranges of model/sampling_params.h. TRI-REQ-001. `vocabulary_size` 0: ids are not checked.
Status check_sampling(const door::Sampling& sampling, int64_t vocabulary_size);

}  // namespace trireme
