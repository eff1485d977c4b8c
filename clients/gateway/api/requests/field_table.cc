#include "clients/gateway/api/requests/field_table.h"

#include <optional>

#include "base/text.h"
#include "clients/gateway/api/requests/field_values.h"

namespace trireme::gateway {
namespace {

constexpr size_t kMaxWarnings = 32;
constexpr size_t kMaxNameBytes = 64;

// A name that may stand in a header: a client chose it.
std::string shown_name(std::string_view name) {
  std::string out(name.substr(0, kMaxNameBytes));
  for (char& byte : out) {
    const bool is_plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                          (byte >= 'A' && byte <= 'Z') || byte == '_' || byte == '-' || byte == '.';
    if (!is_plain) byte = '?';
  }
  return out;
}

Status unknown_field(std::string_view name, const std::vector<const Field*>& fields) {
  std::vector<std::string> names;
  names.reserve(fields.size());
  for (const Field* field : fields) names.emplace_back(field->name);
  const std::string similar = nearest(name.substr(0, kMaxNameBytes), names);
  if (similar.empty()) {
    return invalid("TRI-HTTP-025", "no field is named {}; leave it out", shown_name(name));
  }
  return invalid(
      "TRI-HTTP-025", "no field is named {}; the most similar is {}", shown_name(name), similar);
}

Status read_field(const Field& field, JsonValue value, RequestDraft& draft) {
  draft.param = field.name;
  if (field.read != nullptr) return field.read({field.name, value, field.note}, draft);
  if (field.kind == FieldKind::kRefused) return refused(field.name, field.note);
  add_warning(field.name, draft);
  return ok_status();
}

}  // namespace

Status refused(std::string_view name, std::string_view note) {
  return invalid("TRI-HTTP-024", "the field {} is not supported: {}", name, note);
}

void add_warning(std::string_view name, RequestDraft& draft) {
  if (draft.warnings.size() < kMaxWarnings) draft.warnings.push_back(shown_name(name));
}

std::vector<const Field*> fields_of(Api api) {
  std::vector<const Field*> fields;
  for (const FieldBlock& block : field_blocks(api)) {
    for (const Field& field : block) fields.push_back(&field);
  }
  return fields;
}

Status read_fields(JsonValue body, RequestDraft& draft) {
  const std::vector<const Field*> fields = fields_of(draft.api);
  std::vector<std::optional<JsonValue>> values(fields.size());
  RETURN_IF_ERROR(body.each_member([&](std::string_view name, JsonValue value) -> Status {
    for (size_t i = 0; i < fields.size(); ++i) {
      if (fields[i]->name != name) continue;
      values[i] = value;
      return ok_status();
    }
    if (value.is(JsonValue::Kind::kNull)) return ok_status();
    if (draft.context->strict) {
      draft.param = shown_name(name);
      return unknown_field(name, fields);
    }
    add_warning(name, draft);
    return ok_status();
  }));
  for (size_t i = 0; i < fields.size(); ++i) {
    if (values[i] && !values[i]->is(JsonValue::Kind::kNull)) {
      RETURN_IF_ERROR(read_field(*fields[i], *values[i], draft));
    } else if (fields[i]->is_required) {
      draft.param = fields[i]->name;
      return invalid("TRI-HTTP-022", "the field {} is missing; add it", fields[i]->name);
    }
  }
  draft.param.clear();
  return ok_status();
}

}  // namespace trireme::gateway
