// A JSON text, validated once and then read in place: a value is a position in the text, and
// nothing is copied before the caller requests it. No memory beyond the text. Any thread.
// Invariant: a JsonValue stands at the first byte of a value of a text that passed parse(), so
// walking it cannot fail; the caller checks kinds and ranges only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_check.h"
#include "base/status.h"

namespace trireme {

class JsonValue {
 public:
  enum class Kind { kNull, kBoolean, kNumber, kString, kArray, kObject };

  // The outermost value of `text`, which must outlive it. Errors: those of check_json().
  static StatusOr<JsonValue> parse(std::string_view text,
                                   const char* id,
                                   std::string_view subject,
                                   JsonNumbers numbers = JsonNumbers::kStandard,
                                   std::string_view remedy = kFetchAgain);

  Kind kind() const;
  bool is(Kind kind) const { return this->kind() == kind; }

  // Precondition of these four: the caller has checked the kind.
  bool boolean() const;
  // Half of a surrogate pair (JsonNumbers::kPython) becomes U+FFFD.
  std::string string() const;
  void append_string(std::string& out) const;
  // Infinite in a text that was parsed with kAnySize, infinite or NaN with kPython.
  double number() const;
  // False if the number is not a 64-bit integer.
  bool integer(int64_t& out) const;

  // Calls `visit` for every element or member until it fails; keys arrive unescaped.
  Status each(const std::function<Status(JsonValue)>& visit) const;
  Status each_member(const std::function<Status(std::string_view, JsonValue)>& visit) const;
  // The same without the members that a later one of the same name replaces.
  Status each_last_member(const std::function<Status(std::string_view, JsonValue)>& visit) const;
  size_t count() const;
  // The first element of an array.
  std::optional<JsonValue> first() const;
  // The last member of that name: it counts in Python's json module.
  std::optional<JsonValue> find(std::string_view name) const;
  // A name that two members of this object share, if there is one.
  std::optional<std::string> duplicate_name() const;
  // The value as it is written in the text.
  std::string_view text() const;

 private:
  JsonValue(const char* at, const char* end) : at_(at), end_(end) {}
  // The names of this object's members, in the order of the text.
  std::vector<const char*> name_positions() const;
  std::string string_at(const char* at) const { return JsonValue(at, end_).string(); }

  const char* at_;
  const char* end_;  // of the whole text
};

// Null, false, 0, "", [] or {}: what Python takes for false.
bool is_off(JsonValue value);

// The value of a number without a fraction, at most 2^53 in size; else empty.
std::optional<int64_t> integral(JsonValue value);

}  // namespace trireme
