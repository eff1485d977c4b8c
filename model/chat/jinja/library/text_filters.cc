// Filters of texts.
#include <algorithm>

#include "model/chat/jinja/values/characters.h"
#include "model/chat/jinja/values/format.h"
#include "model/chat/jinja/values/library.h"
#include "model/chat/jinja/values/methods.h"
#include "model/chat/jinja/values/operators.h"
#include "model/chat/jinja/values/print.h"

namespace trireme::jinja {

namespace {

const Text& printed(Runtime& runtime, const Value& value) {
  return text_of(to_string(runtime, value));
}

// The text of an input that must be one, as Python's methods require it.
const Text& required_text(Runtime& runtime, const Value& value, std::string_view filter) {
  if (is_undefined(value)) fail_undefined(runtime, value);
  if (!is_string(value)) type_error("{}: a str is required, not '{}'", filter, type_name(value));
  return text_of(value);
}

int64_t integer_or(const Bound& bound, uint32_t index, int64_t otherwise) {
  if (!bound.has(index) || bound[index].is(Kind::kNone)) return otherwise;
  if (!is_integer(bound[index])) {
    type_error("'{}' object cannot be interpreted as an integer", type_name(bound[index]));
  }
  return whole_of(bound[index]);
}

template <CaseChange change>
Value changed_case(Runtime& runtime, const Value& self, const Args& args) {
  Bound("filter", args, {});
  return change_case(runtime, printed(runtime, self), change);
}

// Unlike str.title(), a word begins after white space, a hyphen or an opening bracket only.
Value title(Runtime& runtime, const Value& self, const Args& args) {
  Bound("title", args, {});
  const Text& text = printed(runtime, self);
  TextBuilder out(runtime);
  const auto starts_word = [](char32_t code) {
    return is_space(code) || code == '-' || code == '(' || code == '{' || code == '[' ||
           code == '<';
  };
  const auto append_word = [&](size_t begin, size_t end) {
    if (begin == end) return;
    const size_t second = begin + character_at(text.view(), begin).length;
    const Value first = slice_text(runtime, text, begin, second);
    const Value rest = slice_text(runtime, text, second, end);
    out.append(text_of(change_case(runtime, text_of(first), CaseChange::kUpper)));
    out.append(text_of(change_case(runtime, text_of(rest), CaseChange::kLower)));
  };
  size_t begin = 0;
  for (size_t at = 0; at < text.size;) {
    const Character c = character_at(text.view(), at);
    if (starts_word(c.code)) {
      append_word(begin, at);
      out.append(text, at, at + c.length);
      begin = at + c.length;
    }
    at += c.length;
  }
  append_word(begin, text.size);
  return out.value();
}

Value trim(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_trim", args, {"chars"});
  return strip(runtime, printed(runtime, self), bound.has(0) ? &bound[0] : nullptr, Sides::kBoth);
}

Value replace_filter(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_replace", args, {"old", "new", "count"}, 2);
  const int64_t most = integer_or(bound, 2, -1);
  return replace(runtime,
                 printed(runtime, self),
                 printed(runtime, bound[0]),
                 printed(runtime, bound[1]),
                 most);
}

Value join(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_join", args, {"d", "attribute"});
  const AttributePath path(runtime, bound.has(1) ? &bound[1] : nullptr);
  const Text* separator = bound.has(0) ? &printed(runtime, bound[0]) : nullptr;
  ValueIterator iterator(runtime, self);
  TextBuilder out(runtime);
  Value item;
  for (bool first = true; iterator.next(runtime, item); first = false) {
    if (!first && separator != nullptr) out.append(*separator);
    print(runtime, path.of(runtime, item), out);
  }
  return out.value();
}

// Whether nothing or a line break ends the text, "\r" aside: with "\n" behind it, it is one break.
bool ends_line(const Text& text) {
  if (text.size == 0) return true;
  size_t last = text.size - 1;
  while ((static_cast<uint8_t>(text.data[last]) & 0xC0) == 0x80) --last;
  const char32_t code = character_at(text.view(), last).code;
  return code != '\r' && is_line_break(code);
}

Value indent(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_indent", args, {"width", "first", "blank"});
  if (self.is(Kind::kList)) {  // Python appends the line end to a list
    fail("AttributeError", "'list' object has no attribute 'splitlines'");
  }
  const Text& text = required_text(runtime, self, "indent");
  Value margin;
  if (bound.has(0) && is_string(bound[0])) {
    margin = bound[0];
  } else {
    TextBuilder spaces(runtime);
    const int64_t width = std::max<int64_t>(integer_or(bound, 0, 4), 0);
    spaces.append(' ', static_cast<size_t>(width), Origin::kTemplate);
    margin = spaces.value();
  }
  const bool blank = is_true(bound, 2);
  // The lines of the text and one more line end.
  List* lines = split_lines(runtime, text, false);
  if (ends_line(text)) runtime.push(*lines, slice_text(runtime, text, text.size, text.size));
  TextBuilder out(runtime);
  if (is_true(bound, 1)) out.append(text_of(margin));
  for (uint32_t i = 0; i < lines->size; ++i) {
    const Text& line = text_of(lines->items[i]);
    if (i > 0) {
      const Text& before = text_of(lines->items[i - 1]);
      out.append("\n", origin_at(text, static_cast<size_t>(before.data - text.data) + before.size));
      if (blank || line.size > 0) out.append(text_of(margin));
    }
    out.append(line);
  }
  return text.markup ? out.markup_value() : out.value();
}

Value centered(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_center", args, {"width"});
  const Value space = runtime.string(" ");
  return center(runtime, printed(runtime, self), integer_or(bound, 0, 80), text_of(space));
}

Value truncate(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_truncate", args, {"length", "killwords", "end", "leeway"});
  const int64_t most = integer_or(bound, 0, 255);
  const Value end = bound.has(2) ? to_string(runtime, bound[2]) : runtime.string("...");
  const auto end_size = static_cast<int64_t>(character_count(text_of(end)));
  const int64_t leeway = integer_or(bound, 3, 5);
  if (most < end_size) {
    fail("AssertionError", format_text("expected length >= {}, got {}", end_size, most));
  }
  if (leeway < 0) fail("AssertionError", format_text("expected leeway >= 0, got {}", leeway));
  if (length(runtime, self) - leeway <= most) return self;
  const Text& text = required_text(runtime, self, "truncate");
  size_t cut = byte_of_character(text, static_cast<size_t>(most - end_size));
  if (!is_true(bound, 1)) {
    const size_t space = text.view().substr(0, cut).rfind(' ');
    if (space != std::string_view::npos) cut = space;
  }
  return concatenate(runtime, text_of(slice_text(runtime, text, 0, cut)), text_of(end));
}

Value word_count(Runtime& runtime, const Value& self, const Args& args) {
  Bound("do_wordcount", args, {});
  const Text& text = printed(runtime, self);
  runtime.step_bytes(text.size);
  int64_t words = 0;
  bool in_word = false;
  for (size_t at = 0; at < text.size;) {
    const Character c = character_at(text.view(), at);
    const bool is_word = is_alnum(c.code) || c.code == '_';
    words += is_word && !in_word;
    in_word = is_word;
    at += c.length;
  }
  return Value::integer(words, self.origin());
}

Value string(Runtime& runtime, const Value& self, const Args& args) {
  Bound("soft_str", args, {});
  return to_string(runtime, self);
}

Value escaped(Runtime& runtime, const Value& self, const Args& args) {
  Bound("escape", args, {});
  if (is_string(self) && text_of(self).markup) return self;
  return escape(runtime, self);
}

Value force_escaped(Runtime& runtime, const Value& self, const Args& args) {
  Bound("do_forceescape", args, {});
  return escape(runtime, self);
}

Value safe(Runtime& runtime, const Value& self, const Args& args) {
  Bound("do_mark_safe", args, {});
  return with_markup(runtime, to_string(runtime, self));
}

Value format(Runtime& runtime, const Value& self, const Args& args) {
  if (args.count > 0 && args.num_named > 0) {
    fail("FilterArgumentError", "can't handle positional and keyword arguments at the same time");
  }
  const Value text = to_string(runtime, self);
  if (args.num_named == 0) {
    List* list = runtime.new_list(args.count);
    for (uint32_t i = 0; i < args.count; ++i) list->items[list->size++] = args.values[i];
    return format_percent(runtime, text, JinjaAccess::list(list, Origin::kTemplate, Kind::kTuple));
  }
  Dict* dict = runtime.heap().make<Dict>();
  for (uint32_t i = 0; i < args.num_named; ++i) {
    set_member(runtime, *dict, args.names[i], args.named[i]);
  }
  return format_percent(runtime, text, JinjaAccess::dict(dict, Origin::kTemplate));
}

// `in_query`: a name or value of a query, where blanks become "+" and "/" is escaped.
void append_quoted(const Text& text, bool in_query, TextBuilder& out) {
  constexpr std::string_view kPlain = "_.-~";
  for (size_t at = 0; at < text.size; ++at) {
    const char c = text.data[at];
    const auto code = static_cast<uint8_t>(c);
    const bool plain = code < 0x80 && (is_alnum(code) || kPlain.find(c) != std::string_view::npos ||
                                       (!in_query && c == '/'));
    if (plain) {
      out.append({&c, 1}, origin_at(text, at));
    } else if (in_query && c == ' ') {
      out.append("+", origin_at(text, at));
    } else {
      out.append(format_text("%{:02X}", int{code}), origin_at(text, at));
    }
  }
}

Value url_encoded(Runtime& runtime, const Value& self, const Args& args) {
  Bound("do_urlencode", args, {});
  TextBuilder out(runtime);
  if (is_string(self) || !is_iterable(self)) {
    append_quoted(printed(runtime, self), false, out);
    return out.value();
  }
  Value pairs = self;
  if (self.is(Kind::kDict)) pairs = find_method(Kind::kDict, "items")->body(runtime, self, Args());
  ValueIterator iterator(runtime, pairs);
  Value pair;
  for (bool first = true; iterator.next(runtime, pair); first = false) {
    const List& both = elements(runtime, pair);
    if (both.size != 2) value_error("a pair is required, not {} values", both.size);
    if (!first) out.append("&", Origin::kTemplate);
    append_quoted(printed(runtime, both.items[0]), true, out);
    out.append("=", Origin::kTemplate);
    append_quoted(printed(runtime, both.items[1]), true, out);
  }
  return out.value();
}

Value to_json(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = is_true(bound, 0);
  style.sort_keys = is_true(bound, 3);
  Value margin;
  if (bound.has(1) && !bound[1].is(Kind::kNone)) {
    if (is_string(bound[1])) {
      margin = bound[1];
    } else {
      TextBuilder spaces(runtime);
      const int64_t width = std::max<int64_t>(integer_or(bound, 1, 0), 0);
      spaces.append(' ', static_cast<size_t>(width), Origin::kTemplate);
      margin = spaces.value();
    }
    style.indent = &text_of(margin);
  }
  if (bound.has(2) && !bound[2].is(Kind::kNone)) {
    const List& both = elements(runtime, bound[2]);
    if (both.size != 2) value_error("two separators are required, not {}", both.size);
    style.item_separator = &required_text(runtime, both.items[0], "separators");
    style.key_separator = &required_text(runtime, both.items[1], "separators");
  }
  TextBuilder out(runtime);
  print_json(runtime, self, style, out);
  return out.value();
}

constexpr NamedFunction kFilters[] = {
    {"capitalize", changed_case<CaseChange::kCapitalize>},
    {"center", centered},
    {"e", escaped},
    {"escape", escaped},
    {"forceescape", force_escaped},
    {"format", format},
    {"indent", indent},
    {"join", join},
    {"lower", changed_case<CaseChange::kLower>},
    {"replace", replace_filter},
    {"safe", safe},
    {"string", string},
    {"title", title},
    {"tojson", to_json},
    {"trim", trim},
    {"truncate", truncate},
    {"upper", changed_case<CaseChange::kUpper>},
    {"urlencode", url_encoded},
    {"wordcount", word_count},
};

}  // namespace

FunctionBody find_text_filter(std::string_view name) {
  for (const NamedFunction& filter : kFilters) {
    if (filter.name == name) return filter.body;
  }
  return nullptr;
}

}  // namespace trireme::jinja
