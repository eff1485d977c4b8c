// A checkpoint tensor as the backend wants it: packed once at load, opaque ever after.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/dtype.h"

namespace trireme {

// How parts of one weight lie together.
enum class WeightLayout : uint8_t {
  kRows,    // parts one below the other (q, k, v); one part is the plain case
  kGateUp,  // exactly two parts of equal size, gate and up, interleaved as the backend likes
};

// A matmul weight W [n, k]: y = x W^T.
// `leaf_ends`: where K is cut into leaves (docs/numerics.md): leaf i covers columns
// [leaf_ends[i-1], leaf_ends[i]) of this rank's part. Leaves are summed apart and added by a
// balanced binary tree; their number is a power of two. Empty: one leaf, all of K.
struct WeightSpec {
  WeightLayout layout = WeightLayout::kRows;
  std::vector<int64_t> leaf_ends;
  // Zero rows behind it: a kernel may read so far past a part of it (Backend::rows_of).
  int64_t spare_rows = 0;
};

// What the backend packed. n and k are the logical sizes (kGateUp: n counts gate and up).
class Weight {
 public:
  virtual ~Weight() = default;
  virtual int64_t n() const = 0;
  virtual int64_t k() const = 0;
  virtual int64_t bytes() const = 0;  // on the device, padding included
};

// A small fp32 vector on the device: a bias, a norm's weight.
struct Vector {
  const float* data = nullptr;
  int64_t size = 0;
};

}  // namespace trireme
