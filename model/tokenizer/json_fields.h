// The objects of a tokenizer.json, read by field name. Used by one thread, while loading.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_value.h"
#include "base/status.h"

namespace trireme {

// An object of at most 256 members with distinct names. `where` names it in errors (TRI-TOK-003),
// for example "added_tokens[3]".
class JsonFields {
 public:
  static StatusOr<JsonFields> read(JsonValue value, std::string where);

  // Null if absent or null.
  const JsonValue* find(std::string_view name) const;
  StatusOr<JsonValue> at(std::string_view name) const;
  StatusOr<std::string> string(std::string_view name) const;
  StatusOr<std::string> string_or(std::string_view name, std::string fallback) const;
  StatusOr<bool> boolean(std::string_view name) const;
  StatusOr<bool> boolean_or(std::string_view name, bool fallback) const;
  StatusOr<int64_t> integer(std::string_view name) const;
  StatusOr<JsonValue> array(std::string_view name) const;

  const std::string& where() const { return where_; }

 private:
  explicit JsonFields(std::string where) : where_(std::move(where)) {}
  Status wrong(std::string_view name, std::string_view wanted) const;

  std::string where_;
  std::vector<std::pair<std::string, JsonValue>> members_;
};

}  // namespace trireme
