#include "model/tokenizer/tokenizer_text.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/handle.h"
#include "model/file_text.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

Status not_read(const std::string& path, const std::string& cause) {
  return invalid(
      "TRI-TOK-001", "cannot read {}: {}; check the path and its permissions", path, cause);
}

Status check_kind(const std::string& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return ok_status();
  if (fs::is_directory(path, error)) return not_read(path, "it is a folder");
  if (is_broken_link(path)) {
    return not_read(path,
                    format_text("it is a link that leads nowhere (an interrupted download): {}",
                                fs::read_symlink(path, error).string()));
  }
  if (fs::exists(fs::status(path, error))) return not_read(path, "it is not a regular file");
  return not_read(path, error ? error.message() : "No such file or directory");
}

}  // namespace

StatusOr<std::string> read_tokenizer_text(const std::string& path, size_t max_bytes) {
  RETURN_IF_ERROR(check_kind(path));
  const Handle<std::FILE*, std::fclose> file(std::fopen(path.c_str(), "rb"));
  const auto failed = [&] { return not_read(path, std::strerror(errno)); };
  if (!file || std::fseek(file.get(), 0, SEEK_END) != 0) return failed();
  const long size = std::ftell(file.get());
  if (size < 0 || std::fseek(file.get(), 0, SEEK_SET) != 0) return failed();
  if (static_cast<size_t>(size) > max_bytes) {
    return invalid(
        "TRI-TOK-013", "{} has {} bytes; at most {} are supported", path, size, max_bytes);
  }
  std::string text(size, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get())) return failed();
  if (text.empty()) return invalid("TRI-TOK-002", "{} is empty; fetch the file again", path);
  RETURN_IF_ERROR(check_plain_text(text.substr(0, 256), path, "TRI-TOK-002"));
  return text;
}

Status in_file(const std::string& path, const Status& status) {
  if (status.ok()) return status;
  return invalid(error_id(status), "{}: {}", path, message_without_id(status));
}

}  // namespace trireme
