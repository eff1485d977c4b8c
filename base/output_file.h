// Outputs of long work are tried before it begins: a wrong path is an error at once, not after the
// work. No state, any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace trireme {

// Opens `path` for writing and closes it again: an existing file keeps its content, and a new one
// is removed. The error has the id `id` and names the path as `subject` ("the trace").
Status check_writable(const std::string& path, const char* id, std::string_view subject);

}  // namespace trireme
