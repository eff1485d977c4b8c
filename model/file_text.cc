#include "model/file_text.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace trireme {

bool is_broken_link(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_symlink(path, error) && !std::filesystem::exists(path, error);
}

bool is_there(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(std::filesystem::symlink_status(path, error));
}

StatusOr<std::string> read_text_file(const std::string& path,
                                     int64_t max_bytes,
                                     const std::string& id) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (std::filesystem::is_directory(status)) {
    return invalid(id, "cannot read {}: it is a folder; name the file", path);
  }
  if (is_broken_link(path)) return broken_link(path, id);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    return invalid(id, "cannot read {}: it is not a regular file; name the file", path);
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

Status broken_link(const std::string& path, const std::string& id) {
  std::error_code error;
  return invalid(id,
                 "{} is a link to {}, which is not there; fetch the model again, or copy the file "
                 "that the link stands for",
                 path,
                 std::filesystem::read_symlink(path, error).string());
}

Status check_plain_text(const std::string& text, const std::string& path, const std::string& id) {
  // Both addresses that pointers have had (git-lfs specification, "version").
  for (const char* start : {"version https://git-lfs.github.com/", "version https://hawser."}) {
    if (text.starts_with(start)) {
      return invalid(id,
                     "{} is a git-lfs pointer, a text of a few lines in place of the file; fetch "
                     "the file itself, for example with git lfs pull",
                     path);
    }
  }
  const struct {
    const char* mark;
    const char* encoding;
  } marks[] = {{"\xEF\xBB\xBF", "UTF-8"}, {"\xFF\xFE", "UTF-16"}, {"\xFE\xFF", "UTF-16"}};
  for (const auto& [mark, encoding] : marks) {
    if (text.starts_with(mark)) {
      return invalid(id,
                     "{} starts with a byte order mark ({}), allowed is UTF-8 without one; save "
                     "the file again without it",
                     path,
                     encoding);
    }
  }
  return ok_status();
}

}  // namespace trireme
