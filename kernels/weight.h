// Weights in a backend's own layout: packed once at load by Backend::pack(), opaque afterwards.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/dtype.h"

namespace trireme {

// Arrangement of the parts of one weight.
enum class WeightLayout : uint8_t {
  kRows,    // concatenated rows of one or more parts (q, k, v)
  kGateUp,  // two parts of equal size, gate and up, interleaved in an order of the backend's choice
};

// A matmul weight W [n, k]: y = x W^T.
// `leaf_ends` divides the sum over k into leaves: leaf i covers columns [leaf_ends[i-1],
// leaf_ends[i]) of this rank's part. Leaves are summed separately and added by a balanced binary
// tree, so that a tensor-parallel sum has the bits of a single rank's (docs/numerics.md). Their
// number is a power of two. Empty: one leaf, all of k.
struct WeightSpec {
  WeightLayout layout = WeightLayout::kRows;
  std::vector<int64_t> leaf_ends;
  // Zero rows behind the weight, which kernels on a slice of it may read (Backend::rows_of).
  int64_t spare_rows = 0;
};

// A packed weight. n and k are the logical sizes (kGateUp: n counts gate and up rows).
class Weight {
 public:
  virtual ~Weight() = default;
  virtual int64_t n() const = 0;
  virtual int64_t k() const = 0;
  virtual int64_t bytes() const = 0;  // device bytes, padding included
};

// View of a small fp32 vector on the device: a bias, a norm's weight.
struct Vector {
  const float* data = nullptr;
  int64_t size = 0;
};

}  // namespace trireme
