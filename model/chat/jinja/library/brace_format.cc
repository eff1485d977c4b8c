// str.format().
#include <algorithm>

#include "base/utf8.h"
#include "model/chat/jinja/library/number_format.h"
#include "model/chat/jinja/values/characters.h"
#include "model/chat/jinja/values/format.h"
#include "model/chat/jinja/values/operators.h"
#include "model/chat/jinja/values/print.h"

namespace trireme::jinja {

namespace {

FormatSpec parse_spec(const Text& format) {
  const std::string_view text = format.view();
  FormatSpec spec;
  spec.origin = format.origin;
  size_t at = 0;
  constexpr std::string_view kAligns = "<>^=";
  const auto is_align = [&](size_t i) {
    return i < text.size() && kAligns.find(text[i]) != std::string_view::npos;
  };
  if (!text.empty()) {
    const size_t first = character_at(text, 0).length;
    if (is_align(first)) {
      spec.fill = text.substr(0, first);
      spec.align = text[first];
      at = first + 1;
    } else if (is_align(0)) {
      spec.align = text[0];
      at = 1;
    }
  }
  const auto take = [&](std::string_view choices) {
    const bool found = at < text.size() && choices.find(text[at]) != std::string_view::npos;
    return found ? text[at++] : '\0';
  };
  if (const char sign = take("+- "); sign != 0) {
    spec.sign = sign;
    spec.sign_given = true;
  }
  spec.alternate = take("#") != 0;
  if (take("0") != 0 && spec.align == 0) {
    spec.fill = "0";
    spec.align = '=';
  }
  spec.width = read_count(text, at);
  spec.group = take(",_");
  if (take(".") != 0) {
    const size_t before = at;
    spec.precision = read_count(text, at);
    if (at == before) fail("ValueError", "Format specifier missing precision");
  }
  if (at < text.size()) spec.type = text[at++];
  if (at < text.size()) fail("ValueError", "Invalid format specifier");
  return spec;
}

[[noreturn]] void fail_code(const Value& value, char code) {
  value_error("Unknown format code '{}' for object of type '{}'", code, type_name(value));
}

void append_formatted(Runtime& runtime, const Value& value, const Text& format, TextBuilder& out) {
  if (value.is(Kind::kBigInteger)) fail_beyond_64_bits();
  const bool whole = is_integer(value);
  if (!is_string(value) && !whole && !value.is(Kind::kFloat)) {
    type_error("unsupported format string passed to {}.__format__", type_name(value));
  }
  FormatSpec spec = parse_spec(format);
  constexpr std::string_view kIntegerCodes = "dbnoxX";
  constexpr std::string_view kFloatCodes = "eEfFgGn%";
  const bool is_code = spec.type != 0;
  if (is_string(value)) {
    if (is_code && spec.type != 's') fail_code(value, spec.type);
    if (spec.sign_given) fail("ValueError", "Sign not allowed in string format specifier");
    if (spec.alternate) {
      fail("ValueError", "Alternate form (#) not allowed in string format specifier");
    }
    if (spec.group != 0) value_error("Cannot specify '{}' with 's'.", spec.group);
    if (spec.align == '=') {
      if (spec.fill != "0") {
        fail("ValueError", "'=' alignment not allowed in string format specifier");
      }
      spec.align = '<';
    }
    return append_aligned(text_of(value), spec, out);
  }
  if (whole && spec.type == 'c') {
    const Value text = runtime.string(character_text(whole_of(value)), value.origin());
    return append_aligned(text_of(text), spec, out);
  }
  if (whole && (!is_code || kIntegerCodes.find(spec.type) != std::string_view::npos)) {
    if (spec.precision >= 0) {
      fail("ValueError", "Precision not allowed in integer format specifier");
    }
    const bool by_thousands =
        !is_code || spec.type == 'd' || (spec.group == '_' && spec.type != 'n');
    if (spec.group != 0 && !by_thousands) {
      value_error("Cannot specify '{}' with '{}'.", spec.group, spec.type);
    }
    return append_number(integer_digits(whole_of(value), spec), spec, value.origin(), out);
  }
  if (is_code && kFloatCodes.find(spec.type) == std::string_view::npos) fail_code(value, spec.type);
  const double number = whole ? static_cast<double>(whole_of(value)) : float_of(value);
  append_number(float_digits(number, spec), spec, value.origin(), out);
}

class BraceFormatter {
 public:
  BraceFormatter(Runtime& runtime, const Args& args) : runtime_(runtime), args_(args) {}

  void run(const Text& format, TextBuilder& out, int depth) {
    if (depth > 2) fail("ValueError", "Max string recursion exceeded");
    const std::string_view text = format.view();
    for (size_t at = 0; at < text.size();) {
      runtime_.step();
      const size_t brace = std::min(text.find_first_of("{}", at), text.size());
      out.append(format, at, brace);
      at = brace;
      if (at == text.size()) break;
      if (at + 1 < text.size() && text[at + 1] == text[at]) {  // {{ or }}
        out.append(format, at, at + 1);
        at += 2;
      } else if (text[at] == '}') {
        fail("ValueError", "Single '}' encountered in format string");
      } else {
        const size_t end = end_of_field(text, at + 1);
        field(format, at + 1, end, out, depth);
        at = end + 1;
      }
    }
  }

