// A JSON text checked whole once, then read in place: a value is a position in the text, nothing is
// copied before it is asked for. Used while loading a tokenizer.json, by one thread.
// Invariant: a JsonValue stands at the first byte of a value of a text that passed parse(), so
// walking it cannot fail; only kinds and ranges are left to check.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace trireme {

class JsonValue {
 public:
  enum class Kind { kNull, kBoolean, kNumber, kString, kArray, kObject };

  // Strict RFC 8259, UTF-8 without a byte order mark, at most 64 levels. Error: TRI-TOK-002.
  static StatusOr<JsonValue> parse(std::string_view text);

  Kind kind() const;
  bool is(Kind kind) const { return this->kind() == kind; }

  // These ask for a kind that the caller has checked.
  bool boolean() const;
  std::string string() const;
  void append_string(std::string& out) const;
  double number() const;
  // False if the number is no integer of 64 bits.
  bool integer(int64_t& out) const;

  // Calls `visit` for every element or member until it fails; keys arrive unescaped.
  Status each(const std::function<Status(JsonValue)>& visit) const;
  Status each_member(const std::function<Status(std::string_view, JsonValue)>& visit) const;
  size_t count() const;

 private:
  JsonValue(const char* at, const char* end) : at_(at), end_(end) {}
  const char* at_;
  const char* end_;  // of the whole text
};

// An object of few members with distinct names, read field by field. `where` names it in errors
// (TRI-TOK-003), for example "added_tokens[3]".
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

  const std::string& where() const { return where_; }

 private:
  explicit JsonFields(std::string where) : where_(std::move(where)) {}
  Status wrong(std::string_view name, std::string_view wanted) const;

  std::string where_;
  std::vector<std::pair<std::string, JsonValue>> members_;
};

}  // namespace trireme
