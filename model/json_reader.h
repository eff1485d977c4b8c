// Reads numbers and flags out of a JSON object with a range on each; the first thing wrong is kept
// and names the field, the value seen and the value allowed. Absent and null keys give the
// fallback.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/status.h"

namespace trireme {

class JsonReader {
 public:
  // `id` is the error's id; `source` says which file in messages. `object` must outlive the reader.
  JsonReader(const nlohmann::json& object, std::string id, std::string source)
      : object_(object), id_(std::move(id)), source_(std::move(source)) {}

  bool has(const char* key) const {
    const auto found = object_.find(key);
    return found != object_.end() && !found->is_null();
  }

  // Without a fallback the field is required.
  int64_t integer(const char* key, int64_t low, int64_t high);
  int64_t integer(const char* key, int64_t low, int64_t high, int64_t fallback);
  double number(const char* key, double low, double high, double fallback);
  bool boolean(const char* key, bool fallback);
  std::string string(const char* key, const std::string& fallback);

  template <class... Parts>
  void fail(const Parts&... parts) {
    if (status_.ok()) status_ = invalid(id_, source_, ": ", parts...);
  }
  const Status& status() const { return status_; }

 private:
  const nlohmann::json* field(const char* key) const;

  const nlohmann::json& object_;
  std::string id_;
  std::string source_;
  Status status_;
};

// Parses JSON text of bounded depth. TRI-CONF-002: not JSON, not an object, or nested too deeply.
StatusOr<nlohmann::json> parse_json_object(const std::string& text, const std::string& source);

}  // namespace trireme
