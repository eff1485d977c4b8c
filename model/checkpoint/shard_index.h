// model.safetensors.index.json: the shards of a checkpoint, and the shard of each tensor. Any
// thread. No memory beyond the text and the names that a caller asks for.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"

namespace trireme {

class ShardIndex {
 public:
  // TRI-LOAD-006: no JSON object with a "weight_map" of file names in the same folder.
  static StatusOr<ShardIndex> parse(std::string text, const std::string& path);

  // The distinct file names, in order.
  const std::vector<std::string>& shards() const { return shards_; }
  // The shard that the index names for each of `tensors`; those that it does not name are absent.
  std::map<std::string, std::string> shards_of(const std::set<std::string>& tensors) const;

 private:
  std::string text_;
  std::vector<std::string> shards_;
};

}  // namespace trireme
