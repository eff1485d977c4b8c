#include "base/json_value.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/utf8.h"

namespace trireme {
namespace {

const char* skip_space(const char* at) {
  while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t') ++at;
  return at;
}

// The byte after the closing quote of the string that opens at `at`.
const char* skip_string(const char* at) {
  for (++at; *at != '"'; ++at) {
    if (*at == '\\') ++at;
  }
  return at + 1;
}

const char* skip_value(const char* at, const char* end) {
  int depth = 0;
  do {
    switch (*at) {
      case '"':
        at = skip_string(at);
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
      char32_t code = read_hex4(at + 2);
      const bool pair = code >= 0xD800 && code <= 0xDBFF;
      if (pair) code = 0x10000 + ((code - 0xD800) << 10) + (read_hex4(at + 8) - 0xDC00);
      append_utf8(code, out);
      return at + (pair ? 12 : 6);
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
                                     JsonNumbers numbers) {
  RETURN_IF_ERROR(check_json(text, id, subject, numbers));
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
    at = skip_space(skip_string(at));
    at = skip_space(at + 1);
    RETURN_IF_ERROR(visit(key, JsonValue(at, end_)));
    at = skip_space(skip_value(at, end_));
    if (*at == ',') at = skip_space(at + 1);
  }
  return ok_status();
}

size_t JsonValue::count() const {
  const bool is_object = *at_ == '{';
  size_t count = 0;
  const char* at = skip_space(at_ + 1);
  while (*at != ']' && *at != '}') {
    ++count;
    if (is_object) at = skip_space(skip_space(skip_string(at)) + 1);
    at = skip_space(skip_value(at, end_));
    if (*at == ',') at = skip_space(at + 1);
  }
  return count;
}

std::optional<JsonValue> JsonValue::find(std::string_view name) const {
  std::optional<JsonValue> found;
  (void)each_member([&](std::string_view key, JsonValue value) -> Status {
    if (key != name) return ok_status();
    found = value;
    return absl::CancelledError("found");
  });
  return found;
}

// Sorts positions, not copies of the names: a hostile object has millions of them.
std::optional<std::string> JsonValue::duplicate_name() const {
  std::vector<const char*> names;
  names.reserve(count());
  const char* at = skip_space(at_ + 1);
  while (*at != '}') {
    names.push_back(at);
    at = skip_space(skip_space(skip_string(at)) + 1);
    at = skip_space(skip_value(at, end_));
    if (*at == ',') at = skip_space(at + 1);
  }
  const auto name_at = [this](const char* place) { return JsonValue(place, end_).string(); };
  std::ranges::sort(names, {}, name_at);
  const auto twice = std::ranges::adjacent_find(names, {}, name_at);
  if (twice == names.end()) return std::nullopt;
  return name_at(*twice);
}

std::string_view JsonValue::text() const {
  return {at_, static_cast<size_t>(skip_value(at_, end_) - at_)};
}

}  // namespace trireme
