// The methods of lists, tuples, dicts, ranges, numbers, cyclers and joiners.
#include <algorithm>
#include <cmath>

#include "model/chat/jinja/values/methods.h"
#include "model/chat/jinja/values/operators.h"
#include "model/chat/jinja/values/text_builder.h"

namespace trireme::jinja {

namespace {

constexpr std::string_view kPositional;  // a parameter that no keyword reaches

Value count(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("count", args, {kPositional}, 1);
  ValueIterator iterator(runtime, self);
  int64_t found = 0;
  Value item;
  while (iterator.next(runtime, item)) found += equal(runtime, item, bound[0]);
  return Value::integer(found, self.origin());
}

Value index(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("index", args, {kPositional, kPositional, kPositional}, 1);
  const int64_t size = length(runtime, self);
  const auto limit = [&](uint32_t i, int64_t otherwise) {
    if (!bound.has(i)) return otherwise;
    if (!is_integer(bound[i])) fail("TypeError", "slice indices must be integers");
    const int64_t at = whole_of(bound[i]);
    return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
  };
  const int64_t end = limit(2, size);
  for (int64_t i = limit(1, 0); i < end; ++i) {
    if (equal(runtime, get_item(runtime, self, Value::integer(i)), bound[0])) {
      return Value::integer(i, self.origin());
    }
  }
  value_error("the value is not in {}", type_name(self));
}

Value copy_list(Runtime& runtime, const Value& self, const Args& args) {
  Bound("copy", args, {});
  return to_list(runtime, self);
}

Value copy_dict(Runtime& runtime, const Value& self, const Args& args) {
  Bound("copy", args, {});
  Dict* dict = runtime.heap().make<Dict>();
  const Dict& from = dict_of(self);
  for (uint32_t i = 0; i < from.size; ++i) {
    set_member(runtime, *dict, from.entries[i].key, from.entries[i].value);
  }
  return JinjaAccess::dict(dict, self.origin());
}

Value from_keys(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("fromkeys", args, {kPositional, kPositional}, 1);
  Dict* dict = runtime.heap().make<Dict>();
  ValueIterator iterator(runtime, bound[0]);
  Value key;
  while (iterator.next(runtime, key)) {
    set_member(runtime, *dict, key, bound.value_or(1, Value::none()));
  }
  return JinjaAccess::dict(dict, self.origin());
}

Value get(Runtime& runtime, const Value& self, const Args& args) {
  (void)runtime;
  const Bound bound("get", args, {kPositional, kPositional}, 1);
  const DictEntry* entry = dict_find(dict_of(self), bound[0], hash_of(bound[0]));
  return entry != nullptr ? entry->value : bound.value_or(1, Value::none());
}

template <ViewKind which>
Value view(Runtime& runtime, const Value& self, const Args& args) {
  Bound("view", args, {});
  const Dict& dict = dict_of(self);
  List* list = runtime.new_list(dict.size);
  for (uint32_t i = 0; i < dict.size; ++i) {
    const DictEntry& entry = dict.entries[i];
    switch (which) {
      case ViewKind::kKeys:
        list->items[list->size++] = entry.key;
        break;
      case ViewKind::kValues:
        list->items[list->size++] = entry.value;
        break;
      case ViewKind::kItems:
        list->items[list->size++] = make_tuple(runtime, {entry.key, entry.value});
        break;
    }
  }
  return JinjaAccess::view(list, self.origin(), which);
}

Value refused(Runtime& runtime, const Value& self, const Args& args) {
  (void)runtime, (void)args;
  type_error("this method of '{}' is not supported", type_name(self));
}

Value itself(Runtime& runtime, const Value& self, const Args& args) {
  (void)args;
  return self.is(Kind::kBoolean) ? positive(runtime, self) : self;
}

Value zero(Runtime& runtime, const Value& self, const Args& args) {
  (void)runtime, (void)args;
  return self.is(Kind::kFloat) ? Value::number(0, self.origin()) : Value::integer(0, self.origin());
}

Value one(Runtime& runtime, const Value& self, const Args& args) {
  (void)runtime, (void)args;
  return Value::integer(1, self.origin());
}

uint64_t magnitude(const Value& value) {
  const int64_t whole = whole_of(value);
  return whole < 0 ? 0 - static_cast<uint64_t>(whole) : static_cast<uint64_t>(whole);
}

Value bit_length(Runtime& runtime, const Value& self, const Args& args) {
  (void)runtime;
  Bound("bit_length", args, {});
  const uint64_t bits = magnitude(self);
  return Value::integer(bits == 0 ? 0 : 64 - __builtin_clzll(bits), self.origin());
}

Value bit_count(Runtime& runtime, const Value& self, const Args& args) {
  (void)runtime;
  Bound("bit_count", args, {});
  return Value::integer(__builtin_popcountll(magnitude(self)), self.origin());
}

Value is_whole(Runtime& runtime, const Value& self, const Args& args) {
  (void)runtime;
  Bound("is_integer", args, {});
  return Value::boolean(float_of(self) == std::floor(float_of(self)) &&
                        std::isfinite(float_of(self)));
}

template <int64_t Range::*field>
Value range_field(Runtime& runtime, const Value& self, const Args& args) {
  (void)runtime, (void)args;
  return Value::integer(range_of(self).*field, self.origin());
}

Object& object_of(const Value& self) { return *JinjaAccess::data(self).object; }

Value current(Runtime& runtime, const Value& self, const Args& args) {
  (void)runtime, (void)args;
  return object_of(self).items.items[object_of(self).position];
}

Value next(Runtime& runtime, const Value& self, const Args& args) {
  const Value now = current(runtime, self, args);
  object_of(self).position = (object_of(self).position + 1) % object_of(self).items.size;
  return now;
}

Value reset(Runtime& runtime, const Value& self, const Args& args) {
  (void)runtime, (void)args;
  object_of(self).position = 0;
  return Value::none();
}

Value macro_name(Runtime& runtime, const Value& self, const Args& args) {
  (void)args;
  return runtime.string(JinjaAccess::data(self).function->name);
}

constexpr Method kListMethods[] = {
    {"append", refused, false},
    {"clear", refused, false},
    {"copy", copy_list},
    {"count", count},
    {"extend", refused, false},
    {"index", index},
    {"insert", refused, false},
    {"pop", refused, false},
    {"remove", refused, false},
    {"reverse", refused, false},
    {"sort", refused, false},
};
constexpr Method kTupleMethods[] = {{"count", count}, {"index", index}};
constexpr Method kDictMethods[] = {
    {"clear", refused, false},
    {"copy", copy_dict},
    {"fromkeys", from_keys},
    {"get", get},
    {"items", view<ViewKind::kItems>},
    {"keys", view<ViewKind::kKeys>},
    {"pop", refused, false},
    {"popitem", refused, false},
    {"setdefault", refused, false},
    {"update", refused, false},
    {"values", view<ViewKind::kValues>},
};
constexpr Method kRangeMethods[] = {
    {"count", count},
    {"index", index},
    {"start", range_field<&Range::start>, true, true},
    {"step", range_field<&Range::step>, true, true},
    {"stop", range_field<&Range::stop>, true, true},
};
constexpr Method kIntegerMethods[] = {
    {"as_integer_ratio", refused},
    {"bit_count", bit_count},
    {"bit_length", bit_length},
    {"conjugate", itself},
    {"denominator", one, true, true},
    {"from_bytes", refused},
    {"imag", zero, true, true},
    {"numerator", itself, true, true},
    {"real", itself, true, true},
    {"to_bytes", refused},
};
constexpr Method kFloatMethods[] = {
    {"as_integer_ratio", refused},
    {"conjugate", itself},
    {"fromhex", refused},
    {"hex", refused},
    {"imag", zero, true, true},
    {"is_integer", is_whole},
    {"real", itself, true, true},
};
constexpr Method kFunctionMethods[] = {{"name", macro_name, true, true}};
constexpr Method kObjectMethods[] = {
    {"current", current, true, true}, {"next", next}, {"reset", reset}};

template <size_t size>
const Method* find_in(const Method (&methods)[size], std::string_view name) {
  for (const Method& method : methods) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

}  // namespace

const Method* find_method(Kind kind, std::string_view name) {
  switch (kind) {
    case Kind::kString:
      return find_text_method(name);
    case Kind::kList:
      return find_in(kListMethods, name);
    case Kind::kTuple:
      return find_in(kTupleMethods, name);
    case Kind::kDict:
      return name.size() >= 3 && name.size() <= 10 ? find_in(kDictMethods, name) : nullptr;
    case Kind::kRange:
      return find_in(kRangeMethods, name);
    case Kind::kBoolean:
    case Kind::kInteger:
      return find_in(kIntegerMethods, name);
    case Kind::kFloat:
      return find_in(kFloatMethods, name);
    case Kind::kFunction:
      return find_in(kFunctionMethods, name);
    case Kind::kObject:
      return find_in(kObjectMethods, name);
    default:
      return nullptr;
  }
}

}  // namespace trireme::jinja
