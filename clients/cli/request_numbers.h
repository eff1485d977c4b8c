// Numbers of a request, from a flag or from a field of a JSON line: whole numbers may be written as
// 8 or 8.0, and a number out of range is refused with the range of model/sampling_ranges.h. Pure
// functions.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "model/token.h"

namespace trireme {

// Reads the number of the sampling field `field`. `type_id`: what is no number, or not a whole one
// where that is needed. TRI-REQ-001: out of range.
Status read_number(std::string_view field,
                   const nlohmann::ordered_json& value,
                   const char* type_id,
                   std::optional<int32_t>& target);
Status read_number(std::string_view field,
                   const nlohmann::ordered_json& value,
                   const char* type_id,
                   std::optional<uint64_t>& target);
Status read_number(std::string_view field,
                   const nlohmann::ordered_json& value,
                   const char* type_id,
                   std::optional<float>& target);

// A token id within the list or object `field`; the vocabulary is checked later.
StatusOr<TokenId> read_token_id(std::string_view field,
                                const nlohmann::ordered_json& value,
                                const char* type_id);

// The number that a text is: "8", "1.5", "nan". TRI-ARGS-003: it is none.
StatusOr<nlohmann::ordered_json> number_of(const std::string& text);

// A value as a message shows it, cut to 60 bytes.
std::string shown(const nlohmann::ordered_json& value);

// An error with the id `type_id`: "FIELD is VALUE, it has to be WANTED".
Status wrong_type(std::string_view field,
                  const nlohmann::ordered_json& value,
                  const char* type_id,
                  const char* wanted);

}  // namespace trireme
