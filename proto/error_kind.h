// The kind of an Error and of a FAILED answer, from the code of its Status (base/status.h). Pure
// functions.
#pragma once

#include "base/status.h"
#include "proto/client_messages.h"

namespace trireme {

// kNone for a status that is ok.
door::ErrorKind kind_of(const Status& status);

// The Error that refuses request `tag`: id, message, kind and field of the status.
// `retry_after_ms` 0: the same request would be refused again.
door::Error error_of(uint64_t tag, const Status& status, int64_t retry_after_ms = 0);

// The status of an Error, with its kind and its field.
Status status_of(const door::Error& error);

}  // namespace trireme
