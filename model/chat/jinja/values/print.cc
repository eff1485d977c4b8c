#include "model/chat/jinja/values/print.h"

#include <charconv>
#include <cmath>

#include "model/chat/jinja/values/characters.h"
#include "model/chat/jinja/values/operators.h"

namespace trireme::jinja {

namespace {

class Printer {
 public:
  Printer(Runtime& runtime, TextBuilder& out) : runtime_(runtime), out_(out) {}

  void repr(const Value& value) {
    runtime_.step();
    switch (value.kind()) {
      case Kind::kString:
        return string_repr(text_of(value));
      case Kind::kList:
        return sequence(value, "[", "]");
      case Kind::kTuple:
        return sequence(value, "(", list_of(value).size == 1 ? ",)" : ")");
      case Kind::kDict:
        return members(value);
      case Kind::kDictView:
        out_.append(type_name(value), Origin::kTemplate);
        return sequence(value, "([", "])");
      case Kind::kNamespace:
        out_.append("<Namespace ", Origin::kTemplate);
        members(value);
        return out_.append(">", Origin::kTemplate);
      case Kind::kUndefined:
        return out_.append("Undefined", Origin::kTemplate);
      default:
        return scalar(value);
    }
  }

  void scalar(const Value& value) {
    const Origin origin = value.origin();
    switch (value.kind()) {
      case Kind::kNone:
        return out_.append("None", origin);
      case Kind::kBoolean:
        return out_.append(boolean_of(value) ? "True" : "False", origin);
      case Kind::kInteger: {
        char digits[24];
        const auto end = std::to_chars(digits, digits + sizeof digits, integer_of(value)).ptr;
        return out_.append({digits, static_cast<size_t>(end - digits)}, origin);
      }
      case Kind::kBigInteger:
        return out_.append(text_of(value));
      case Kind::kFloat:
        return out_.append(float_text(float_of(value)), origin);
      case Kind::kRange: {
        const Range& range = range_of(value);
        const std::string step = range.step == 1 ? "" : format_text(", {}", range.step);
        return out_.append(format_text("range({}, {}{})", range.start, range.stop, step), origin);
      }
      default:
        return out_.append(format_text("<{}>", object_words(value)), origin);
    }
  }

 private:
  static std::string object_words(const Value& value) {
    if (value.is(Kind::kFunction)) {
      const Function& function = *JinjaAccess::data(value).function;
      if (function.macro != nullptr) return format_text("Macro '{}'", function.name);
      return format_text("function {}", function.name);
    }
    return format_text("{} object", type_name(value));
  }

  void sequence(const Value& value, std::string_view open, std::string_view close) {
    const ValueDepth level(depth_);
    const Origin origin = value.origin();
    out_.append(open, origin);
    const List& list = list_of(value);
    for (uint32_t i = 0; i < list.size; ++i) {
      if (i > 0) out_.append(", ", origin);
      repr(list.items[i]);
    }
    out_.append(close, origin);
  }

  void members(const Value& value) {
    const ValueDepth level(depth_);
    const Origin origin = value.origin();
    out_.append("{", origin);
    const Dict& dict = dict_of(value);
    for (uint32_t i = 0; i < dict.size; ++i) {
      if (i > 0) out_.append(", ", origin);
      repr(dict.entries[i].key);
      out_.append(": ", origin);
      repr(dict.entries[i].value);
    }
    out_.append("}", origin);
  }

  void string_repr(const Text& text) {
    if (text.markup) out_.append("Markup(", Origin::kTemplate);
    const std::string_view bytes = text.view();
    const bool has_single = bytes.find('\'') != std::string_view::npos;
    const char quote = has_single && bytes.find('"') == std::string_view::npos ? '"' : '\'';
    out_.append(quote, 1, text.origin);
    size_t plain = 0;  // the first byte that is not written yet
    for (size_t at = 0; at < bytes.size();) {
      const Character c = character_at(bytes, at);
      if (c.code == static_cast<char32_t>(quote) || c.code == '\\' || !is_printable(c.code)) {
        out_.append(text, plain, at);
        out_.append(escaped(c.code), origin_at(text, at));
        plain = at + c.length;
      }
      at += c.length;
    }
    out_.append(text, plain, bytes.size());
    out_.append(quote, 1, text.origin);
    if (text.markup) out_.append(")", Origin::kTemplate);
  }

