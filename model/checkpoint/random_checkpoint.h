// Writes a checkpoint of a published shape with random weights, for benchmarks and dry runs: a
// folder with config.json and safetensors files of at most 4 GiB, in the layout of Hugging Face.
// Used by one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/dtype.h"
#include "base/status.h"

namespace trireme {

struct RandomCheckpointOptions {
  std::string like;                // "llama-3.2-1b", or a path to a config.json
  std::string out;                 // a folder that does not exist or is empty
  DType dtype = DType::kBFloat16;  // bfloat16, float16 or float32
  uint64_t seed = 0;
  double scale = 1;  // factor of every matrix element
};

struct WrittenCheckpoint {
  int64_t bytes = 0;
  int64_t tensors = 0;
  int files = 0;
};

// TRI-MOD-001: the folder is not empty or cannot be created; TRI-MOD-002: writing failed (disk
// full?); TRI-MOD-003: the disk has too little free space.
StatusOr<WrittenCheckpoint> make_checkpoint(
    const RandomCheckpointOptions& options,
    const std::function<void(int64_t done, int64_t total)>& progress);

}  // namespace trireme
