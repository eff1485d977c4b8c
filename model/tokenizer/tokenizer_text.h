// The text of a tokenizer's file, and the path of that file in an error. Pure functions.
#pragma once

#include <cstddef>
#include <string>

#include "base/status.h"

namespace trireme {

// Errors: TRI-TOK-001 (missing, a link that leads nowhere, no regular file, unreadable),
// TRI-TOK-013 (longer than `max_bytes`), TRI-TOK-002 (empty, a git-lfs pointer, a byte order mark).
StatusOr<std::string> read_tokenizer_text(const std::string& path, size_t max_bytes);

// Inserts `path` after the id of an error of wrong input.
Status in_file(const std::string& path, const Status& status);

}  // namespace trireme
