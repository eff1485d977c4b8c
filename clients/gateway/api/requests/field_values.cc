#include "clients/gateway/api/requests/field_values.h"

#include <algorithm>

#include "base/text.h"
#include "base/utf8.h"
#include "model/sampling_ranges.h"

namespace trireme::gateway {
namespace {

constexpr size_t kShownBytes = 60;
using Kind = JsonValue::Kind;

Status too_many(std::string_view name, size_t count, size_t maximum) {
  return invalid("TRI-HTTP-028",
                 "{} has {} elements or more, at most {} are allowed; send fewer",
                 name,
                 count,
                 maximum);
}

}  // namespace

std::string shown(JsonValue value) {
  const std::string_view text = value.text();
  if (text.size() <= kShownBytes) return std::string(text);
  return std::string(utf8_head(text, kShownBytes)) + "...";
}

Status wrong_value(std::string_view name, JsonValue value, std::string_view wanted) {
  return invalid(
      "TRI-HTTP-023", "{} is {}, it has to be {}; correct it", name, shown(value), wanted);
}

Status wrong_item(const RequestDraft& draft, JsonValue value, std::string_view wanted) {
  return invalid(
      "TRI-HTTP-029", "{} is {}, it has to be {}; correct it", draft.param, shown(value), wanted);
}

std::string text_of(const std::optional<JsonValue>& value) {
  return value && value->is(Kind::kString) ? value->string() : std::string();
}

std::string type_of(JsonValue value) {
  return value.is(Kind::kObject) ? text_of(value.find("type")) : std::string();
}

Status read_text(const FieldValue& field, std::string& out) {
  if (!field.value.is(Kind::kString)) return wrong_value(field.name, field.value, "a string");
  out = field.value.string();
  return ok_status();
}

Status read_flag(const FieldValue& field, bool& out) {
  if (!field.value.is(Kind::kBoolean)) {
    return wrong_value(field.name, field.value, "true or false");
  }
  out = field.value.boolean();
  return ok_status();
}

Status read_flag(const FieldValue& field, std::optional<bool>& out) {
  bool flag = false;
  RETURN_IF_ERROR(read_flag(field, flag));
  out = flag;
  return ok_status();
}

Status check_object(const FieldValue& field) {
  if (field.value.is(Kind::kObject)) return ok_status();
  return wrong_value(field.name, field.value, "an object");
}

Status check_array(const FieldValue& field, size_t maximum) {
  if (!field.value.is(Kind::kArray)) return wrong_value(field.name, field.value, "an array");
  const size_t count = field.value.count();
  return count > maximum ? too_many(field.name, count, maximum) : ok_status();
}

Status each_element(const FieldValue& field,
                    size_t maximum,
                    const std::function<Status(JsonValue)>& visit) {
  if (!field.value.is(Kind::kArray)) return wrong_value(field.name, field.value, "an array");
  size_t count = 0;
  return field.value.each([&](JsonValue element) -> Status {
    return ++count > maximum ? too_many(field.name, count, maximum) : visit(element);
  });
}

Status read_token_ids(const FieldValue& field, size_t maximum, std::vector<TokenId>& out) {
  RETURN_IF_ERROR(check_array(field, maximum));
  const NumberRange& range = sampling_range("token id");
  return field.value.each([&](JsonValue element) -> Status {
    const std::optional<int64_t> id = integral(element);
    if (!id) return wrong_value(field.name, element, "a list of token ids");
    if (!range.holds(static_cast<double>(*id))) {
      return out_of_range(field.name, shown(element), range.allowed);
    }
    out.push_back(static_cast<TokenId>(*id));
    return ok_status();
  });
}

Status read_texts(const FieldValue& field, size_t maximum, std::vector<std::string>& out) {
  if (field.value.is(Kind::kString)) {
    out.push_back(field.value.string());
    return ok_status();
  }
  if (!field.value.is(Kind::kArray)) {
    return wrong_value(field.name, field.value, "a string or a list of strings");
  }
  RETURN_IF_ERROR(check_array(field, maximum));
  return field.value.each([&](JsonValue element) -> Status {
    if (!element.is(Kind::kString)) {
      return wrong_value(field.name, element, "a string or a list of strings");
    }
    out.push_back(element.string());
    return ok_status();
  });
}

Status read_number(const FieldValue& field, std::string_view range, std::optional<float>& out) {
  if (!field.value.is(Kind::kNumber)) return wrong_value(field.name, field.value, "a number");
  const NumberRange& allowed = sampling_range(range);
  const double number = field.value.number();
  if (!allowed.holds(number)) {
    return out_of_range(field.name, shown(field.value), allowed.allowed);
  }
  out = static_cast<float>(number);
  return ok_status();
}

Status read_number(const FieldValue& field, std::string_view range, std::optional<int32_t>& out) {
  const std::optional<int64_t> number = integral(field.value);
  if (!number) return wrong_value(field.name, field.value, "a whole number");
  const NumberRange& allowed = sampling_range(range);
  if (!allowed.holds(static_cast<double>(*number))) {
    return out_of_range(field.name, shown(field.value), allowed.allowed);
  }
  out = static_cast<int32_t>(*number);
  return ok_status();
}

Status read_members(const FieldValue& field,
                    std::initializer_list<MemberReader> readers,
                    RequestDraft& draft) {
  RETURN_IF_ERROR(check_object(field));
  return field.value.each_member([&](std::string_view key, JsonValue value) -> Status {
    if (value.is(Kind::kNull)) return ok_status();
    const std::string name = format_text("{}.{}", field.name, key);
    const auto* reader = std::ranges::find(readers, key, &MemberReader::name);
    if (reader != readers.end()) return reader->read({name, value}, draft);
    add_warning(name, draft);
    return ok_status();
  });
}

Status read_word(const FieldValue& field, const std::vector<std::string>& words, std::string& out) {
  std::string word = text_of(field.value);
  if (std::ranges::find(words, word) == words.end()) {
    return wrong_value(field.name, field.value, join_choices(words));
  }
  out = std::move(word);
  return ok_status();
}

}  // namespace trireme::gateway
