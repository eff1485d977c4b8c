// Reads small text files into memory, up to a size limit. Pure function.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace trireme {

// The text of the file. Errors with the id `id`: it cannot be opened, is a folder, or is larger
// than `max_bytes`.
StatusOr<std::string> read_text_file(const std::string& path,
                                     int64_t max_bytes,
                                     const std::string& id);

}  // namespace trireme
