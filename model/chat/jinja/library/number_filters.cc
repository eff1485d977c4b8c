// Filters of numbers.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "base/text.h"
#include "model/chat/jinja/values/characters.h"
#include "model/chat/jinja/values/library.h"
#include "model/chat/jinja/values/numbers.h"
#include "model/chat/jinja/values/operators.h"
#include "model/chat/jinja/values/print.h"

namespace trireme::jinja {

namespace {

std::string_view without_space(std::string_view text) {
  text.remove_prefix(leading_space(text));
  text.remove_suffix(trailing_space(text));
  return text;
}

// The text with its decimal digits in ASCII and without the underscores between digits. Empty: an
// underscore stands elsewhere.
std::optional<std::string> plain_digits(std::string_view text) {
  std::string plain;
  bool after_digit = false;
  for (size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    at += c.length;
    if (c.code == '_') {
      const bool before_digit = at < text.size() && is_alnum(character_at(text, at).code);
      if (!after_digit || !before_digit) return std::nullopt;
      after_digit = false;
      continue;
    }
    after_digit = is_alnum(c.code);
    if (c.code < 0x80) {
      plain += static_cast<char>(c.code);
    } else if (is_decimal(c.code)) {
      char32_t zero = c.code;  // the ten digits of a script follow one another
      while (c.code - zero < 9 && is_decimal(zero - 1)) --zero;
      plain += static_cast<char>('0' + (c.code - zero));
    } else {
      return std::nullopt;
    }
  }
  return plain;
}

// int(text, base). Empty: ValueError.
std::optional<Value> parse_integer(std::string_view text, int64_t base, Origin origin) {
  std::optional<std::string> plain = plain_digits(without_space(text));
  if (!plain || base < 0 || base == 1 || base > 36) return std::nullopt;
  std::string_view digits = *plain;
  bool negative = false;
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) {
    negative = digits[0] == '-';
    digits.remove_prefix(1);
  }
  const char mark =
      digits.size() > 1 && digits[0] == '0' ? static_cast<char>(digits[1] | 0x20) : ' ';
  const int prefix = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
  if (prefix != 0 && (base == 0 || base == prefix)) {
    digits.remove_prefix(2);
    base = prefix;
  } else if (base == 0) {
    base = 10;
    if (digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of('0') != digits.npos) {
      return std::nullopt;
    }
  }
  uint64_t number = 0;
  const char* end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, number, static_cast<int>(base));
  if (digits.empty() || result.ptr != end) return std::nullopt;
  const uint64_t most = static_cast<uint64_t>(INT64_MAX) + (negative ? 1 : 0);
  if (result.ec == std::errc::result_out_of_range || number > most) {
    fail_beyond_64_bits();
  }
  return Value::integer(static_cast<int64_t>(negative ? 0 - number : number), origin);
}

// int(number). Empty: ValueError.
std::optional<Value> truncated(double number, Origin origin) {
  if (std::isnan(number)) return std::nullopt;
  if (std::isinf(number)) fail("OverflowError", "cannot convert float infinity to integer");
  if (std::abs(number) >= 9.2233720368547748e18) {
    fail_beyond_64_bits();
  }
  return Value::integer(static_cast<int64_t>(number), origin);
}

Value to_integer(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_int", args, {"default", "base"});
  const Value otherwise = bound.value_or(0, Value::integer(0));
  if (is_undefined(self)) fail_undefined(runtime, self);
  std::optional<Value> made;
  if (is_string(self)) {
    runtime.step_bytes(text_of(self).size * 8);
    if (bound.has(1) && !is_integer(bound[1])) {
      type_error("'{}' object cannot be interpreted as an integer", type_name(bound[1]));
    }
    const int64_t base = bound.has(1) ? whole_of(bound[1]) : 10;
    made = parse_integer(text_of(self).view(), base, self.origin());
    if (!made) {
      const std::optional<double> number = parse_float(text_of(self).view());
      if (number && !std::isinf(*number)) made = truncated(*number, self.origin());
    }
  } else if (is_integer(self)) {
    made = positive(runtime, self);
  } else if (self.is(Kind::kBigInteger)) {
    made = self;
  } else if (self.is(Kind::kFloat)) {
    made = truncated(float_of(self), self.origin());
  }
  return made.value_or(otherwise);
}

Value to_float(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_float", args, {"default"});
  if (is_undefined(self)) fail_undefined(runtime, self);
  std::optional<double> number;
  if (is_string(self) || self.is(Kind::kBigInteger)) {
    runtime.step_bytes(text_of(self).size * 8);
    number = parse_float(text_of(self).view());
  } else if (is_integer(self)) {
    number = static_cast<double>(whole_of(self));
  } else if (self.is(Kind::kFloat)) {
    number = float_of(self);
  }
  if (number) return Value::number(*number, self.origin());
  return bound.value_or(0, Value::number(0));
}

Value absolute(Runtime& runtime, const Value& self, const Args& args) {
  Bound("abs", args, {});
  if (self.is(Kind::kFloat)) return Value::number(std::abs(float_of(self)), self.origin());
  if (is_integer(self)) return whole_of(self) < 0 ? negate(runtime, self) : positive(runtime, self);
  type_error("bad operand type for abs(): '{}'", type_name(self));
}

// round(whole, -places): half to even.
int64_t round_whole(int64_t whole, int64_t places) {
  if (places > 18) return 0;
  int64_t unit = 1;
  for (int64_t i = 0; i < places; ++i) unit *= 10;
  int64_t quotient = whole / unit;
  const int64_t remainder = std::abs(whole % unit);
  const int64_t half = unit / 2;
  if (remainder > half || (remainder == half && quotient % 2 != 0)) quotient += whole < 0 ? -1 : 1;
  int64_t rounded = 0;
  if (__builtin_mul_overflow(quotient, unit, &rounded)) {
    fail_beyond_64_bits();
  }
  return rounded;
}

