// Small text files, whole, with a bound.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace trireme {

// The file's text. Errors carry `id`: it cannot be opened, or is larger than `max_bytes`.
StatusOr<std::string> read_text_file(const std::string& path,
                                     int64_t max_bytes,
                                     const std::string& id);

}  // namespace trireme
