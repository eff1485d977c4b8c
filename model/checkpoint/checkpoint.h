// The weights of a Hugging Face folder: *.safetensors, one file or an index of shards, read without
// conversion. Headers are validated before anything is allocated: a hostile file gives a Status,
// never a crash. One thread uses a Checkpoint at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"
#include "model/shard_spec.h"

namespace trireme {

struct StoredTensor {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
  int64_t bytes = 0;
};

// Source of the stored tensors: files, or values generated in memory (`dummy:`).
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  virtual const StoredTensor* find(const std::string& name) const = 0;
  virtual std::vector<std::string> names() const = 0;

  // Copies rows x columns of a stored matrix (of a vector: rows, with columns [0, 1)) into `out`,
  // row-major without gaps, in the stored dtype, which has whole bytes. Reads no other bytes.
  // TRI-LOAD-...: an I/O error.
  virtual Status read(const StoredTensor& tensor,
                      IndexRange rows,
                      IndexRange columns,
                      std::span<std::byte> out) = 0;

  // Total bytes that read() has read from the source.
  virtual int64_t bytes_read() const = 0;

  // SHA-256 (hex) over config, shard headers and sizes.
  virtual std::string fingerprint() const = 0;

  // Which of several files are read, for the end of a message about tensors that do not fit; "" if
  // there was no choice.
  virtual std::string choice_of_files() const { return ""; }
};

// Opens DIR: model.safetensors, else the shards of its index, as the reference implementation does.
// `notes` receives lines for the user, for example that both are there. TRI-LOAD-...: no weights, a
// missing shard, a truncated, oversized or overlapping tensor, an unknown dtype.
StatusOr<std::unique_ptr<Checkpoint>> open_checkpoint(const std::string& model_dir,
                                                      std::vector<std::string>& notes);

}  // namespace trireme
