// Sampling defaults and end-of-sequence ids of generation_config.json. The file is a convenience:
// what cannot be used in it is dropped and named, it never stops a load. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "model/sampling_params.h"
#include "model/token.h"

namespace trireme {

struct GenerationDefaults {
  SamplingParams sampling;  // temperature 1 and no limits where the file says nothing
  std::vector<TokenId> eos_ids;
  std::vector<std::string> notes;  // TRI-CONF-007: a line per value that was dropped
};

GenerationDefaults parse_generation_config(const std::string& json_text, const std::string& source);

// Reads DIR/generation_config.json; the defaults above, if there is no such file.
GenerationDefaults load_generation_config(const std::string& model_dir);

}  // namespace trireme
