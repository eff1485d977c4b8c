#include "base/config_file.h"

#include <toml++/toml.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/utf8.h"

namespace trireme {
namespace {

std::string text_of(const toml::node& node) {
  if (const auto value = node.value<std::string>(); value && node.is_string()) return *value;
  if (node.is_array()) {
    std::vector<std::string> parts;
    for (const toml::node& item : *node.as_array()) parts.push_back(text_of(item));
    return join(parts, ",");
  }
  std::ostringstream text;
  text << toml::node_view<const toml::node>(node);
  return text.str();
}

StatusOr<std::string> read_text(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return invalid("TRI-ARGS-004", "--config {} is a folder; name a TOML file", path);
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (file) return text.str();
  return invalid("TRI-ARGS-004", "--config {} cannot be read; check the path", path);
}

std::string line_of(const std::string& text, size_t number) {
  const std::vector<std::string> lines = split(text, '\n');
  return number > 0 && number <= lines.size() ? lines[number - 1] : std::string();
}

// The distribution's build of toml++ throws: no exception leaves this function, and the library's
// words stay inside.
StatusOr<toml::table> parse_toml(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, read_text(path));
  RETURN_IF_ERROR(check_utf8(text, format_text("--config {}", path)));
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& failure) {
    const size_t line = failure.source().begin.line;
    return invalid("TRI-ARGS-004",
                   "--config {} line {} is not TOML: {}; write KEY = VALUE, and texts in quotes",
                   path,
                   line,
                   utf8_head(line_of(text, line), 60));
  }
}

}  // namespace

StatusOr<std::vector<ConfigEntry>> read_config_file(const std::string& path) {
  const StatusOr<toml::table> parsed = parse_toml(path);
  if (!parsed.ok()) return parsed.status();
  std::vector<ConfigEntry> entries;
  for (const auto& [key, node] : *parsed) {
    ConfigEntry entry;
    entry.key = std::string(key.str());
    if (const toml::array* items = node.as_array()) {
      for (const toml::node& item : *items) entry.values.push_back(text_of(item));
    } else {
      entry.values.push_back(text_of(node));
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace trireme
