#include "model/json_reader.h"

#include <cmath>

namespace trireme {

namespace {

constexpr size_t kMaxTokenIds = 1024;
constexpr int64_t kMaxTokenId = 1 << 24;

}  // namespace

std::string shown(JsonValue value) {
  constexpr size_t kMaxShownChars = 60;
  std::string text(value.text().substr(0, kMaxShownChars + 1));
  for (char& c : text) {
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  }
  if (text.size() > kMaxShownChars) text = text.substr(0, kMaxShownChars - 3) + "...";
  return text;
}

JsonReader::JsonReader(JsonValue object, std::string id, std::string source)
    : object_(object), id_(std::move(id)), source_(std::move(source)) {
  if (const auto name = object_.duplicate_name()) {
    fail("\"{}\" occurs twice; remove one", name->substr(0, 60));
  }
}

std::optional<JsonValue> JsonReader::field(const char* key) const {
  const auto found = object_.find(key);
  return !found || found->is(JsonValue::Kind::kNull) ? std::nullopt : found;
}

bool JsonReader::is_null(const char* key) const {
  const auto found = object_.find(key);
  return found && found->is(JsonValue::Kind::kNull);
}

int64_t JsonReader::integer(const char* key, int64_t low, int64_t high) {
  if (!has(key)) {
    fail("the field \"{}\" is missing; it must be an integer from {} to {}", key, low, high);
    return low;
  }
  return integer(key, low, high, low);
}

int64_t JsonReader::integer(const char* key, int64_t low, int64_t high, int64_t fallback) {
  const auto value = field(key);
  if (!value) return fallback;
  int64_t number = 0;
  const bool fits = value->is(JsonValue::Kind::kNumber) && value->integer(number);
  if (!fits || number < low || number > high) {
    fail("\"{}\" is {}, allowed are integers from {} to {}", key, shown(*value), low, high);
    return low;
  }
  return number;
}

double JsonReader::number(const char* key, double low, double high, double fallback) {
  const auto value = field(key);
  if (!value) return fallback;
  const double number = value->is(JsonValue::Kind::kNumber) ? value->number() : NAN;
  if (!(number >= low && number <= high)) {
    fail("\"{}\" is {}, allowed are numbers from {:g} to {:g}", key, shown(*value), low, high);
    return low;
  }
  return number;
}

bool JsonReader::boolean(const char* key, bool fallback) {
  const auto value = field(key);
  if (!value) return fallback;
  if (value->is(JsonValue::Kind::kBoolean)) return value->boolean();
  fail("\"{}\" is {}, allowed are true and false", key, shown(*value));
  return fallback;
}

std::string JsonReader::string(const char* key, const std::string& fallback) {
  const auto value = field(key);
  if (!value) return fallback;
  if (value->is(JsonValue::Kind::kString)) return value->string();
  fail("\"{}\" is {}, allowed is a string", key, shown(*value));
  return fallback;
}

std::vector<TokenId> JsonReader::token_ids(const char* key) {
  std::vector<TokenId> ids;
  const auto value = field(key);
  if (!value) return ids;
  const auto add = [&](JsonValue id) -> Status {
    int64_t number = -1;
    const bool fits = id.is(JsonValue::Kind::kNumber) && id.integer(number) && number >= 0 &&
                      number <= kMaxTokenId && ids.size() < kMaxTokenIds;
    if (fits) {
      ids.push_back(static_cast<TokenId>(number));
    } else {
      fail("\"{}\" holds {}, allowed are at most {} token ids", key, shown(id), kMaxTokenIds);
    }
    return status_;
  };
  (void)(value->is(JsonValue::Kind::kArray) ? value->each(add) : add(*value));
  return ids;
}

StatusOr<JsonValue> parse_json_object(const std::string& text, const std::string& source) {
  ASSIGN_OR_RETURN(const JsonValue value, JsonValue::parse(text, "TRI-CONF-002", source));
  if (value.is(JsonValue::Kind::kObject)) return value;
  return invalid("TRI-CONF-002", "{} is not a JSON object; fetch the file again", source);
}

}  // namespace trireme
