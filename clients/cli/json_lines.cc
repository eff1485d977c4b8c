#include "clients/cli/json_lines.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/json_value.h"
#include "base/text.h"
#include "base/utf8.h"
#include "clients/cli/request_numbers.h"

namespace trireme {

namespace {

constexpr size_t kMaxBytes = size_t{1} << 30;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

struct CloseFile {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

using Json = nlohmann::ordered_json;

// Json::parse() refuses a text with a number beyond a double. The depth is that of check_json(). Of
// two members of one name the last one counts.
Json json_of(const JsonValue& value) {
  switch (value.kind()) {
    case JsonValue::Kind::kNull:
      return nullptr;
    case JsonValue::Kind::kBoolean:
      return value.boolean();
    case JsonValue::Kind::kNumber:
      return number_of(std::string(value.text())).value();
    case JsonValue::Kind::kString:
      return value.string();
    case JsonValue::Kind::kArray:
      break;
    case JsonValue::Kind::kObject: {
      Json object = Json::object();
      (void)value.each_member([&](std::string_view name, JsonValue member) {
        object[std::string(name)] = json_of(member);
        return ok_status();
      });
      return object;
    }
  }
  Json array = Json::array();
  (void)value.each([&](JsonValue item) {
    array.push_back(json_of(item));
    return ok_status();
  });
  return array;
}

}  // namespace

StatusOr<Json> parse_json_line(const std::string& line, const char* id, std::string_view remedy) {
  RETURN_IF_ERROR(check_utf8(line, "the line"));
  ASSIGN_OR_RETURN(const JsonValue value,
                   JsonValue::parse(line, id, "the line", JsonNumbers::kAnySize, remedy));
  return json_of(value);
}

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