 private:
  static size_t end_of_field(std::string_view text, size_t at) {
    for (int open = 1; at < text.size(); ++at) {
      open += text[at] == '{' ? 1 : text[at] == '}' ? -1 : 0;
      if (open == 0) return at;
    }
    fail("ValueError", "expected '}' before end of string");
  }

  // One "name!conversion:spec".
  void field(const Text& format, size_t begin, size_t end, TextBuilder& out, int depth) {
    const std::string_view text = format.view().substr(begin, end - begin);
    size_t name_end = 0;
    for (bool in_brackets = false; name_end < text.size(); ++name_end) {
      const char c = text[name_end];
      if (c == '[') in_brackets = true;
      if (c == ']') in_brackets = false;
      if (!in_brackets && (c == '!' || c == ':')) break;
    }
    Value value = resolve(format, begin, begin + name_end);
    size_t at = name_end;
    if (at < text.size() && text[at] == '!') {
      if (at + 1 >= text.size()) fail("ValueError", "end of string while looking for conversion");
      value = converted(value, text[at + 1]);
      at += 2;
      if (at < text.size() && text[at] != ':') {
        fail("ValueError", "expected ':' after conversion specifier");
      }
    }
    if (at == text.size()) return print(runtime_, value, out);
    TextBuilder nested(runtime_);
    run(text_of(slice_text(runtime_, format, begin + at + 1, end)), nested, depth + 1);
    const Value spec = nested.value();
    if (spec.text().empty()) return print(runtime_, value, out);
    append_formatted(runtime_, value, text_of(spec), out);
  }

  Value converted(const Value& value, char conversion) {
    if (conversion == 's') return to_string(runtime_, value);
    if (conversion != 'r') value_error("Unknown conversion specifier {}", conversion);
    TextBuilder repr(runtime_);
    print_repr(runtime_, value, repr);
    return repr.value();
  }

  // The argument that a field names, and what it reaches into.
  Value resolve(const Text& format, size_t begin, size_t end) {
    const std::string_view text = format.view();
    const auto part_end = [&](size_t at, std::string_view stops) {
      return std::min(text.find_first_of(stops, at), end);
    };
    size_t at = part_end(begin, ".[");
    Value value = argument(text.substr(begin, at - begin));
    while (at < end) {
      const bool is_attribute = text[at] == '.';
      const size_t stop = part_end(at + 1, is_attribute ? ".[" : "]");
      if (!is_attribute && (stop == end || text[stop] != ']')) {
        fail("ValueError", "Missing ']' in format string");
      }
      const Value name = slice_text(runtime_, format, at + 1, stop);
      if (name.text().empty()) fail("ValueError", "Empty attribute in format string");
      if (is_attribute) {
        value = get_attribute(runtime_, value, name);
      } else {
        int64_t index = 0;
        value =
            get_item(runtime_, value, is_index(name.text(), index) ? Value::integer(index) : name);
      }
      at = is_attribute ? stop : stop + 1;
    }
    return value;
  }

  static bool is_index(std::string_view text, int64_t& index) {
    const bool digits = !text.empty() && text.size() <= 9 &&
                        text.find_first_not_of("0123456789") == std::string_view::npos;
    size_t at = 0;
    if (digits) index = read_count(text, at);
    return digits;
  }

  Value argument(std::string_view name) {
    int64_t index = 0;
    const bool numbered = is_index(name, index);
    if (name.empty() || numbered) {
      const Numbering numbering = numbered ? Numbering::kManual : Numbering::kAutomatic;
      if (numbering_ != Numbering::kOpen && numbering_ != numbering) {
        fail("ValueError", "cannot switch between manual and automatic field numbering");
      }
      numbering_ = numbering;
      if (!numbered) index = next_++;
      if (index >= args_.count) {
        fail("IndexError", "Replacement index out of range for positional args tuple");
      }
      return args_.values[index];
    }
    for (uint32_t i = 0; i < args_.num_named; ++i) {
      if (args_.name(i) == name) return args_.named[i];
    }
    fail("KeyError", format_text("'{}'", name));
  }

  enum class Numbering : uint8_t { kOpen, kAutomatic, kManual };
  Runtime& runtime_;
  const Args& args_;
  Numbering numbering_ = Numbering::kOpen;
  int64_t next_ = 0;
};

}  // namespace

std::string character_text(int64_t code) {
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  if (code < 0 || code > 0x10FFFF || surrogate) {
    fail("OverflowError", "%c arg not in range(0x110000)");
  }
  std::string text;
  append_utf8(static_cast<char32_t>(code), text);
  return text;
}

Value format_braces(Runtime& runtime, const Value& format, const Args& args) {
  TextBuilder out(runtime);
  BraceFormatter(runtime, args).run(text_of(format), out, 0);
  return text_of(format).markup ? out.markup_value() : out.value();
}

}  // namespace trireme::jinja
