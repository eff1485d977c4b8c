// Sampling parameters from flags and from the fields of a JSON line. Fields override flags; values
// that neither sets are the model's defaults (generation_config.json). Pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/flags.h"
#include "proto/client_messages.h"

namespace trireme {

void add_sampling_flags(FlagSet& flags, door::Sampling& sampling);

void add_priority_flag(FlagSet& flags, door::Submit& submit);
// Moves the field `priority` from `json`. TRI-RUN-020.
Status read_priority(nlohmann::ordered_json& json, door::Submit& submit);

// Moves the sampling fields (names of the flags in snake_case) from `json` to `sampling`.
// TRI-RUN-020: a field of the wrong type.
Status read_sampling(nlohmann::ordered_json& json, door::Sampling& sampling);

// Checks the ranges of model/sampling_params.h; `vocabulary_size` 0: ids are not checked.
// TRI-REQ-001: a value out of range.
Status check_sampling(const door::Sampling& sampling, int64_t vocabulary_size);

}  // namespace trireme