  static std::string escaped(char32_t code) {
    switch (code) {
      case '\n':
        return "\\n";
      case '\r':
        return "\\r";
      case '\t':
        return "\\t";
      default:
        break;
    }
    const auto number = static_cast<uint32_t>(code);
    if (is_printable(code)) return std::string("\\") + static_cast<char>(code);
    if (code < 0x100) return format_text("\\x{:02x}", number);
    if (code < 0x10000) return format_text("\\u{:04x}", number);
    return format_text("\\U{:08x}", number);
  }

  Runtime& runtime_;
  TextBuilder& out_;
  int depth_ = 0;
};

}  // namespace

// The shortest digits that give the same double, with an exponent below 1e-4 and from 1e16.
std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  std::string made;
  if (text.front() == '-') {
    made = "-";
    text.remove_prefix(1);
  }
  const size_t e = text.find('e');
  std::string digits(text.substr(0, 1));
  if (e > 2) digits += text.substr(2, e - 2);
  int exponent = 0;
  const bool negative = text[e + 1] == '-';
  std::from_chars(text.data() + e + 2, text.data() + text.size(), exponent);
  if (negative) exponent = -exponent;
  if (exponent < -4 || exponent >= 16) {
    made += digits.substr(0, 1);
    if (digits.size() > 1) made += "." + digits.substr(1);
    return made + format_text("e{}{:02}", negative ? "-" : "+", std::abs(exponent));
  }
  if (exponent < 0)
    return made + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const size_t whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return made + digits + std::string(whole - digits.size(), '0') + ".0";
  return made + digits.substr(0, whole) + "." + digits.substr(whole);
}

void print(Runtime& runtime, const Value& value, TextBuilder& out) {
  if (is_string(value)) return out.append(text_of(value));
  if (is_undefined(value)) return;
  Printer(runtime, out).repr(value);
}

void print_repr(Runtime& runtime, const Value& value, TextBuilder& out) {
  Printer(runtime, out).repr(value);
}

Value to_string(Runtime& runtime, const Value& value) {
  if (is_string(value)) return value;
  TextBuilder out(runtime);
  print(runtime, value, out);
  return out.value();
}

std::string repr_text(Runtime& runtime, const Value& value) {
  TextBuilder out(runtime);
  print_repr(runtime, value, out);
  return out.bytes();
}

namespace {

class JsonPrinter {
 public:
  JsonPrinter(Runtime& runtime, const JsonStyle& style, TextBuilder& out)
      : runtime_(runtime), style_(style), out_(out) {}

  void write(const Value& value) {
    runtime_.step();
    const Origin origin = value.origin();
    switch (value.kind()) {
      case Kind::kNone:
        return out_.append("null", origin);
      case Kind::kBoolean:
        return out_.append(boolean_of(value) ? "true" : "false", origin);
      case Kind::kFloat:
        return out_.append(json_float(float_of(value)), origin);
      case Kind::kInteger:
      case Kind::kBigInteger:
        return print(runtime_, value, out_);
      case Kind::kString:
        return string(text_of(value));
      case Kind::kList:
      case Kind::kTuple:
        return array(value);
      case Kind::kDict:
        return object(value);
      default:
        type_error("Object of type {} is not JSON serializable", type_name(value));
    }
  }

 private:
  static std::string json_float(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return float_text(value);
  }

  void new_line(Origin origin) {
    if (style_.indent == nullptr) return;
    out_.append("\n", origin);
    for (int i = 0; i < depth_; ++i) out_.append(*style_.indent);
  }

