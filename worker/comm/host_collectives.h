// Start-up collectives over a host communicator. Every rank must call them in the same order; each
// ends by the communicator's deadline.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "worker/comm/comm.h"

namespace trireme {

// all = the ranks' `own` bytes, concatenated by rank; equal sizes.
Status share_with_all(Comm& control, std::span<const std::byte> own, std::span<std::byte> all);
// Copies rank 0's bytes to every rank; equal sizes.
Status share_from_first(Comm& control, std::span<std::byte> bytes);

// The ranks' values, by rank; T must be trivially copyable.
template <class T>
StatusOr<std::vector<T>> gather_values(Comm& control, const T& own) {
  std::vector<T> all(control.size());
  RETURN_IF_ERROR(share_with_all(
      control, std::as_bytes(std::span(&own, 1)), std::as_writable_bytes(std::span(all))));
  return all;
}

// The ranks' texts, by rank; lengths may differ.
StatusOr<std::vector<std::string>> gather_texts(Comm& control, const std::string& own);

// Barrier that ends within `limit_us`.
Status meet_all(Comm& control, TimeUs limit_us);

// If a rank has failed, all fail: that rank with its own Status, the others with TRI-CUDA-016,
// which names the first failed rank. `peers`: names of the ranks.
Status agree(Comm& control, const Status& own, const std::vector<std::string>& peers);

}  // namespace trireme
