// Reads numbers and flags out of a JSON object with a range on each; the first thing wrong is kept
// and names the field, the value seen and the value allowed. Absent and null keys give the
// fallback. A name that stands twice is wrong.
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
  // `id` is the error's id; `source` says which file in messages. The object's text must outlive
  // the reader.
  JsonReader(JsonValue object, std::string id, std::string source);

  bool has(const char* key) const { return field(key).has_value(); }
  // Null and absent differ for a few fields.
  bool is_null(const char* key) const;
  std::optional<JsonValue> field(const char* key) const;  // nothing if absent or null

  // Without a fallback the field is required.
  int64_t integer(const char* key, int64_t low, int64_t high);
  int64_t integer(const char* key, int64_t low, int64_t high, int64_t fallback);
  double number(const char* key, double low, double high, double fallback);
  bool boolean(const char* key, bool fallback);
  std::string string(const char* key, const std::string& fallback);
  // One id or a list of at most 1,024.
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

// Parses JSON text of bounded depth; `text` outlives the value. TRI-CONF-002: not JSON, not an
// object, or nested too deeply.
StatusOr<JsonValue> parse_json_object(const std::string& text, const std::string& source);

// A value as it may stand in a one-line message.
std::string shown(JsonValue value);

}  // namespace trireme
