// The format of one value: flags, width, precision and type, as in "%-5.2f" and "{:>5.2f}".
// Functions of the render that calls them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/chat/jinja/values/text_builder.h"

namespace trireme::jinja {

struct FormatSpec {
  std::string_view fill = " ";
  char align = 0;  // '<', '>', '^', '=' or 0: the type's
  char sign = '-';
  bool sign_given = false;
  bool alternate = false;
  char group = 0;  // ',' or '_'
  int64_t width = 0;
  int64_t precision = -1;
  char type = 0;
  Origin origin = Origin::kTemplate;  // of the text that it was read from
};

// The digits of a number with their sign; `type` is one of those of its kind.
struct NumberText {
  std::string prefix;  // sign and 0x
  std::string digits;
};
NumberText integer_digits(int64_t number, const FormatSpec& spec);
NumberText float_digits(double number, const FormatSpec& spec);

// Appends the number, or `text`, in its width. The fill has the origin of the format.
void append_number(const NumberText& number,
                   const FormatSpec& spec,
                   Origin origin,
                   TextBuilder& out);
void append_aligned(const Text& text, const FormatSpec& spec, TextBuilder& out);

// Reads up to nine digits of a width or precision at `at`; ValueError: more.
int64_t read_count(std::string_view text, size_t& at);

}  // namespace trireme::jinja
