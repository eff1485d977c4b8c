#include "model/tokenizer/json_fields.h"

namespace trireme {
namespace {

constexpr size_t kMaxFields = 256;  // members of one object; lookups are linear

}  // namespace

StatusOr<JsonFields> JsonFields::read(JsonValue value, std::string where) {
  JsonFields fields(std::move(where));
  if (!value.is(JsonValue::Kind::kObject)) {
    return invalid("TRI-TOK-003", "tokenizer field {} must be an object", fields.where_);
  }
  RETURN_IF_ERROR(value.each_member([&](std::string_view name, JsonValue member) -> Status {
    if (fields.members_.size() == kMaxFields) {
      return invalid(
          "TRI-TOK-003", "tokenizer field {} has more than {} members", fields.where_, kMaxFields);
    }
    for (const auto& known : fields.members_) {
      if (known.first == name) {
        return invalid(
            "TRI-TOK-003", "tokenizer field {}.{} occurs twice; remove one", fields.where_, name);
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

StatusOr<JsonValue> JsonFields::array(std::string_view name) const {
  ASSIGN_OR_RETURN(const JsonValue value, at(name));
  if (!value.is(JsonValue::Kind::kArray)) return wrong(name, "an array");
  return value;
}

Status JsonFields::wrong(std::string_view name, std::string_view wanted) const {
  return invalid("TRI-TOK-003", "tokenizer field {}.{} must be {}", where_, name, wanted);
}

}  // namespace trireme
