// The fields of a request as a table: each is honoured, ignored with a warning, or refused by name.
// The reader, the warnings, --strict-api and openapi.json are made from it. Pure functions.
// Invariant: no field of a request is dropped without a word; null is the same as absent.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_value.h"
#include "base/status.h"
#include "clients/gateway/api/requests/request_draft.h"

namespace trireme::gateway {

enum class FieldKind : uint8_t {
  kHonoured,
  kTunes,    // ignored, and named in `trireme-warnings`
  kRefused,  // unless its reader finds a value that changes nothing
};

struct FieldValue {
  std::string_view name;
  JsonValue value;
  std::string_view note = "";  // of the field
};

using FieldReader = Status (*)(const FieldValue& field, RequestDraft& draft);

struct Field {
  std::string_view name;
  FieldKind kind = FieldKind::kHonoured;
  std::string_view schema = "{}";  // JSON Schema of its values
  FieldReader read = nullptr;
  // kRefused: the remedy.
  std::string_view note = "";
  bool is_required = false;
};

using FieldBlock = std::span<const Field>;

// The blocks of an API's table, in the order in which they are read.
std::span<const FieldBlock> field_blocks(Api api);
// The fields of all blocks of an API.
std::vector<const Field*> fields_of(Api api);

// Reads the fields of `body`, an object. TRI-HTTP-022, -023, -024, -025, -028 and those of the
// readers; draft.param then names the field.
Status read_fields(JsonValue body, RequestDraft& draft);

// The refusal of a field, TRI-HTTP-024.
Status refused(std::string_view name, std::string_view note);
// Names an ignored field in the warnings of the answer, which go into a header: other bytes than
// letters, digits, '_', '-' and '.' become '?'.
void add_warning(std::string_view name, RequestDraft& draft);

}  // namespace trireme::gateway
