// Range of device addresses whose memory is mapped later. Captured graphs contain the addresses of
// the KV cache, and the free memory left for it is known only after all graphs are captured. Used
// by the backend's thread; destroyed before the backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/status.h"

namespace trireme {

class ReservedMemory {
 public:
  virtual ~ReservedMemory() = default;

  // The first address; on the CPU null until fill().
  virtual std::byte* data() const = 0;
  // Granularity of fill() in bytes.
  virtual int64_t unit() const = 0;
  // Maps zeroed memory at the first `bytes` addresses, rounded up to unit(). Called once, before
  // any access. TRI-MEM-001: not enough memory.
  virtual Status fill(int64_t bytes) = 0;
};

}  // namespace trireme
