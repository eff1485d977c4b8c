// The % operator of texts, and HTML's escapes.
#include <cmath>

#include "model/chat/jinja/library/number_format.h"
#include "model/chat/jinja/values/characters.h"
#include "model/chat/jinja/values/format.h"
#include "model/chat/jinja/values/operators.h"
#include "model/chat/jinja/values/print.h"

namespace trireme::jinja {

namespace {

class PercentFormatter {
 public:
  PercentFormatter(Runtime& runtime, const Text& format, const Value& arguments)
      : runtime_(runtime), format_(format), text_(format.view()), out_(runtime) {
    if (arguments.is(Kind::kTuple)) {
      values_ = list_of(arguments).items;
      count_ = list_of(arguments).size;
    } else {
      single_ = arguments;
      values_ = &single_;
      count_ = 1;
      // Python takes everything with subscripts, but a tuple or str, for a mapping.
      is_mapping_ = arguments.is(Kind::kDict) || arguments.is(Kind::kList) ||
                    arguments.is(Kind::kRange) || is_undefined(arguments);
    }
  }

  Value run() {
    size_t at = 0;
    while (at < text_.size()) {
      const size_t percent = std::min(text_.find('%', at), text_.size());
      out_.append(format_, at, percent);
      at = percent;
      if (at < text_.size()) at = directive(at + 1);
      runtime_.step();
    }
    if (used_ < count_ && !is_mapping_) {
      fail("TypeError", "not all arguments converted during string formatting");
    }
    return format_.markup ? out_.markup_value() : out_.value();
  }

 private:
  char character(size_t at) const {
    if (at >= text_.size()) fail("ValueError", "incomplete format");
    return text_[at];
  }

  const Value& next_argument() {
    if (used_ >= count_) fail("TypeError", "not enough arguments for format string");
    return values_[used_++];
  }

  // Reads the directive after a %, returns the place behind it.
  size_t directive(size_t at) {
    FormatSpec spec;
    spec.sign = '-';
    const size_t begin = at;
    const Value* argument = nullptr;
    if (character(at) == '(') argument = &named_argument(at);
    bool zero = false;
    for (bool flags = true; flags;) {
      switch (character(at)) {
        case '-':
          spec.align = '<';
          break;
        case '+':
          spec.sign = '+';
          break;
        case ' ':
          spec.sign = spec.sign == '+' ? '+' : ' ';
          break;
        case '#':
          spec.alternate = true;
          break;
        case '0':
          zero = true;
          break;
        default:
          flags = false;
      }
      at += flags ? 1 : 0;
    }
    spec.width = count(at);
    if (spec.width < 0) {
      spec.align = '<';
      spec.width = -spec.width;
    }
    if (character(at) == '.') {
      ++at;
      spec.precision = std::max<int64_t>(count(at), 0);
    }
    if (character(at) == 'h' || character(at) == 'l' || character(at) == 'L') ++at;
    spec.type = character(at);
    if (spec.type == '%') {
      out_.append(format_, at, at + 1);
      return at + 1;
    }
    if (zero && spec.align == 0) {
      spec.fill = "0";
      spec.align = '=';
    }
    spec.origin = origin_of(format_, begin, at + 1);
    convert(argument != nullptr ? *argument : next_argument(), spec, at);
    return at + 1;
  }

  // "(name)": `at` moves behind it.
  const Value& named_argument(size_t& at) {
    if (!is_mapping_) fail("TypeError", "format requires a mapping");
    size_t end = ++at;
    for (int open = 1; open > 0; ++end) {
      const char c = end < text_.size() ? text_[end] : '\0';
      if (end >= text_.size()) fail("ValueError", "incomplete format key");
      open += c == '(' ? 1 : c == ')' ? -1 : 0;
    }
    const Value name = slice_text(runtime_, format_, at, end - 1);
    at = end;
    if (is_undefined(single_)) fail_undefined(runtime_, single_);
    if (!single_.is(Kind::kDict)) {
      type_error("{} indices must be integers or slices, not str", type_name(single_));
    }
    const DictEntry* entry = dict_find_text(dict_of(single_), name.text());
    if (entry == nullptr) fail("KeyError", repr_text(runtime_, name));
    return entry->value;
  }

  int64_t count(size_t& at) {
    if (character(at) != '*') return read_count(text_, at);
    ++at;
    const Value& value = next_argument();
    if (!is_integer(value)) fail("TypeError", "* wants int");
    return std::clamp<int64_t>(whole_of(value), -999999999, 999999999);
  }

  void convert(const Value& value, FormatSpec spec, size_t at) {
    switch (spec.type) {
      case 's':
      case 'r':
      case 'a':
        return convert_text(value, spec);
      case 'c':
        return convert_character(value, spec);
      case 'd':
      case 'i':
      case 'u':
      case 'o':
      case 'x':
      case 'X':
        return convert_integer(value, spec);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        return convert_float(value, spec);
      default: {
        const Character c = character_at(text_, at);
        value_error("unsupported format character '{}' (0x{:x}) at index {}",
                    text_.substr(at, c.length),
                    static_cast<uint32_t>(c.code),
                    count_characters(text_.substr(0, at)));
      }
    }
  }

