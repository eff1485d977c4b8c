#include "clients/cli/json_lines.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/text.h"

namespace trireme {

namespace {

constexpr size_t kMaxBytes = size_t{1} << 30;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

struct CloseFile {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

}  // namespace

StatusOr<std::string> read_all(const std::string& path) {
  const std::unique_ptr<std::FILE, CloseFile> file(path == "-" ? stdin
                                                               : std::fopen(path.c_str(), "rb"));
  if (!file) {
    return invalid("TRI-RUN-001", "cannot open {}: {}", path, std::strerror(errno));
  }
  std::string text;
  char buffer[1 << 16];
  size_t count = 0;
  while ((count = std::fread(buffer, 1, sizeof buffer, file.get())) > 0) {
    text.append(buffer, count);
    if (text.size() > kMaxBytes) {
      return invalid("TRI-RUN-002", "{} is longer than 1 GiB; split it", path);
    }
  }
  if (std::ferror(file.get()) != 0) {
    return invalid("TRI-RUN-001", "cannot read {}: {}", path, std::strerror(errno));
  }
  return text;
}

StatusOr<std::vector<NumberedLine>> read_lines(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, read_all(path));
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  std::vector<NumberedLine> lines;
  int64_t number = 0;
  for (std::string& line : split(text, '\n')) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    lines.push_back({number, std::move(line)});
  }
  return lines;
}

}  // namespace trireme
