// Reads small text files into memory, up to a size limit, and names what is no text of a model:
// broken links, stand-ins of git-lfs and other encodings. Pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace trireme {

// Whether the path is a symbolic link whose target is not there.
bool is_broken_link(const std::string& path);

// Whether there is anything at the path, be it a link that leads nowhere.
bool is_there(const std::string& path);

// The text of the file. Errors with the id `id`: it cannot be opened, is a folder, a pipe or
// another thing that is not a regular file, is a broken link, or is larger than `max_bytes`.
StatusOr<std::string> read_text_file(const std::string& path,
                                     int64_t max_bytes,
                                     const std::string& id);

// The error with the id `id` about a broken link.
Status broken_link(const std::string& path, const std::string& id);

// An error with the id `id` if the content of the file `path` is the pointer that git-lfs leaves in
// place of a large file, or starts with a byte order mark (UTF-8 or UTF-16); else OK. `text` may be
// the first 256 bytes of the file.
Status check_plain_text(const std::string& text, const std::string& path, const std::string& id);

}  // namespace trireme
