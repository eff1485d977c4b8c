#include "model/file_text.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace trireme {

StatusOr<std::string> read_text_file(const std::string& path,
                                     int64_t max_bytes,
                                     const std::string& id) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return invalid(id, "cannot read {}: it is a folder; name the file", path);
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return invalid(
        id, "cannot read {}: {}; check the path and its permissions", path, std::strerror(errno));
  }
  const auto size = static_cast<int64_t>(std::filesystem::file_size(path, error));
  if (error || size > max_bytes) {
    return invalid(id, "{} has {} bytes, allowed are {}", path, size, max_bytes);
  }
  std::string text(size, '\0');
  file.read(text.data(), size);
  text.resize(file.gcount());
  return text;
}

}  // namespace trireme
