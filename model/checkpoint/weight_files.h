// The files of a model's folder that hold its weights. Pure function of the folder.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/checkpoint/shard_index.h"

namespace trireme {

struct WeightFiles {
  std::vector<std::string> names;   // in the folder
  std::optional<ShardIndex> index;  // where it names the files
  std::string choice;               // see Checkpoint::choice_of_files()
};

// model.safetensors if it is there, else the shards of model.safetensors.index.json. `notes`
// receives a line where the other one is there, too, and is not used.
// TRI-LOAD-001: neither (names the files found), or a broken link; TRI-LOAD-002: a shard is
// missing; TRI-LOAD-006: a bad index.
StatusOr<WeightFiles> find_weight_files(const std::string& dir, std::vector<std::string>& notes);

// TRI-LOAD-001, as above, if the folder holds weights, but none of these; else OK.
Status check_weight_format(const std::string& dir);

}  // namespace trireme
