// What ranks tell one another over a host communicator before they serve. Collective; each ends by
// the communicator's deadline.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "worker/comm/comm.h"

namespace trireme {

// all = the ranks' own bytes one after another.
Status share_with_all(Comm& control, std::span<const std::byte> own, std::span<std::byte> all);
Status share_from_first(Comm& control, std::span<std::byte> bytes);

// Values of a type that is its bytes, by rank.
template <class T>
StatusOr<std::vector<T>> gather_values(Comm& control, const T& own) {
  std::vector<T> all(control.size());
  RETURN_IF_ERROR(share_with_all(
      control, std::as_bytes(std::span(&own, 1)), std::as_writable_bytes(std::span(all))));
  return all;
}

// Texts of any length, by rank.
StatusOr<std::vector<std::string>> gather_texts(Comm& control, const std::string& own);

// If a rank has failed, all fail: each with its own Status, the others with TRI-CUDA-016, which
// names the first that has.
Status agree(Comm& control, const Status& own, const std::vector<std::string>& peers);

}  // namespace trireme
