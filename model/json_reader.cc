#include "model/json_reader.h"

#include <cmath>

namespace trireme {

namespace {

constexpr int kMaxDepth = 64;  // a published config nests four deep

// A value as it may stand in a one-line message.
std::string shown(const nlohmann::json& value) {
  std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

}  // namespace

const nlohmann::json* JsonReader::field(const char* key) const {
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

int64_t JsonReader::integer(const char* key, int64_t low, int64_t high) {
  if (field(key) == nullptr) {
    fail("the field \"", key, "\" is missing; it must be an integer from ", low, " to ", high);
    return low;
  }
  return integer(key, low, high, low);
}

int64_t JsonReader::integer(const char* key, int64_t low, int64_t high, int64_t fallback) {
  const nlohmann::json* value = field(key);
  if (value == nullptr) return fallback;
  const bool fits = value->is_number_integer() &&
                    (!value->is_number_unsigned() || value->get<uint64_t>() <= uint64_t(INT64_MAX));
  const int64_t number = fits ? value->get<int64_t>() : 0;
  if (!fits || number < low || number > high) {
    fail("\"", key, "\" is ", shown(*value), ", allowed are integers from ", low, " to ", high);
    return low;
  }
  return number;
}

double JsonReader::number(const char* key, double low, double high, double fallback) {
  const nlohmann::json* value = field(key);
  if (value == nullptr) return fallback;
  const double number = value->is_number() ? value->get<double>() : NAN;
  if (!(number >= low && number <= high)) {
    fail("\"", key, "\" is ", shown(*value), ", allowed are numbers from ", low, " to ", high);
    return low;
  }
  return number;
}

bool JsonReader::boolean(const char* key, bool fallback) {
  const nlohmann::json* value = field(key);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  fail("\"", key, "\" is ", shown(*value), ", allowed are true and false");
  return fallback;
}

std::string JsonReader::string(const char* key, const std::string& fallback) {
  const nlohmann::json* value = field(key);
  if (value == nullptr) return fallback;
  if (value->is_string()) return value->get<std::string>();
  fail("\"", key, "\" is ", shown(*value), ", allowed is a string");
  return fallback;
}

StatusOr<nlohmann::json> parse_json_object(const std::string& text, const std::string& source) {
  bool too_deep = false;
  const nlohmann::json::parser_callback_t limit = [&](int depth, auto, nlohmann::json&) {
    too_deep |= depth > kMaxDepth;
    return !too_deep;
  };
  nlohmann::json value = nlohmann::json::parse(text, limit, /*allow_exceptions=*/false);
  if (too_deep) {
    return invalid("TRI-CONF-002",
                   source,
                   " nests deeper than ",
                   kMaxDepth,
                   " levels; it is no file of this kind");
  }
  if (!value.is_object()) {
    return invalid("TRI-CONF-002",
                   source,
                   " is not a JSON object (truncated or damaged?); fetch the file again");
  }
  return value;
}

}  // namespace trireme