  void convert_text(const Value& value, FormatSpec spec) {
    Value text;
    if (spec.type == 's') {
      text = to_string(runtime_, value);
    } else {
      TextBuilder repr(runtime_);
      print_repr(runtime_, value, repr);
      text = repr.value();
      if (spec.type == 'a') text = ascii(text);
    }
    if (format_.markup && !text_of(text).markup) text = escape(runtime_, text);
    spec.fill = " ";
    spec.align = spec.align == '<' ? '<' : '>';
    append_aligned(text_of(text), spec, out_);
  }

  Value ascii(const Value& value) {
    const Text& text = text_of(value);
    TextBuilder out(runtime_);
    for (size_t at = 0; at < text.size;) {
      const Character c = character_at(text.view(), at);
      const auto code = static_cast<uint32_t>(c.code);
      if (code < 0x80) {
        out.append(text, at, at + 1);
      } else {
        out.append(code < 0x100     ? format_text("\\x{:02x}", code)
                   : code < 0x10000 ? format_text("\\u{:04x}", code)
                                    : format_text("\\U{:08x}", code),
                   origin_at(text, at));
      }
      at += c.length;
    }
    return out.value();
  }

  void convert_character(const Value& value, FormatSpec spec) {
    spec.fill = " ";
    spec.align = spec.align == '<' ? '<' : '>';
    spec.precision = -1;
    if (is_string(value) && character_count(text_of(value)) == 1) {
      return append_aligned(text_of(value), spec, out_);
    }
    if (!is_integer(value)) fail("TypeError", "%c requires int or char");
    const int64_t code = whole_of(value);
    if (code < 0 || code > 0x10FFFF) fail("OverflowError", "%c arg not in range(0x110000)");
    const Value text = runtime_.string(character_text(code), value.origin());
    append_aligned(text_of(text), spec, out_);
  }

  void convert_integer(const Value& value, FormatSpec spec) {
    Value whole = value;
    const bool is_decimal = spec.type == 'd' || spec.type == 'i' || spec.type == 'u';
    if (value.is(Kind::kBigInteger)) {
      fail_beyond_64_bits();
    }
    if (value.is(Kind::kFloat) && is_decimal) {
      const double number = float_of(value);
      if (std::isnan(number)) fail("ValueError", "cannot convert float NaN to integer");
      if (std::abs(number) >= 9.2e18) fail_beyond_64_bits();
      whole = Value::integer(static_cast<int64_t>(number), value.origin());
    } else if (!is_integer(value)) {
      if (is_decimal) {
        if (is_undefined(value)) fail_undefined(runtime_, value);
        type_error("%{} format: a real number is required, not {}", spec.type, type_name(value));
      }
      type_error("%{} format: an integer is required, not {}", spec.type, type_name(value));
    }
    NumberText number = integer_digits(whole_of(whole), spec);
    const auto digits = static_cast<int64_t>(number.digits.size());
    if (spec.precision > digits) {
      runtime_.reserve(static_cast<size_t>(spec.precision));
      number.digits.insert(0, static_cast<size_t>(spec.precision - digits), '0');
    }
    append_number(number, spec, value.origin(), out_);
  }

  void convert_float(const Value& value, FormatSpec spec) {
    if (is_undefined(value)) fail_undefined(runtime_, value);
    if (!is_integer(value) && !value.is(Kind::kFloat)) {
      type_error("must be real number, not {}", type_name(value));
    }
    const double number =
        value.is(Kind::kFloat) ? float_of(value) : static_cast<double>(whole_of(value));
    append_number(float_digits(number, spec), spec, value.origin(), out_);
  }

  Runtime& runtime_;
  const Text& format_;
  std::string_view text_;
  TextBuilder out_;
  Value single_;
  const Value* values_ = nullptr;
  uint32_t count_ = 0;
  uint32_t used_ = 0;
  bool is_mapping_ = false;
};

}  // namespace

Value format_percent(Runtime& runtime, const Value& format, const Value& arguments) {
  return PercentFormatter(runtime, text_of(format), arguments).run();
}

Value with_markup(Runtime& runtime, const Value& text) {
  runtime.reserve(sizeof(Text));
  Text* made = runtime.heap().make<Text>();
  *made = text_of(text);
  made->markup = true;
  return JinjaAccess::text(made);
}

Value escape(Runtime& runtime, const Value& value) {
  const Value string = to_string(runtime, value);
  const Text& text = text_of(string);
  TextBuilder out(runtime);
  size_t plain = 0;
  for (size_t at = 0; at < text.size; ++at) {
    std::string_view entity;
    switch (text.data[at]) {
      case '&':
        entity = "&amp;";
        break;
      case '<':
        entity = "&lt;";
        break;
      case '>':
        entity = "&gt;";
        break;
      case '"':
        entity = "&#34;";
        break;
      case '\'':
        entity = "&#39;";
        break;
      default:
        continue;
    }
    out.append(text, plain, at);
    out.append(entity, origin_at(text, at));
    plain = at + 1;
  }
  out.append(text, plain, text.size);
  return out.markup_value();
}

}  // namespace trireme::jinja
