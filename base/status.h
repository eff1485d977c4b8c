// Errors of input and environment: a Status whose message is one line of a stable id, what failed
// and what to do, "TRI-LOAD-007: ...". Every id has a page of `trireme explain` in one of the files
// of clients/cli/explain/ (checked by tools/tidy.py). A broken invariant of the program is a CHECK
// instead (base/check.h). Any thread.
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

namespace detail {
// "TRI-LOAD-007: " and the formatted text.
std::string with_id(std::string_view id, fmt::string_view format, fmt::format_args args);
}  // namespace detail

inline Status ok_status() { return absl::OkStatus(); }

// Wrong usage, configuration, file or request: the caller must change something.
template <class... Args>
Status invalid(std::string_view id,
               FormatString<std::type_identity_t<Args>...> format,
               const Args&... args) {
  return absl::InvalidArgumentError(
      detail::with_id(id, format.checked, fmt::make_format_args(args...)));
}

// The environment failed (port in use, host silent, memory short): trying again may help.
template <class... Args>
Status unavailable(std::string_view id,
                   FormatString<std::type_identity_t<Args>...> format,
                   const Args&... args) {
  return absl::UnavailableError(
      detail::with_id(id, format.checked, fmt::make_format_args(args...)));
}

// A wait reached its deadline.
template <class... Args>
Status timed_out(std::string_view id,
                 FormatString<std::type_identity_t<Args>...> format,
                 const Args&... args) {
  return absl::DeadlineExceededError(
      detail::with_id(id, format.checked, fmt::make_format_args(args...)));
}

// A limit is reached: queue full, no page left.
template <class... Args>
Status exhausted(std::string_view id,
                 FormatString<std::type_identity_t<Args>...> format,
                 const Args&... args) {
  return absl::ResourceExhaustedError(
      detail::with_id(id, format.checked, fmt::make_format_args(args...)));
}

// A named thing does not exist.
template <class... Args>
Status not_found(std::string_view id,
                 FormatString<std::type_identity_t<Args>...> format,
                 const Args&... args) {
  return absl::NotFoundError(detail::with_id(id, format.checked, fmt::make_format_args(args...)));
}

// A message or list is above its limit, whenever it is sent.
template <class... Args>
Status too_large(std::string_view id,
                 FormatString<std::type_identity_t<Args>...> format,
                 const Args&... args) {
  return absl::OutOfRangeError(detail::with_id(id, format.checked, fmt::make_format_args(args...)));
}

// A name (an idempotency key) belongs to something else.
template <class... Args>
Status conflict(std::string_view id,
                FormatString<std::type_identity_t<Args>...> format,
                const Args&... args) {
  return absl::AlreadyExistsError(
      detail::with_id(id, format.checked, fmt::make_format_args(args...)));
}

// A fault of the program itself.
template <class... Args>
Status internal(std::string_view id,
                FormatString<std::type_identity_t<Args>...> format,
                const Args&... args) {
  return absl::InternalError(detail::with_id(id, format.checked, fmt::make_format_args(args...)));
}

// The same status, blamed on a field of the request by its name there ("max_tokens").
Status with_field(Status status, std::string_view field);
std::string field_of(const Status& status);  // "": none

// "TRI-LOAD-007" of a status made above, "" if it has none.
std::string error_id(const Status& status);

// The message as a std::string (the distribution's absl has a string_view of its own).
std::string message_of(const Status& status);

// The message without its id: for a text that has an id or a place of its own before it.
std::string message_without_id(const Status& status);

// The status of an id and a message received from a peer; the message may already start with the
// id.
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
