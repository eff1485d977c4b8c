// `dummy:SHAPE`: random weights without files. Every value is a function of (seed, tensor name,
// element index), so that every partition of the model reads the same weights. Const after
// creation.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/checkpoint/checkpoint.h"

namespace trireme {

// The text of the config.json of a published shape ("llama-3.1-8b"), or of the file at a path.
// TRI-CONF-008: an unknown name (names the nearest).
StatusOr<std::string> dummy_config(const std::string& shape);

// Each read() fills its slice with up to `threads` threads (0: all cores of this process); no value
// depends on their number.
std::unique_ptr<Checkpoint> make_dummy_checkpoint(const ModelConfig& config,
                                                  const std::string& config_text,
                                                  uint64_t seed,
                                                  int threads = 0);

}  // namespace trireme
