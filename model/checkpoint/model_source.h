// The value of --model: a Hugging Face folder, or `dummy:SHAPE`: random weights from a seed, of
// which each rank generates its own shard in memory; no tokenizer. The same seed gives the same
// weights for every partition. Used by one thread, at start.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/stored_names.h"
#include "model/checkpoint/tokenizer_files.h"
#include "model/model_config.h"
#include "model/sampling_params.h"

namespace trireme {

struct ModelSource {
  std::string name;  // as given by the user
  std::string dir;   // empty for `dummy:`
  ModelConfig config;
  std::unique_ptr<Checkpoint> checkpoint;
  SamplingParams sampling_defaults;  // generation_config.json, else temperature 1
  std::vector<TokenId> eos_ids;      // union of config and generation_config
  std::vector<std::string> notes;    // lines for the user about what was chosen or dropped
  TokenizerFiles tokenizer_files;    // of the folder: see Tokenizer::load_folder()
};

// `weights_seed` applies to `dummy:` only. `progress` is called while values are read, which a
// checkpoint with both a head and an embedding may need. TRI-CONF-..., TRI-LOAD-....
StatusOr<ModelSource> open_model(const std::string& model,
                                 uint64_t weights_seed = 0,
                                 const ReadProgress& progress = nullptr);

// The names allowed after `dummy:`: "llama-3.1-8b", "qwen3-0.6b", ...
std::vector<std::string> dummy_shape_names();

}  // namespace trireme
