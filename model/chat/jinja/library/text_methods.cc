// The methods of str.
#include <algorithm>

#include "model/chat/jinja/values/characters.h"
#include "model/chat/jinja/values/format.h"
#include "model/chat/jinja/values/methods.h"
#include "model/chat/jinja/values/operators.h"
#include "model/chat/jinja/values/text_builder.h"

namespace trireme::jinja {

namespace {

constexpr std::string_view kPositional;  // a parameter that no keyword reaches

const Text& string_argument(const Value& value, std::string_view function) {
  if (!is_string(value)) {
    type_error("{}() argument must be str, not {}", function, type_name(value));
  }
  return text_of(value);
}

int64_t integer_argument(const Value& value) {
  if (!is_integer(value)) {
    type_error("'{}' object cannot be interpreted as an integer", type_name(value));
  }
  return whole_of(value);
}

template <CaseChange change>
Value changed_case(Runtime& runtime, const Value& self, const Args& args) {
  Bound("str", args, {});
  return change_case(runtime, text_of(self), change);
}

template <Sides sides>
Value stripped(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("strip", args, {kPositional});
  return strip(runtime, text_of(self), bound.has(0) ? &bound[0] : nullptr, sides);
}

// A range of a text by characters, as find(), count() and startswith() take it, in bytes. False:
// the range lies beyond the text.
bool byte_range(const Text& text, const Bound& bound, size_t& begin, size_t& end) {
  const auto size = static_cast<int64_t>(character_count(text));
  const auto resolve = [&](uint32_t index, int64_t otherwise) {
    if (!bound.has(index) || bound[index].is(Kind::kNone)) return otherwise;
    int64_t at = integer_argument(bound[index]);
    if (at < 0) at = at < -size ? 0 : at + size;
    return at;
  };
  const int64_t first = resolve(1, 0);
  const int64_t last = std::min(resolve(2, size), size);
  if (first > last) return false;
  begin = byte_of_character(text, static_cast<size_t>(first));
  end = byte_of_character(text, static_cast<size_t>(last));
  return true;
}

template <bool at_end>
Value has_affix(Runtime& runtime, const Value& self, const Args& args) {
  const std::string_view name = at_end ? "endswith" : "startswith";
  const Bound bound(name, args, {kPositional, kPositional, kPositional}, 1);
  const Text& text = text_of(self);
  size_t begin = 0;
  size_t end = text.size;
  const bool in_text = byte_range(text, bound, begin, end);
  const std::string_view part = in_text ? text.view().substr(begin, end - begin) : "";
  const auto matches = [&](const Value& affix) {
    if (!is_string(affix)) {
      type_error("{} first arg must be str or a tuple of str, not {}", name, type_name(affix));
    }
    const std::string_view bytes = text_of(affix).view();
    runtime.step_bytes(bytes.size());
    return in_text && (at_end ? part.ends_with(bytes) : part.starts_with(bytes));
  };
  if (!bound[0].is(Kind::kTuple)) return Value::boolean(matches(bound[0]));
  const List& list = list_of(bound[0]);
  return Value::boolean(std::any_of(list.items, list.items + list.size, matches));
}

template <bool from_end, bool must_exist>
Value find(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("find", args, {kPositional, kPositional, kPositional}, 1);
  const Text& text = text_of(self);
  const Text& needle = string_argument(bound[0], "find");
  size_t begin = 0;
  size_t end = 0;
  size_t found = std::string_view::npos;
  if (byte_range(text, bound, begin, end)) {
    const std::string_view part = text.view().substr(begin, end - begin);
    if (from_end) {
      found = find_last(runtime, part, needle.view());
    } else {
      runtime.step_bytes(part.size());
      found = find_bytes(part, needle.view(), 0);
    }
  }
  if (found == std::string_view::npos) {
    if (must_exist) fail("ValueError", "substring not found");
    return Value::integer(-1, self.origin());
  }
  const size_t index = count_characters(text.view().substr(0, begin + found));
  return Value::integer(static_cast<int64_t>(index), self.origin());
}

Value count(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("count", args, {kPositional, kPositional, kPositional}, 1);
  const Text& text = text_of(self);
  const Text& needle = string_argument(bound[0], "count");
  size_t begin = 0;
  size_t end = 0;
  int64_t found = 0;
  if (byte_range(text, bound, begin, end)) {
    const std::string_view part = text.view().substr(begin, end - begin);
    runtime.step_bytes(part.size());
    if (needle.size == 0) {
      found = static_cast<int64_t>(count_characters(part)) + 1;
    } else {
      size_t at = find_bytes(part, needle.view(), 0);
      for (; at != std::string_view::npos; ++found) {
        at = find_bytes(part, needle.view(), at + needle.size);
      }
    }
  }
  return Value::integer(found, self.origin());
}

Value replaced(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("replace", args, {kPositional, kPositional, kPositional}, 2);
  const int64_t most = bound.has(2) ? integer_argument(bound[2]) : -1;
  return replace(runtime,
                 text_of(self),
                 string_argument(bound[0], "replace"),
                 string_argument(bound[1], "replace"),
                 most);
}

template <bool from_end>
Value split(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("split", args, {"sep", "maxsplit"});
  const int64_t most = bound.has(1) ? integer_argument(bound[1]) : -1;
  const bool at_space = !bound.has(0) || bound[0].is(Kind::kNone);
  const Text* separator = at_space ? nullptr : &string_argument(bound[0], "split");
  List* pieces = split_text(runtime, text_of(self), separator, most, from_end);
  return JinjaAccess::list(pieces, self.origin());
}

Value splitlines(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("splitlines", args, {"keepends"});
  const bool keep = bound.has(0) && truthy(bound[0]);
  return JinjaAccess::list(split_lines(runtime, text_of(self), keep), self.origin());
}

template <bool from_end>
Value partition(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("partition", args, {kPositional}, 1);
  const Text& text = text_of(self);
  const Text& separator = string_argument(bound[0], "partition");
  if (separator.size == 0) fail("ValueError", "empty separator");
  runtime.step_bytes(text.size);
  const size_t found = from_end ? find_last(runtime, text.view(), separator.view())
                                : find_bytes(text.view(), separator.view(), 0);
  const Value nothing = runtime.string("");
  if (found == std::string_view::npos) {
    if (from_end) return make_tuple(runtime, {nothing, nothing, self});
    return make_tuple(runtime, {self, nothing, nothing});
  }
  const size_t behind = found + separator.size;
  return make_tuple(runtime,
                    {slice_text(runtime, text, 0, found),
                     slice_text(runtime, text, found, behind),
                     slice_text(runtime, text, behind, text.size)});
}

Value join(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("join", args, {kPositional}, 1);
  if (is_undefined(bound[0])) return runtime.string("");
  if (!is_iterable(bound[0])) fail("TypeError", "can only join an iterable");
  ValueIterator iterator(runtime, bound[0]);
  TextBuilder out(runtime);
  Value item;
  for (int64_t i = 0; iterator.next(runtime, item); ++i) {
    if (!is_string(item)) {
      type_error("sequence item {}: expected str instance, {} found", i, type_name(item));
    }
    if (i > 0) out.append(text_of(self));
    out.append(text_of(item));
  }
  return out.value();
}

template <bool prefix>
Value remove_affix(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("removeprefix", args, {kPositional}, 1);
  const Text& text = text_of(self);
  const Text& affix = string_argument(bound[0], prefix ? "removeprefix" : "removesuffix");
  runtime.step_bytes(affix.size);
  if (affix.size == 0) return self;
  if (prefix && text.view().starts_with(affix.view())) {
    return slice_text(runtime, text, affix.size, text.size);
  }
  if (!prefix && text.view().ends_with(affix.view())) {
    return slice_text(runtime, text, 0, text.size - affix.size);
  }
  return self;
}

const Text& fill_argument(Runtime& runtime, const Bound& bound) {
  if (!bound.has(1)) return text_of(runtime.string(" "));
  const Text& fill = string_argument(bound[1], "fill");
  if (character_count(fill) != 1) {
    fail("TypeError", "The fill character must be exactly one character long");
  }
  return fill;
}

enum class Adjust : uint8_t { kLeft, kRight, kCenter };
template <Adjust adjust>
Value justified(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("justify", args, {kPositional, kPositional}, 1);
  const int64_t width = integer_argument(bound[0]);
  const Text& fill = fill_argument(runtime, bound);
  const Text& text = text_of(self);
  if (adjust == Adjust::kCenter) return center(runtime, text, width, fill);
  const auto size = static_cast<int64_t>(character_count(text));
  if (width <= size) return self;
  const auto space = static_cast<size_t>(width - size);
  return adjust == Adjust::kLeft ? pad(runtime, text, 0, space, fill)
                                 : pad(runtime, text, space, 0, fill);
}

Value zero_filled(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("zfill", args, {kPositional}, 1);
  const Text& text = text_of(self);
  const int64_t space = integer_argument(bound[0]) - static_cast<int64_t>(character_count(text));
  if (space <= 0) return self;
  const size_t sign = text.size > 0 && (text.data[0] == '-' || text.data[0] == '+') ? 1 : 0;
  TextBuilder out(runtime);
  out.append(text, 0, sign);
  out.append('0', static_cast<size_t>(space), Origin::kTemplate);
  out.append(text, sign, text.size);
  return out.value();
}

Value expand_tabs(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("expandtabs", args, {"tabsize"});
  const int64_t tab = bound.has(0) ? integer_argument(bound[0]) : 8;
  const Text& text = text_of(self);
  const std::string_view bytes = text.view();
  TextBuilder out(runtime);
  int64_t column = 0;
  size_t plain = 0;
  for (size_t at = 0; at < bytes.size();) {
    const Character c = character_at(bytes, at);
    if (c.code == '\t') {
      out.append(text, plain, at);
      plain = at + 1;
      if (tab > 0) {
        const int64_t spaces = tab - column % tab;
        out.append(' ', static_cast<size_t>(spaces), origin_at(text, at));
        column += spaces;
      }
    } else {
      column = c.code == '\n' || c.code == '\r' ? 0 : column + 1;
    }
    at += c.length;
  }
  out.append(text, plain, bytes.size());
  return out.value();
}

template <bool (*is_kind)(char32_t)>
Value all_are(Runtime& runtime, const Value& self, const Args& args) {
  Bound("is", args, {});
  const std::string_view bytes = text_of(self).view();
  runtime.step_bytes(bytes.size());
  for (size_t at = 0; at < bytes.size();) {
    const Character c = character_at(bytes, at);
    if (!is_kind(c.code)) return Value::boolean(false);
    at += c.length;
  }
  return Value::boolean(!bytes.empty() || is_kind == is_printable);
}

// Whether there is a cased character and all of them are of that case.
template <bool (*is_case)(char32_t)>
Value all_cased(Runtime& runtime, const Value& self, const Args& args) {
  Bound("is", args, {});
  return Value::boolean(all_of_case(runtime, text_of(self), is_case));
}

Value is_titled(Runtime& runtime, const Value& self, const Args& args) {
  Bound("istitle", args, {});
  const std::string_view bytes = text_of(self).view();
  runtime.step_bytes(bytes.size());
  bool any = false;
  bool after_cased = false;
  for (size_t at = 0; at < bytes.size();) {
    const Character c = character_at(bytes, at);
    const bool capital = is_upper(c.code) || is_title(c.code);
    if ((capital && after_cased) || (is_lower(c.code) && !after_cased)) {
      return Value::boolean(false);
    }
    after_cased = capital || is_lower(c.code);
    any = any || after_cased;
    at += c.length;
  }
  return Value::boolean(any);
}

bool is_ascii(char32_t code) { return code < 0x80; }

Value ascii_only(Runtime& runtime, const Value& self, const Args& args) {
  if (text_of(self).size == 0) return Value::boolean(true);
  return all_are<is_ascii>(runtime, self, args);
}

Value names_something(Runtime& runtime, const Value& self, const Args& args) {
  Bound("isidentifier", args, {});
  runtime.step_bytes(text_of(self).size);
  return Value::boolean(is_identifier(text_of(self).view()));
}

Value format_map(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("format_map", args, {kPositional}, 1);
  if (!bound[0].is(Kind::kDict)) type_error("'{}' object is not a mapping", type_name(bound[0]));
  const Dict& dict = dict_of(bound[0]);
  std::vector<Value> names;
  std::vector<Value> values;
  for (uint32_t i = 0; i < dict.size; ++i) {
    if (!is_string(dict.entries[i].key)) continue;
    names.push_back(dict.entries[i].key);
    values.push_back(dict.entries[i].value);
  }
  Args named;
  named.names = names.data();
  named.named = values.data();
  named.num_named = static_cast<uint32_t>(names.size());
  return format_braces(runtime, self, named);
}

Value unsupported(Runtime& runtime, const Value& self, const Args& args) {
  (void)runtime, (void)self, (void)args;
  fail("TemplateRuntimeError",
       "str.encode(), str.translate() and str.maketrans() are not supported");
}

constexpr Method kMethods[] = {
    {"capitalize", changed_case<CaseChange::kCapitalize>},
    {"casefold", changed_case<CaseChange::kFold>},
    {"center", justified<Adjust::kCenter>},
    {"count", count},
    {"encode", unsupported},
    {"endswith", has_affix<true>},
    {"expandtabs", expand_tabs},
    {"find", find<false, false>},
    {"format", format_braces},
    {"format_map", format_map},
    {"index", find<false, true>},
    {"isalnum", all_are<is_alnum>},
    {"isalpha", all_are<is_alpha>},
    {"isascii", ascii_only},
    {"isdecimal", all_are<is_decimal>},
    {"isdigit", all_are<is_digit>},
    {"isidentifier", names_something},
    {"islower", all_cased<is_lower>},
    {"isnumeric", all_are<is_numeric>},
    {"isprintable", all_are<is_printable>},
    {"isspace", all_are<is_space>},
    {"istitle", is_titled},
    {"isupper", all_cased<is_upper>},
    {"join", join},
    {"ljust", justified<Adjust::kLeft>},
    {"lower", changed_case<CaseChange::kLower>},
    {"lstrip", stripped<Sides::kLeft>},
    {"maketrans", unsupported},
    {"partition", partition<false>},
    {"removeprefix", remove_affix<true>},
    {"removesuffix", remove_affix<false>},
    {"replace", replaced},
    {"rfind", find<true, false>},
    {"rindex", find<true, true>},
    {"rjust", justified<Adjust::kRight>},
    {"rpartition", partition<true>},
    {"rsplit", split<true>},
    {"rstrip", stripped<Sides::kRight>},
    {"split", split<false>},
    {"splitlines", splitlines},
    {"startswith", has_affix<false>},
    {"strip", stripped<Sides::kBoth>},
    {"swapcase", changed_case<CaseChange::kSwap>},
    {"title", changed_case<CaseChange::kTitle>},
    {"translate", unsupported},
    {"upper", changed_case<CaseChange::kUpper>},
    {"zfill", zero_filled},
};

}  // namespace

const Method* find_text_method(std::string_view name) {
  const auto* at = std::lower_bound(
      std::begin(kMethods),
      std::end(kMethods),
      name,
      [](const Method& method, std::string_view other) { return method.name < other; });
  return at != std::end(kMethods) && at->name == name ? at : nullptr;
}

}  // namespace trireme::jinja
