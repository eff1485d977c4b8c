#include "model/chat/jinja/library/number_format.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "model/chat/jinja/values/print.h"

namespace trireme::jinja {

namespace {

constexpr int64_t kMaxPrecision = 1000;

std::string digits_of(uint64_t number, uint32_t base, bool capital) {
  constexpr std::string_view kSmall = "0123456789abcdef";
  constexpr std::string_view kCapital = "0123456789ABCDEF";
  std::string digits;
  do {
    digits += (capital ? kCapital : kSmall)[number % base];
    number /= base;
  } while (number > 0);
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::string sign_text(bool negative, char sign) {
  if (negative) return "-";
  return sign == '+' || sign == ' ' ? std::string(1, sign) : std::string();
}

// Separators between every `every` digits before the point.
std::string grouped(const std::string& digits, char separator, size_t every) {
  const size_t whole = std::min(digits.find_first_not_of("0123456789abcdefABCDEF"), digits.size());
  std::string made;
  for (size_t i = 0; i < whole; ++i) {
    if (i > 0 && (whole - i) % every == 0) made += separator;
    made += digits[i];
  }
  return made + digits.substr(whole);
}

std::string printed(double number, char type, int64_t precision, bool alternate) {
  std::string text(static_cast<size_t>(precision) + 400, '\0');
  const char format[] = {'%',
                         alternate ? '#' : '.',
                         alternate ? '.' : '*',
                         alternate ? '*' : type,
                         alternate ? type : '\0',
                         '\0'};
  const int size =
      std::snprintf(text.data(), text.size(), format, static_cast<int>(precision), number);
  text.resize(static_cast<size_t>(size));
  return text;
}

}  // namespace

NumberText integer_digits(int64_t number, const FormatSpec& spec) {
  const bool negative = number < 0;
  const uint64_t magnitude =
      negative ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
  NumberText made;
  made.prefix = sign_text(negative, spec.sign);
  switch (spec.type) {
    case 'x':
    case 'X':
      made.digits = digits_of(magnitude, 16, spec.type == 'X');
      break;
    case 'o':
      made.digits = digits_of(magnitude, 8, false);
      break;
    case 'b':
      made.digits = digits_of(magnitude, 2, false);
      break;
    default:
      made.digits = digits_of(magnitude, 10, false);
  }
  const bool has_base =
      spec.type == 'x' || spec.type == 'X' || spec.type == 'o' || spec.type == 'b';
  if (spec.alternate && has_base) made.prefix += std::string("0") + spec.type;
  if (spec.group != 0) made.digits = grouped(made.digits, spec.group, has_base ? 4 : 3);
  return made;
}

NumberText float_digits(double number, const FormatSpec& spec) {
  NumberText made;
  made.prefix = sign_text(std::signbit(number) && !std::isnan(number), spec.sign);
  number = std::abs(number);
  const bool capital = spec.type >= 'A' && spec.type <= 'Z';
  if (!std::isfinite(number)) {
    made.digits = std::isnan(number) ? (capital ? "NAN" : "nan") : (capital ? "INF" : "inf");
    if (spec.type == '%') made.digits += "%";
    return made;
  }
  if (spec.precision > kMaxPrecision) fail("ValueError", "precision too big");
  const int64_t precision = spec.precision < 0 ? 6 : spec.precision;
  if (spec.type == '%') {
    made.digits = printed(number * 100, 'f', precision, spec.alternate) + "%";
  } else if (spec.type == 0 && spec.precision < 0) {
    made.digits = float_text(number);
  } else if (spec.type == 0) {
    made.digits = printed(number, 'g', std::max<int64_t>(precision, 1), spec.alternate);
    if (made.digits.find_first_of(".e") == std::string::npos) made.digits += ".0";
  } else {
    const char type = spec.type == 'n' ? 'g' : spec.type;
    made.digits = printed(number, type, precision, spec.alternate);
  }
  if (spec.group != 0) made.digits = grouped(made.digits, spec.group, 3);
  return made;
}

void append_number(const NumberText& number,
                   const FormatSpec& spec,
                   Origin origin,
                   TextBuilder& out) {
  const auto size = static_cast<int64_t>(number.prefix.size() + number.digits.size());
  const auto space = static_cast<size_t>(std::max<int64_t>(spec.width - size, 0));
  origin = stricter(origin, spec.origin);  // which chooses signs and separators
  const auto fill = [&](size_t count) {
    if (spec.fill.size() == 1) return out.append(spec.fill[0], count, spec.origin);
    for (size_t i = 0; i < count; ++i) out.append(spec.fill, spec.origin);
  };
  const char align = spec.align == 0 ? '>' : spec.align;
  const size_t left = align == '>' ? space : align == '^' ? space / 2 : 0;
  fill(left);
  out.append(number.prefix, origin);
  if (align == '=') fill(space);
  out.append(number.digits, origin);
  if (align == '<' || align == '^') fill(space - left);
}

void append_aligned(const Text& text, const FormatSpec& spec, TextBuilder& out) {
  auto characters = static_cast<int64_t>(character_count(text));
  size_t end = text.size;
  if (spec.precision >= 0 && spec.precision < characters) {
    characters = spec.precision;
    end = byte_of_character(text, static_cast<size_t>(characters));
  }
  const auto space = static_cast<size_t>(std::max<int64_t>(spec.width - characters, 0));
  const auto fill = [&](size_t count) {
    if (spec.fill.size() == 1) return out.append(spec.fill[0], count, spec.origin);
    for (size_t i = 0; i < count; ++i) out.append(spec.fill, spec.origin);
  };
  const size_t left = spec.align == '>' ? space : spec.align == '^' ? space / 2 : 0;
  fill(left);
  out.append(text, 0, end);
  fill(space - left);
}

int64_t read_count(std::string_view text, size_t& at) {
  int64_t count = 0;
  for (size_t digits = 0; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    if (++digits > 9) fail("ValueError", "Too many decimal digits in format string");
    count = count * 10 + (text[at] - '0');
  }
  return count;
}

}  // namespace trireme::jinja
