#include "base/json_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/utf8.h"

namespace trireme {
namespace {

const char* skip_space(const char* at) {
  while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t') ++at;
  return at;
}

// The byte after the closing quote of the string that opens at `at`. A quote after an odd number of
// backslashes is part of the string.
const char* skip_string(const char* at, const char* end) {
  const char* const opening = at;
  while (true) {
    ++at;
    at = static_cast<const char*>(std::memchr(at, '"', static_cast<size_t>(end - at)));
    const char* before = at;
    while (before - 1 != opening && before[-1] == '\\') --before;
    if ((at - before) % 2 == 0) return at + 1;
  }
}

const char* skip_value(const char* at, const char* end) {
  int depth = 0;
  do {
    switch (*at) {
      case '"':
        at = skip_string(at, end);
        break;
      case '{':
      case '[':
        ++depth;
        ++at;
        break;
      case '}':
      case ']':
        --depth;
        ++at;
        break;
      case ',':
      case ':':
      case ' ':
      case '\n':
      case '\r':
      case '\t':
        ++at;
        break;
      default:
        while (at != end && (std::strchr("+-.", *at) || (*at >= '0' && *at <= '9') ||
                             (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z'))) {
          ++at;
        }
    }
  } while (depth > 0);
  return at;
}

int read_hex4(const char* at) {
  int unit = 0;
  std::from_chars(at, at + 4, unit, 16);
  return unit;
}

// Appends the character of the escape whose backslash is at `at`; returns the byte after the
// escape.
const char* append_escape(const char* at, std::string& out) {
  switch (at[1]) {
    case 'b':
      out += '\b';
      break;
    case 'f':
      out += '\f';
      break;
    case 'n':
      out += '\n';
      break;
    case 'r':
      out += '\r';
      break;
    case 't':
      out += '\t';
      break;
    case 'u': {
      const char32_t code = read_hex4(at + 2);
      const bool high = code >= 0xD800 && code <= 0xDBFF;
      const bool escape_follows = at[6] == '\\' && at[7] == 'u';
      const char32_t low = high && escape_follows ? read_hex4(at + 8) : 0;
      if (low >= 0xDC00 && low <= 0xDFFF) {
        append_utf8(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00), out);
        return at + 12;
      }
      if (code >= 0xD800 && code <= 0xDFFF) {
        out += kReplacementCharacter;
      } else {
        append_utf8(code, out);
      }
      return at + 6;
    }
    default:
      out += at[1];
  }
  return at + 2;
}

}  // namespace

StatusOr<JsonValue> JsonValue::parse(std::string_view text,
                                     const char* id,
                                     std::string_view subject,
                                     JsonNumbers numbers,
                                     std::string_view remedy) {
  RETURN_IF_ERROR(check_json(text, id, subject, numbers, remedy));
  return JsonValue(skip_space(text.data()), text.data() + text.size());
}

JsonValue::Kind JsonValue::kind() const {
  switch (*at_) {
    case 'n':
      return Kind::kNull;
    case 't':
    case 'f':
      return Kind::kBoolean;
    case '"':
      return Kind::kString;
    case '[':
      return Kind::kArray;
    case '{':
      return Kind::kObject;
    default:
      return Kind::kNumber;
  }
}

bool JsonValue::boolean() const { return *at_ == 't'; }

std::string JsonValue::string() const {
  std::string out;
  append_string(out);
  return out;
}

void JsonValue::append_string(std::string& out) const {
  const char* at = at_ + 1;
  while (*at != '"') {
    const char* from = at;
    while (*at != '"' && *at != '\\') ++at;
    out.append(from, at);
    if (*at == '\\') at = append_escape(at, out);
  }
}

// from_chars() also reads the words NaN, Infinity and -Infinity. It leaves `out` alone where a
// number is beyond a double; strtod() gives infinity or 0 there, as Python does.
double JsonValue::number() const {
  double out = 0;
  const auto result = std::from_chars(at_, end_, out);
  if (result.ec == std::errc::result_out_of_range) {
    return std::strtod(std::string(at_, result.ptr).c_str(), nullptr);
  }
  return out;
}

bool JsonValue::integer(int64_t& out) const {
  const auto result = std::from_chars(at_, end_, out);
  if (result.ec != std::errc()) return false;
  return result.ptr == end_ || !std::strchr(".eE", *result.ptr);
}

Status JsonValue::each(const std::function<Status(JsonValue)>& visit) const {
  const char* at = skip_space(at_ + 1);
  while (*at != ']') {
    RETURN_IF_ERROR(visit(JsonValue(at, end_)));
    at = skip_space(skip_value(at, end_));
    if (*at == ',') at = skip_space(at + 1);
  }
  return ok_status();
}

Status JsonValue::each_member(
    const std::function<Status(std::string_view, JsonValue)>& visit) const {
  std::string key;
  const char* at = skip_space(at_ + 1);
  while (*at != '}') {
    key.clear();
    JsonValue(at, end_).append_string(key);
    at = skip_space(skip_string(at, end_));
    at = skip_space(at + 1);
    RETURN_IF_ERROR(visit(key, JsonValue(at, end_)));
    at = skip_space(skip_value(at, end_));
    if (*at == ',') at = skip_space(at + 1);
  }
  return ok_status();
}

Status JsonValue::each_last_member(
    const std::function<Status(std::string_view, JsonValue)>& visit) const {
  std::vector<const char*> names = name_positions();
  std::ranges::sort(names, [this](const char* one, const char* other) {
    const std::string name = string_at(one);
    const std::string other_name = string_at(other);
    return name != other_name ? name < other_name : one < other;
  });
  size_t kept = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    const bool is_replaced = i + 1 < names.size() && string_at(names[i]) == string_at(names[i + 1]);
    if (!is_replaced) names[kept++] = names[i];
  }
  names.resize(kept);
  std::ranges::sort(names);
  for (const char* at : names) {
    const char* value = skip_space(skip_space(skip_string(at, end_)) + 1);
    RETURN_IF_ERROR(visit(string_at(at), JsonValue(value, end_)));
  }
  return ok_status();
}

std::optional<JsonValue> JsonValue::first() const {
  const char* at = skip_space(at_ + 1);
  if (*at == ']') return std::nullopt;
  return JsonValue(at, end_);
}

size_t JsonValue::count() const {
  const bool is_object = *at_ == '{';
  size_t count = 0;
  const char* at = skip_space(at_ + 1);
  while (*at != ']' && *at != '}') {
    ++count;
    if (is_object) at = skip_space(skip_space(skip_string(at, end_)) + 1);
    at = skip_space(skip_value(at, end_));
    if (*at == ',') at = skip_space(at + 1);
  }
  return count;
}

std::optional<JsonValue> JsonValue::find(std::string_view name) const {
  std::optional<JsonValue> found;
  (void)each_member([&](std::string_view key, JsonValue value) -> Status {
    if (key == name) found = value;
    return ok_status();
  });
  return found;
}

// Positions, not copies of the names: a hostile object has millions of them.
std::vector<const char*> JsonValue::name_positions() const {
  std::vector<const char*> names;
  names.reserve(count());
  const char* at = skip_space(at_ + 1);
  while (*at != '}') {
    names.push_back(at);
    at = skip_space(skip_space(skip_string(at, end_)) + 1);
    at = skip_space(skip_value(at, end_));
    if (*at == ',') at = skip_space(at + 1);
  }
  return names;
}

std::optional<std::string> JsonValue::duplicate_name() const {
  std::vector<const char*> names = name_positions();
  const auto name_at = [this](const char* place) { return string_at(place); };
  std::ranges::sort(names, {}, name_at);
  const auto twice = std::ranges::adjacent_find(names, {}, name_at);
  if (twice == names.end()) return std::nullopt;
  return string_at(*twice);
}

std::string_view JsonValue::text() const {
  return {at_, static_cast<size_t>(skip_value(at_, end_) - at_)};
}

bool is_off(JsonValue value) {
  switch (value.kind()) {
    case JsonValue::Kind::kNull:
      return true;
    case JsonValue::Kind::kBoolean:
      return !value.boolean();
    case JsonValue::Kind::kNumber:
      return value.number() == 0;
    case JsonValue::Kind::kString:
      return value.text() == "\"\"";
    case JsonValue::Kind::kArray:
    case JsonValue::Kind::kObject:
      return value.count() == 0;
  }
  return false;
}

std::optional<int64_t> integral(JsonValue value) {
  constexpr double kMaxExact = 9007199254740992;  // 2^53
  if (!value.is(JsonValue::Kind::kNumber)) return std::nullopt;
  int64_t integer = 0;
  if (value.integer(integer)) return integer;
  const double number = value.number();
  if (!(std::abs(number) <= kMaxExact) || number != std::trunc(number)) return std::nullopt;
  return static_cast<int64_t>(number);
}

}  // namespace trireme
