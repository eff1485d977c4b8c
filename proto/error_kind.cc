#include "proto/error_kind.h"

namespace trireme {

door::ErrorKind kind_of(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return door::ErrorKind::kNone;
    case absl::StatusCode::kInvalidArgument:
      return door::ErrorKind::kInvalid;
    case absl::StatusCode::kNotFound:
      return door::ErrorKind::kNotFound;
    case absl::StatusCode::kOutOfRange:
      return door::ErrorKind::kTooLarge;
    case absl::StatusCode::kResourceExhausted:
      return door::ErrorKind::kOverloaded;
    case absl::StatusCode::kUnavailable:
      return door::ErrorKind::kUnavailable;
    case absl::StatusCode::kDeadlineExceeded:
      return door::ErrorKind::kDeadline;
    case absl::StatusCode::kAlreadyExists:
      return door::ErrorKind::kConflict;
    case absl::StatusCode::kPermissionDenied:
      return door::ErrorKind::kDenied;
    default:
      return door::ErrorKind::kInternal;
  }
}

static absl::StatusCode code_of(door::ErrorKind kind) {
  switch (kind) {
    case door::ErrorKind::kInvalid:
      return absl::StatusCode::kInvalidArgument;
    case door::ErrorKind::kNotFound:
      return absl::StatusCode::kNotFound;
    case door::ErrorKind::kTooLarge:
      return absl::StatusCode::kOutOfRange;
    case door::ErrorKind::kOverloaded:
      return absl::StatusCode::kResourceExhausted;
    case door::ErrorKind::kUnavailable:
      return absl::StatusCode::kUnavailable;
    case door::ErrorKind::kDeadline:
      return absl::StatusCode::kDeadlineExceeded;
    case door::ErrorKind::kConflict:
      return absl::StatusCode::kAlreadyExists;
    case door::ErrorKind::kDenied:
      return absl::StatusCode::kPermissionDenied;
    case door::ErrorKind::kNone:
    case door::ErrorKind::kInternal:
      break;
  }
  return absl::StatusCode::kUnknown;
}

door::Error error_of(uint64_t tag, const Status& status, int64_t retry_after_ms) {
  door::Error error;
  error.tag = tag;
  error.error_id = error_id(status);
  error.message = message_of(status);
  error.retry_after_ms = retry_after_ms;
  error.kind = kind_of(status);
  error.field = field_of(status);
  return error;
}

Status status_of(const door::Error& error) {
  const Status plain = status_from_wire(error.error_id, error.message);
  const Status status(code_of(error.kind), plain.message());
  return error.field.empty() ? status : with_field(status, error.field);
}

}  // namespace trireme