Value round_common(const Value& value, int64_t precision) {
  if (is_integer(value)) {
    const int64_t whole = whole_of(value);
    return Value::integer(precision >= 0 ? whole : round_whole(whole, -precision), value.origin());
  }
  if (!value.is(Kind::kFloat)) {
    type_error("type {} doesn't define __round__ method", type_name(value));
  }
  return Value::number(round_float(float_of(value), precision), value.origin());
}

Value round(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_round", args, {"precision", "method"});
  if (bound.has(0) && !is_integer(bound[0])) {
    type_error("'{}' object cannot be interpreted as an integer", type_name(bound[0]));
  }
  const Value precision = bound.value_or(0, Value::integer(0));
  const std::string_view method = bound.has(1) ? bound[1].text() : "common";
  if (method == "common") return round_common(self, whole_of(precision));
  if (method != "ceil" && method != "floor") {
    fail("FilterArgumentError", "method must be common, ceil or floor");
  }
  const Value unit = arithmetic(runtime, Operator::kPower, Value::integer(10), precision);
  const Value scaled = arithmetic(runtime, Operator::kMultiply, self, unit);
  if (!is_integer(scaled) && !scaled.is(Kind::kFloat)) {
    type_error("must be real number, not {}", type_name(scaled));
  }
  Value whole = scaled;
  if (scaled.is(Kind::kFloat)) {
    const double number = float_of(scaled);
    const std::optional<Value> made =
        truncated(method == "ceil" ? std::ceil(number) : std::floor(number), scaled.origin());
    if (!made) fail("ValueError", "cannot convert float NaN to integer");
    whole = *made;
  }
  return arithmetic(runtime, Operator::kDivide, whole, unit);
}

Value file_size(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_filesizeformat", args, {"binary"});
  if (is_undefined(self)) fail_undefined(runtime, self);
  Value size = self;
  if (is_string(self)) {
    const std::optional<double> number = parse_float(text_of(self).view());
    if (!number) value_error("could not convert string to float: {}", repr_text(runtime, self));
    size = Value::number(*number, self.origin());
  }
  if (!is_integer(size) && !size.is(Kind::kFloat)) {
    type_error("float() argument must be a string or a real number, not '{}'", type_name(size));
  }
  const double bytes = size.is(Kind::kFloat) ? float_of(size) : static_cast<double>(whole_of(size));
  const bool binary = is_true(bound, 0);
  const double base = binary ? 1024 : 1000;
  if (bytes == 1) return runtime.string("1 Byte", self.origin());
  if (bytes < base) {
    const std::optional<Value> whole = truncated(bytes, self.origin());
    return runtime.string(format_text("{} Bytes", integer_of(*whole)), self.origin());
  }
  constexpr std::string_view kLetters = "kMGTPEZY";
  double unit = base;
  size_t letter = 0;
  while (letter + 1 < kLetters.size() && bytes >= unit * base) {
    unit *= base;
    ++letter;
  }
  const char prefix = binary && letter == 0 ? 'K' : kLetters[letter];
  char text[64];
  std::snprintf(text, sizeof text, "%.1f %c%s", bytes / unit, prefix, binary ? "iB" : "B");
  return runtime.string(text, self.origin());
}

constexpr NamedFunction kFilters[] = {
    {"abs", absolute},
    {"filesizeformat", file_size},
    {"float", to_float},
    {"int", to_integer},
    {"round", round},
};

}  // namespace

std::optional<double> parse_float(std::string_view text) {
  const std::optional<std::string> plain = plain_digits(without_space(text));
  if (!plain || plain->empty()) return std::nullopt;
  const std::string lower = ascii_lower(*plain);
  std::string_view word = lower;
  const double sign = word[0] == '-' ? -1 : 1;
  if (word[0] == '-' || word[0] == '+') word.remove_prefix(1);
  if (word == "inf" || word == "infinity") return sign * HUGE_VAL;
  if (word == "nan") return std::nan("");
  if (word.empty() || word.find_first_not_of("0123456789.e+-") != word.npos) return std::nullopt;
  double number = 0;
  const char* end = word.data() + word.size();
  const auto result = std::from_chars(word.data(), end, number);
  if (word[0] == '-' || word[0] == '+' || result.ptr != end) return std::nullopt;
  if (result.ec == std::errc::result_out_of_range) number = std::strtod(word.data(), nullptr);
  if (result.ec == std::errc::invalid_argument) return std::nullopt;
  return sign * number;
}

double round_float(double number, int64_t precision) {
  if (!std::isfinite(number) || precision > 323) return number;
  if (precision < -308) return std::copysign(0.0, number);
  if (precision >= 0) {  // printf rounds the exact binary value, half to even
    char text[700];
    std::snprintf(text, sizeof text, "%.*f", static_cast<int>(precision), number);
    return std::strtod(text, nullptr);
  }
  const double unit = std::pow(10.0, static_cast<double>(-precision));
  const double rounded = std::nearbyint(number / unit) * unit;
  if (std::isinf(rounded)) fail("OverflowError", "rounded value too large to represent");
  return rounded;
}

FunctionBody find_number_filter(std::string_view name) {
  for (const NamedFunction& filter : kFilters) {
    if (filter.name == name) return filter.body;
  }
  return nullptr;
}

}  // namespace trireme::jinja
