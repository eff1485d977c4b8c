#include "model/json_reader.h"

#include <cmath>

#include "model/file_text.h"

namespace trireme {

namespace {

constexpr size_t kMaxTokenIds = 1024;
constexpr int64_t kMaxTokenId = 1 << 24;

}  // namespace

std::string shown(JsonValue value) {
  constexpr size_t kMaxShownChars = 60;
  std::string text;
  for (char c : value.text()) {  // a run of white space is one space
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
    if (c != ' ' || !text.ends_with(' ')) text += c;
    if (text.size() > kMaxShownChars) break;
  }
  if (text.size() > kMaxShownChars) text = text.substr(0, kMaxShownChars - 3) + "...";
  return text;
}

std::string string_of(std::optional<JsonValue> value) {
  return value && value->is(JsonValue::Kind::kString) ? value->string() : "";
}

bool is_number(JsonValue value, double expected) {
  constexpr double kFloat32Rounding = 6e-8;
  return value.is(JsonValue::Kind::kNumber) &&
         std::abs(value.number() - expected) <= kFloat32Rounding * std::abs(expected);
}

JsonReader::JsonReader(JsonValue object, std::string id, std::string source)
    : object_(object), id_(std::move(id)), source_(std::move(source)) {}

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
  const auto number = integral(*value);
  if (!number || *number < low || *number > high) {
    fail("\"{}\" is {}, allowed are integers from {} to {}", key, shown(*value), low, high);
    return low;
  }
  return *number;
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
    const auto number = integral(id);
    if (number && *number >= 0 && *number <= kMaxTokenId && ids.size() < kMaxTokenIds) {
      ids.push_back(static_cast<TokenId>(*number));
    } else {
      fail("\"{}\" holds {}, allowed are at most {} token ids from 0 to {}",
           key,
           shown(id),
           kMaxTokenIds,
           kMaxTokenId);
    }
    return ok_status();
  };
  (void)(value->is(JsonValue::Kind::kArray) ? value->each(add) : add(*value));
  return ids;
}

StatusOr<JsonValue> parse_json_object(const std::string& text, const std::string& source) {
  constexpr char kId[] = "TRI-CONF-002";
  RETURN_IF_ERROR(check_plain_text(text, source, kId));
  ASSIGN_OR_RETURN(const JsonValue value,
                   JsonValue::parse(text, kId, source, JsonNumbers::kPython));
  if (value.is(JsonValue::Kind::kObject)) return value;
  return invalid(kId, "{} is not a JSON object; fetch the file again", source);
}

}  // namespace trireme
