#include "base/config_file.h"

#include <toml++/toml.h>

#include <filesystem>
#include <sstream>

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

// The distribution's build of toml++ throws: no exception leaves this function.
StatusOr<toml::table> parse_toml(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return invalid("TRI-ARGS-004", "--config {} is a folder; name a TOML file", path);
  }
  try {
    return toml::parse_file(path);
  } catch (const toml::parse_error& failure) {
    return invalid(
        "TRI-ARGS-004",
        "--config {}: {}{}",
        path,
        std::string(failure.description()),
        failure.source().begin ? format_text(" (line {})", failure.source().begin.line) : "");
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
