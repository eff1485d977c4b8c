// Decides which stored tensor is which, once per opened checkpoint: the outer prefix of the decoder
// and the head by their names, and whether the head is the embedding by what is stored. The same
// files give the same decision in every process. Used by one thread, at start.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/checkpoint/checkpoint.h"
#include "model/model_config.h"

namespace trireme {

// Called after each block of a comparison of tensors, which can take as long as reading them.
using ReadProgress = std::function<void()>;

// Sets config.names and config.tied_embeddings. A model that config.json ties stays tied unless
// both tensors are stored with different values; then a note says so. Values are compared only if
// both have the shape that config.json requires. Further heads have to equal the first.
// TRI-LOAD-020: decoder tensors below two prefixes (names two). TRI-LOAD-002: an I/O error.
Status resolve_stored_names(Checkpoint& checkpoint,
                            ModelConfig& config,
                            std::vector<std::string>& notes,
                            const ReadProgress& progress);

}  // namespace trireme
