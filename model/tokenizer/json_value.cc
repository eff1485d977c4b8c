#include "model/tokenizer/json_value.h"

#include <charconv>
#include <cstring>

#include "model/tokenizer/json_check.h"
#include "model/tokenizer/unicode.h"

namespace trireme {
namespace {

constexpr size_t kMaxFields = 256;  // of an object that is read field by field

const char* skip_space(const char* at) {
  while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t') ++at;
  return at;
}

// Past the closing quote of the string that opens at `at`.
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

// Appends what the escape after the backslash at `at` stands for; returns the byte past it.
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

StatusOr<JsonValue> JsonValue::parse(std::string_view text) {
  RETURN_IF_ERROR(check_json(text));
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

double JsonValue::number() const {
  double out = 0;
  std::from_chars(at_, end_, out);
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

StatusOr<JsonFields> JsonFields::read(JsonValue value, std::string where) {
  JsonFields fields(std::move(where));
  if (!value.is(JsonValue::Kind::kObject)) {
    return invalid("TRI-TOK-003", "tokenizer field ", fields.where_, " must be an object");
  }
  RETURN_IF_ERROR(value.each_member([&](std::string_view name, JsonValue member) -> Status {
    if (fields.members_.size() == kMaxFields) {
      return invalid("TRI-TOK-003",
                     "tokenizer field ",
                     fields.where_,
                     " has more than ",
                     kMaxFields,
                     " members");
    }
    for (const auto& known : fields.members_) {
      if (known.first == name) {
        return invalid("TRI-TOK-003",
                       "tokenizer field ",
                       fields.where_,
                       ".",
                       name,
                       " stands twice; remove one");
      }
    }
    fields.members_.emplace_back(std::string(name), member);
    return ok_status();
  }));
  return fields;
}

const JsonValue* JsonFields::find(std::string_view name) const {
  for (const auto& member : members_) {
    if (member.first == name)
      return member.second.is(JsonValue::Kind::kNull) ? nullptr : &member.second;
  }
  return nullptr;
}

StatusOr<JsonValue> JsonFields::at(std::string_view name) const {
  if (const JsonValue* value = find(name)) return *value;
  return wrong(name, "present");
}

StatusOr<std::string> JsonFields::string(std::string_view name) const {
  const JsonValue* value = find(name);
  if (!value || !value->is(JsonValue::Kind::kString)) return wrong(name, "a string");
  return value->string();
}

StatusOr<std::string> JsonFields::string_or(std::string_view name, std::string fallback) const {
  return find(name) ? string(name) : StatusOr<std::string>(std::move(fallback));
}

StatusOr<bool> JsonFields::boolean_or(std::string_view name, bool fallback) const {
  return find(name) ? boolean(name) : StatusOr<bool>(fallback);
}

StatusOr<bool> JsonFields::boolean(std::string_view name) const {
  const JsonValue* value = find(name);
  if (!value || !value->is(JsonValue::Kind::kBoolean)) return wrong(name, "true or false");
  return value->boolean();
}

StatusOr<int64_t> JsonFields::integer(std::string_view name) const {
  const JsonValue* value = find(name);
  int64_t number = 0;
  if (!value || !value->is(JsonValue::Kind::kNumber) || !value->integer(number)) {
    return wrong(name, "an integer");
  }
  return number;
}

Status JsonFields::wrong(std::string_view name, std::string_view wanted) const {
  return invalid("TRI-TOK-003", "tokenizer field ", where_, ".", name, " must be ", wanted);
}

}  // namespace trireme