  void item_separator(Origin origin) {
    if (style_.item_separator != nullptr) {
      out_.append(*style_.item_separator);
    } else {
      out_.append(style_.indent != nullptr ? "," : ", ", origin);
    }
  }

  void array(const Value& value) {
    const List& list = list_of(value);
    const Origin origin = value.origin();
    if (list.size == 0) return out_.append("[]", origin);
    out_.append("[", origin);
    {
      const ValueDepth level(depth_);
      for (uint32_t i = 0; i < list.size; ++i) {
        if (i > 0) item_separator(origin);
        new_line(origin);
        write(list.items[i]);
      }
    }
    new_line(origin);
    out_.append("]", origin);
  }

  void object(const Value& value) {
    const Dict& dict = dict_of(value);
    const Origin origin = value.origin();
    if (dict.size == 0) return out_.append("{}", origin);
    std::vector<uint32_t> order(dict.size);
    for (uint32_t i = 0; i < dict.size; ++i) order[i] = i;
    if (style_.sort_keys) {
      merge_sort(order, [&](uint32_t a, uint32_t b) {
        return less(runtime_, dict.entries[a].key, dict.entries[b].key);
      });
    }
    out_.append("{", origin);
    {
      const ValueDepth level(depth_);
      for (uint32_t i = 0; i < dict.size; ++i) {
        const DictEntry& entry = dict.entries[order[i]];
        if (i > 0) item_separator(origin);
        new_line(origin);
        key(entry.key);
        if (style_.key_separator != nullptr) {
          out_.append(*style_.key_separator);
        } else {
          out_.append(": ", origin);
        }
        write(entry.value);
      }
    }
    new_line(origin);
    out_.append("}", origin);
  }

  void key(const Value& value) {
    if (is_string(value)) return string(text_of(value));
    const bool is_scalar = is_integer(value) || value.is(Kind::kFloat) || value.is(Kind::kNone) ||
                           value.is(Kind::kBigInteger);
    if (!is_scalar) {
      type_error("keys must be str, int, float, bool or None, not {}", type_name(value));
    }
    out_.append("\"", value.origin());
    write(value);
    out_.append("\"", value.origin());
  }

  void string(const Text& text) {
    const std::string_view bytes = text.view();
    out_.append("\"", text.origin);
    size_t plain = 0;
    for (size_t at = 0; at < bytes.size();) {
      const auto byte = static_cast<uint8_t>(bytes[at]);
      if (byte >= 0x20 && byte != '"' && byte != '\\' && (!style_.ensure_ascii || byte < 0x7F)) {
        ++at;
        continue;
      }
      const Character c = character_at(bytes, at);
      out_.append(text, plain, at);
      out_.append(escaped(c.code), origin_at(text, at));
      at += c.length;
      plain = at;
    }
    out_.append(text, plain, bytes.size());
    out_.append("\"", text.origin);
  }

  static std::string escaped(char32_t code) {
    switch (code) {
      case '"':
        return "\\\"";
      case '\\':
        return "\\\\";
      case '\n':
        return "\\n";
      case '\r':
        return "\\r";
      case '\t':
        return "\\t";
      case '\b':
        return "\\b";
      case '\f':
        return "\\f";
      default:
        break;
    }
    const auto number = static_cast<uint32_t>(code);
    if (code < 0x10000) return format_text("\\u{:04x}", number);
    return format_text("\\u{:04x}\\u{:04x}",
                       0xD800 + ((number - 0x10000) >> 10),
                       0xDC00 + ((number - 0x10000) & 0x3FF));
  }

  Runtime& runtime_;
  const JsonStyle& style_;
  TextBuilder& out_;
  int depth_ = 0;
};

}  // namespace

void print_json(Runtime& runtime, const Value& value, const JsonStyle& style, TextBuilder& out) {
  JsonPrinter(runtime, style, out).write(value);
}

}  // namespace trireme::jinja
