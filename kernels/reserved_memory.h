// Addresses of a device whose memory comes later. Steps that are recorded in between name them:
// how much memory is left shows only when all is recorded. Made and used by a backend's thread,
// and gone before the backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/status.h"

namespace trireme {

class ReservedMemory {
 public:
  virtual ~ReservedMemory() = default;

  // The first address; on the host null until there is memory.
  virtual std::byte* data() const = 0;
  // Memory comes in multiples of so many bytes.
  virtual int64_t unit() const = 0;
  // Puts zeroed memory behind the first `bytes` addresses, up to the next unit; once. Nothing may
  // have touched them before. TRI-MEM-001: there is not so much.
  virtual Status fill(int64_t bytes) = 0;
};

}  // namespace trireme
