// A JSON text checked whole once, then read in place: a value is a position in the text, nothing is
// copied before it is asked for. It takes no memory but the text.
// Invariant: a JsonValue stands at the first byte of a value of a text that passed parse(), so
// walking it cannot fail; only kinds and ranges are left to check.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace trireme {

class JsonValue {
 public:
  enum class Kind { kNull, kBoolean, kNumber, kString, kArray, kObject };

  // Checks `text`, which outlives the value (json_check.h); errors have the id `id` and name
  // `subject`.
  static StatusOr<JsonValue> parse(std::string_view text, const char* id, std::string_view subject);

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
  // The first member of that name.
  std::optional<JsonValue> find(std::string_view name) const;
  // A member's name that stands twice in an object, or nothing.
  std::optional<std::string> doubled_name() const;
  // The value as it is written.
  std::string_view text() const;

 private:
  JsonValue(const char* at, const char* end) : at_(at), end_(end) {}
  const char* at_;
  const char* end_;  // of the whole text
};

}  // namespace trireme
