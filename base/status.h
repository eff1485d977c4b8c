// Errors of the world: a Status whose message starts with a stable id, one line, what was tried
// and what to do: "TRI-LOAD-007: ...". Every id has a page in clients/cli/explain/error_pages.cc
// (checked by tools/tidy.py). Broken promises of ours are CHECKs (base/check.h).
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/text.h"

namespace trireme {

using Status = absl::Status;
template <class T>
using StatusOr = absl::StatusOr<T>;

inline Status ok_status() { return absl::OkStatus(); }

// Bad usage, configuration, file or request: the caller must change something.
template <class... Parts>
Status invalid(std::string_view id, const Parts&... parts) {
  return absl::InvalidArgumentError(concat(id, ": ", parts...));
}

// The world did not do its part now (port in use, host silent, memory short): trying again may
// help.
template <class... Parts>
Status unavailable(std::string_view id, const Parts&... parts) {
  return absl::UnavailableError(concat(id, ": ", parts...));
}

// A wait reached its deadline.
template <class... Parts>
Status timed_out(std::string_view id, const Parts&... parts) {
  return absl::DeadlineExceededError(concat(id, ": ", parts...));
}

// A bound is reached: queue full, no page left.
template <class... Parts>
Status exhausted(std::string_view id, const Parts&... parts) {
  return absl::ResourceExhaustedError(concat(id, ": ", parts...));
}

// "TRI-LOAD-007" of a status made above, "" if it has none.
std::string error_id(const Status& status);

// The message as a std::string (the distribution's absl has a string_view of its own).
std::string message_of(const Status& status);

// The status of an id and text that came over a wire; `message` may or may not start with the id.
Status status_from_wire(std::string_view id, std::string_view message);

}  // namespace trireme

#define RETURN_IF_ERROR(expression)                                                 \
  do {                                                                              \
    if (::trireme::Status status__ = (expression); !status__.ok()) return status__; \
  } while (false)

#define TRIREME_CONCAT_INNER(a, b) a##b
#define TRIREME_CONCAT(a, b) TRIREME_CONCAT_INNER(a, b)
#define ASSIGN_OR_RETURN(target, expression)              \
  auto TRIREME_CONCAT(result__, __LINE__) = (expression); \
  if (!TRIREME_CONCAT(result__, __LINE__).ok())           \
    return TRIREME_CONCAT(result__, __LINE__).status();   \
  target = std::move(TRIREME_CONCAT(result__, __LINE__)).value()  // NOLINT: a declaration
