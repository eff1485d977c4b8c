// The matmul shapes at which cuBLASLt is faster than our own kernels on this device, and its
// fastest algorithm for each: timed on one rank, sent to the others as bytes, kept in a file.
// Shapes at which our kernels won are stored too, so that they are not timed again. A value; owned
// by CublasLt. Invariant: every choice that find() returns was measured faster.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace trireme::cuda {

// The library's product: in the activation type to the op's output, in fp32 to the output or to the
// workspace before a bias, or in the activation type to the workspace before a gate.
enum class MatmulOut : uint8_t { kActivation = 0, kFloat32 = 1, kStaged = 2 };

struct MatmulShape {
  int32_t rows = 0;
  int32_t n = 0;
  int32_t k = 0;
  MatmulOut out = MatmulOut::kActivation;

  // NOLINTNEXTLINE(modernize-use-nullptr): the 0 that clang-tidy 14 sees is of the comparison
  auto operator<=>(const MatmulShape&) const = default;
};

struct MatmulChoice {
  std::array<uint64_t, 8> algorithm = {};  // as the library represents it
  float time_us = 0;                       // 0: our kernel is faster
  float own_time_us = 0;

  bool operator==(const MatmulChoice&) const = default;
};

class MatmulTable {
 public:
  // `key` names device, element type and library version; a table of another key does not apply.
  explicit MatmulTable(std::string key) : key_(std::move(key)) {}

  // Stores the choice for the shape's bucket of rows if it is faster than our kernel; otherwise
  // that it is not.
  void note(const MatmulShape& shape, const MatmulChoice& choice);
  // Whether the shape's bucket has been timed.
  bool knows(const MatmulShape& shape) const;
  // The entry of the shape's bucket, or of the next larger bucket that was timed, whichever was
  // faster. Null: none was timed.
  const MatmulChoice* entry(const MatmulShape& shape) const;
  // The same entry. Null: our own kernel.
  const MatmulChoice* find(const MatmulShape& shape) const;
  size_t size() const { return choices_.size(); }  // shapes that have been timed

  // Format: docs/formats.md. load() replaces all entries; if the bytes are damaged or have another
  // key it returns false and leaves the table empty.
  std::string save() const;
  bool load(std::string_view bytes);
  // File name, without a folder, of a table of this key.
  std::string file_name() const;

 private:
  std::string key_;
  std::map<MatmulShape, MatmulChoice> choices_;
};

// The bucket of a row count: those of a step's graphs up to 512, then every multiple of 512.
int32_t bucket_of_rows(int32_t rows);

}  // namespace trireme::cuda
