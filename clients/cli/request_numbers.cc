#include "clients/cli/request_numbers.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/utf8.h"
#include "model/sampling_ranges.h"

namespace trireme {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kAllDigits = 1e21;  // below it a whole number is shown without an exponent

template <class Number>
std::optional<Number> whole_text_as(const std::string& text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A number beyond a double is infinite or 0, as in Python: strtod() gives that, from_chars()
// nothing.
std::optional<double> double_of(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::strtod(text.c_str(), nullptr);
  if (error != std::errc()) return std::nullopt;
  return value;
}

// The value as a double, in range; exact for whole numbers up to 2^53.
StatusOr<double> number_in_range(std::string_view field, const Json& value, const char* type_id) {
  if (!value.is_number()) return wrong_type(field, value, type_id, "a number");
  const NumberRange& range = sampling_range(field);
  const auto number = value.get<double>();
  if (!range.holds(number)) return out_of_range(field, shown(value), range.allowed);
  return number;
}

StatusOr<double> whole_number_in_range(std::string_view field,
                                       const Json& value,
                                       const char* type_id) {
  if (value.is_number_float()) {
    const auto number = value.get<double>();
    if (std::isfinite(number) && std::trunc(number) != number) {
      return wrong_type(field, value, type_id, "a whole number");
    }
  }
  return number_in_range(field, value, type_id);
}

}  // namespace

std::string shown(const Json& value) {
  if (value.is_number_float()) {
    const auto number = value.get<double>();
    const bool all_digits = std::trunc(number) == number && std::abs(number) < kAllDigits;
    return all_digits ? format_text("{:.0f}", number) : format_exactly(number);
  }
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return std::string(utf8_head(text, 60));
}

Status wrong_type(std::string_view field,
                  const Json& value,
                  const char* type_id,
                  const char* wanted) {
  return invalid(type_id, "{} is {}, it has to be {}", field, shown(value), wanted);
}

Status read_number(std::string_view field,
                   const Json& value,
                   const char* type_id,
                   std::optional<int32_t>& target) {
  ASSIGN_OR_RETURN(const double number, whole_number_in_range(field, value, type_id));
  target = static_cast<int32_t>(number);
  return ok_status();
}

Status read_number(std::string_view field,
                   const Json& value,
                   const char* type_id,
                   std::optional<uint64_t>& target) {
  if (value.is_number_unsigned()) {
    target = value.get<uint64_t>();
    return ok_status();
  }
  ASSIGN_OR_RETURN(const double number, whole_number_in_range(field, value, type_id));
  target = static_cast<uint64_t>(number);
  return ok_status();
}

Status read_number(std::string_view field,
                   const Json& value,
                   const char* type_id,
                   std::optional<float>& target) {
  ASSIGN_OR_RETURN(const double number, number_in_range(field, value, type_id));
  target = static_cast<float>(number);
  const NumberRange& range = sampling_range(field);  // 1e-60 is above 0, as a float it is 0
  if (!range.holds(*target)) return out_of_range(field, shown(value), range.allowed);
  return ok_status();
}

StatusOr<TokenId> read_token_id(std::string_view field, const Json& value, const char* type_id) {
  const bool is_whole =
      value.is_number() &&
      (!value.is_number_float() || std::trunc(value.get<double>()) == value.get<double>());
  if (!is_whole) {
    return invalid(type_id, "{} holds {}, allowed are token ids", field, shown(value));
  }
  const NumberRange& range = sampling_range("token id");
  const auto number = value.get<double>();
  if (range.holds(number)) return static_cast<TokenId>(number);
  return invalid(type_id, "{} holds {}, allowed are {}", field, shown(value), range.allowed);
}

StatusOr<Json> number_of(const std::string& text) {
  if (const auto number = whole_text_as<uint64_t>(text)) return Json(*number);
  if (const auto number = whole_text_as<int64_t>(text)) return Json(*number);
  if (const auto number = double_of(text)) return Json(*number);
  const bool has_comma = text.find(',') != std::string::npos;
  return invalid("TRI-ARGS-003",
                 "\"{}\" is not a number{}",
                 text,
                 has_comma ? "; a decimal point is written as ." : "");
}

}  // namespace trireme
