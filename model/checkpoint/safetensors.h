// One .safetensors file: the header length (8 bytes, little-endian), a JSON header, the tensor
// data. Format: github.com/huggingface/safetensors. The whole header is validated before any tensor
// is used: bounded length, known dtypes, shape x size = bytes, inside the file, no overlap, no gap.
// Any thread: reads name their offset.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/handle.h"
#include "base/status.h"
#include "model/checkpoint/checkpoint.h"

namespace trireme {

struct SafetensorsEntry {
  StoredTensor tensor;
  int64_t begin = 0;  // offset in the file
};

// Parses and validates a header. `file_bytes` is the length of the whole file.
// TRI-LOAD-003: not a header; TRI-LOAD-004: a tensor that is inconsistent with the file, its shape
// or its neighbours.
StatusOr<std::vector<SafetensorsEntry>> parse_safetensors_header(const std::string& header,
                                                                 int64_t file_bytes,
                                                                 const std::string& path);

void close_file(int descriptor);

// An open file, read by pread(2): no shared position, no mapping.
class SafetensorsFile {
 public:
  // TRI-LOAD-002: cannot be opened or read; TRI-LOAD-003: of another kind (named, if it is known).
  static StatusOr<SafetensorsFile> open(const std::string& path);

  const std::vector<SafetensorsEntry>& entries() const { return entries_; }
  const std::string& header() const { return header_; }
  const std::string& path() const { return path_; }
  int64_t file_bytes() const { return file_bytes_; }
  // Fills `out` from `offset`. TRI-LOAD-002 with the offset: the file became shorter, or an I/O
  // error.
  Status read(int64_t offset, std::span<std::byte> out) const;

 private:
  struct Descriptor {
    int value = -1;
    Descriptor() = default;
    explicit Descriptor(int value) : value(value) {}
    Descriptor(Descriptor&& other) noexcept : value(std::exchange(other.value, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
      std::swap(value, other.value);
      return *this;
    }
    ~Descriptor() { close_file(value); }
  };

  Status open_descriptor();
  Status refuse_header(uint64_t length) const;

  Descriptor descriptor_;
  std::string path_;
  std::string header_;
  int64_t file_bytes_ = 0;
  std::vector<SafetensorsEntry> entries_;
};

}  // namespace trireme
