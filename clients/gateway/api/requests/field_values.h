// Readers of single values: each checks kind and range, and names the field in its error. Pure
// functions.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_value.h"
#include "base/status.h"
#include "clients/gateway/api/requests/field_table.h"
#include "model/token.h"

namespace trireme::gateway {

// A value as a message shows it: at most 60 bytes.
std::string shown(JsonValue value);

// TRI-HTTP-023: "temperature is "hot", it has to be a number; correct it".
Status wrong_value(std::string_view name, JsonValue value, std::string_view wanted);

// TRI-HTTP-029: the same of a message, an item or a part of one; draft.param names it.
Status wrong_item(const RequestDraft& draft, JsonValue value, std::string_view wanted);

// Each: TRI-HTTP-023 for another kind of value.
Status read_text(const FieldValue& field, std::string& out);
Status read_flag(const FieldValue& field, bool& out);
Status read_flag(const FieldValue& field, std::optional<bool>& out);
Status check_object(const FieldValue& field);
Status check_array(const FieldValue& field, size_t maximum);  // TRI-HTTP-028: too long
// Visits the elements of an array of at most `maximum`. TRI-HTTP-028: too long.
Status each_element(const FieldValue& field,
                    size_t maximum,
                    const std::function<Status(JsonValue)>& visit);
Status read_token_ids(const FieldValue& field, size_t maximum, std::vector<TokenId>& out);
// One text, or a list of texts.
Status read_texts(const FieldValue& field, size_t maximum, std::vector<std::string>& out);

// Numbers whose range is that of the sampling field `range` (TRI-REQ-001).
Status read_number(const FieldValue& field, std::string_view range, std::optional<float>& out);
Status read_number(const FieldValue& field, std::string_view range, std::optional<int32_t>& out);

struct MemberReader {
  std::string_view name;
  FieldReader read;
};

// Reads the members of an object; null is the same as absent, and a member without a reader is
// named in the warnings. Errors and warnings say "FIELD.MEMBER".
Status read_members(const FieldValue& field,
                    std::initializer_list<MemberReader> readers,
                    RequestDraft& draft);

// One of a few words.
Status read_word(const FieldValue& field, const std::vector<std::string>& words, std::string& out);

// The last values of some members of an object, found in one pass; null is the same as absent.
template <size_t kCount>
std::array<std::optional<JsonValue>, kCount> pick(JsonValue object,
                                                  const std::string_view (&names)[kCount]) {
  std::array<std::optional<JsonValue>, kCount> found;
  (void)object.each_member([&](std::string_view key, JsonValue value) -> Status {
    for (size_t i = 0; i < kCount; ++i) {
      if (key != names[i]) continue;
      found[i].reset();
      if (!value.is(JsonValue::Kind::kNull)) found[i] = value;
    }
    return ok_status();
  });
  return found;
}

// The text of a string, or "".
std::string text_of(const std::optional<JsonValue>& value);
// The text of the member `type` of an object, or "".
std::string type_of(JsonValue value);

}  // namespace trireme::gateway
