// Reads numbers and flags of a JSON object, each with its allowed range. The first error is kept
// and names the field, the value seen and the value allowed; the caller asks for status() once at
// the end. An absent or null key gives the fallback. Of a key that occurs twice the last counts, as
// in Python. A number with a fraction of zero (4096.0, 1e3) is an integer. Used by one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json_value.h"
#include "base/status.h"
#include "model/token.h"

namespace trireme {

class JsonReader {
 public:
  // `id` is the id of errors; `source` names the file in messages. The text of the object must
  // outlive the reader.
  JsonReader(JsonValue object, std::string id, std::string source);

  bool has(const char* key) const { return field(key).has_value(); }
  // True for null, false for absent: the difference matters for a few fields.
  bool is_null(const char* key) const;
  std::optional<JsonValue> field(const char* key) const;  // empty if absent or null
  JsonValue object() const { return object_; }

  // A field without a fallback is required.
  int64_t integer(const char* key, int64_t low, int64_t high);
  int64_t integer(const char* key, int64_t low, int64_t high, int64_t fallback);
  double number(const char* key, double low, double high, double fallback);
  bool boolean(const char* key, bool fallback);
  std::string string(const char* key, const std::string& fallback);
  // A single id or a list of at most 1,024; after an error, the valid ones.
  std::vector<TokenId> token_ids(const char* key);

  template <class... Args>
  void fail(FormatString<std::type_identity_t<Args>...> format, const Args&... args) {
    if (!status_.ok()) return;
    const std::string text = fmt::vformat(format.checked, fmt::make_format_args(args...));
    status_ = invalid(id_, "{}: {}", source_, text);
  }
  const Status& status() const { return status_; }
  const std::string& source() const { return source_; }

 private:
  JsonValue object_;
  std::string id_;
  std::string source_;
  Status status_;
};

// Parses the JSON text of a configuration file, of bounded depth, as Python reads it
// (base/json_check.h); `text` outlives the value. TRI-CONF-002: not JSON, not an object, nested too
// deeply, a git-lfs pointer, or a byte order mark.
StatusOr<JsonValue> parse_json_object(const std::string& text, const std::string& source);

// The text of a value for a one-line message: at most 60 characters.
std::string shown(JsonValue value);

// The text of a string; "" for anything else.
std::string string_of(std::optional<JsonValue> value);

// The number `expected`, within the rounding of a float32.
bool is_number(JsonValue value, double expected);

}  // namespace trireme
