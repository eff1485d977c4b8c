#include <algorithm>

#include "model/chat/jinja/values/characters.h"
#include "model/chat/jinja/values/loop.h"
#include "model/chat/jinja/values/methods.h"
#include "model/chat/jinja/values/operators.h"
#include "model/chat/jinja/values/text_builder.h"

namespace trireme::jinja {

namespace {

Value unsafe(Runtime& runtime, const Value& object, std::string_view name) {
  return runtime.undefined_hint(
      format_text("access to attribute '{}' of '{}' object is unsafe.", name, type_name(object)),
      true);
}

// getattr(object, name) in the sandbox. False: there is no such attribute.
bool find_attribute(Runtime& runtime, const Value& object, std::string_view name, Value& out) {
  if (is_undefined(object)) fail_undefined(runtime, object);
  if (name.starts_with("__") && name.ends_with("__")) {
    out = unsafe(runtime, object, name);
    return true;
  }
  if (object.is(Kind::kNamespace)) {
    const DictEntry* entry = dict_find_text(dict_of(object), name);
    if (entry == nullptr) return false;
    out = name.starts_with("_") ? unsafe(runtime, object, name) : entry->value;
    return true;
  }
  if (object.is(Kind::kLoop)) return loop_attribute(runtime, object, name, out);
  if (JinjaAccess::is_group(object) && (name == "grouper" || name == "list")) {
    out = list_of(object).items[name == "list" ? 1 : 0];
    return true;
  }
  const Method* method = find_method(object.kind(), name);
  if (method == nullptr) return false;
  if (!method->is_safe) {
    out = unsafe(runtime, object, name);
  } else if (method->is_property) {
    out = method->body(runtime, object, Args());
  } else {
    runtime.reserve(sizeof(Function));
    Function* function = runtime.heap().make<Function>();
    function->name = method->name;
    function->body = method->body;
    function->self = object;
    out = JinjaAccess::function(function);
  }
  return true;
}

// Whether `key` is an index of a sequence of that size; negative ones count from the end.
bool find_index(const Value& key, int64_t size, int64_t& index) {
  if (!is_integer(key)) return false;
  index = whole_of(key);
  if (index < 0) index += size;
  return index >= 0 && index < size;
}

// object[key]. False: TypeError or LookupError in Python.
bool find_item(Runtime& runtime, const Value& object, const Value& key, Value& out) {
  int64_t index = 0;
  switch (object.kind()) {
    case Kind::kDict: {
      const bool hashable = !key.is(Kind::kList) && !key.is(Kind::kDict);
      if (!hashable) return false;
      const DictEntry* entry = is_string(key) ? dict_find_text(dict_of(object), text_of(key).view())
                                              : dict_find(dict_of(object), key, hash_of(key));
      if (entry == nullptr) return false;
      out = entry->value;
      return true;
    }
    case Kind::kList:
    case Kind::kTuple:
      if (!find_index(key, list_of(object).size, index)) return false;
      out = list_of(object).items[index];
      return true;
    case Kind::kRange:
      if (!find_index(key, range_of(object).size, index)) return false;
      out = Value::integer(range_of(object).at(index), object.origin());
      return true;
    case Kind::kString: {
      const Text& text = text_of(object);
      if (!find_index(key, static_cast<int64_t>(character_count(text)), index)) return false;
      runtime.step_bytes(text.size);
      const size_t begin = byte_of_character(text, static_cast<size_t>(index));
      const size_t end = begin + character_at(text.view(), begin).length;
      out = slice_text(runtime, text, begin, end);
      return true;
    }
    default:
      return false;
  }
}

struct Slice {
  int64_t start = 0;
  int64_t step = 1;
  int64_t count = 0;
};

int64_t slice_bound(const Value* bound, int64_t size, int64_t step, int64_t otherwise) {
  if (bound == nullptr || bound->is(Kind::kNone)) return otherwise;
  if (!is_integer(*bound)) {
    fail("TypeError", "slice indices must be integers or None or have an __index__ method");
  }
  int64_t at = whole_of(*bound);
  if (at < 0) at = at < -size ? -1 : at + size;
  if (step > 0) return std::clamp<int64_t>(at, 0, size);
  return std::clamp<int64_t>(at, -1, size - 1);
}

Slice resolve(int64_t size, const Value* start, const Value* stop, const Value* step) {
  Slice slice;
  if (step != nullptr && !step->is(Kind::kNone)) {
    slice.step = is_integer(*step) ? whole_of(*step) : slice_bound(step, size, 1, 1);
    if (slice.step == 0) fail("ValueError", "slice step cannot be zero");
    slice.step = std::max<int64_t>(slice.step, -INT64_MAX);
  }
  const bool forward = slice.step > 0;
  slice.start = slice_bound(start, size, slice.step, forward ? 0 : size - 1);
  const int64_t end = slice_bound(stop, size, slice.step, forward ? size : -1);
  const int64_t distance = forward ? end - slice.start : slice.start - end;
  const int64_t stride = forward ? slice.step : -slice.step;
  slice.count = distance > 0 ? (distance - 1) / stride + 1 : 0;
  return slice;
}

Value slice_string(Runtime& runtime, const Text& text, const Slice& slice) {
  runtime.step_bytes(text.size);
  if (slice.step == 1) {
    const size_t begin = byte_of_character(text, static_cast<size_t>(slice.start));
    const size_t end = byte_of_character(text, static_cast<size_t>(slice.start + slice.count));
    return slice_text(runtime, text, begin, end);
  }
  std::vector<uint32_t> begins;  // of every character
  begins.reserve(character_count(text) + 1);
  for (size_t at = 0; at < text.size; at += character_at(text.view(), at).length) {
    begins.push_back(static_cast<uint32_t>(at));
  }
  begins.push_back(text.size);
  TextBuilder out(runtime);
  int64_t at = slice.start;
  for (int64_t i = 0; i < slice.count; ++i, at += slice.step) {
    out.append(text, begins[static_cast<size_t>(at)], begins[static_cast<size_t>(at) + 1]);
  }
  return out.value();
}

}  // namespace

Value get_attribute(Runtime& runtime, const Value& object, const Value& name) {
  Value out;
  const std::string_view text = text_of(name).view();
  if (find_attribute(runtime, object, text, out)) return out;
  if (object.is(Kind::kDict)) {
    const DictEntry* entry = dict_find_text(dict_of(object), text);
    if (entry != nullptr) return entry->value;
  }
  return runtime.undefined_member(object, name);
}

Value get_item(Runtime& runtime, const Value& object, const Value& key) {
  if (is_undefined(object)) fail_undefined(runtime, object);
  Value out;
  if (find_item(runtime, object, key, out)) return out;
  if (is_string(key) && find_attribute(runtime, object, text_of(key).view(), out)) return out;
  return runtime.undefined_member(object, key);
}

Value get_slice(Runtime& runtime,
                const Value& object,
                const Value* start,
                const Value* stop,
                const Value* step) {
  switch (object.kind()) {
    case Kind::kUndefined:
      fail_undefined(runtime, object);
    case Kind::kString: {
      const Text& text = text_of(object);
      const auto size = static_cast<int64_t>(character_count(text));
      return slice_string(runtime, text, resolve(size, start, stop, step));
    }
    case Kind::kList:
    case Kind::kTuple: {
      const List& list = list_of(object);
      const Slice slice = resolve(list.size, start, stop, step);
      List* made = runtime.new_list(static_cast<size_t>(slice.count));
      int64_t at = slice.start;
      for (int64_t i = 0; i < slice.count; ++i, at += slice.step) {
        made->items[made->size++] = list.items[at];
      }
      return JinjaAccess::list(made, object.origin(), object.kind());
    }
    case Kind::kRange: {
      const Range& range = range_of(object);
      const Slice slice = resolve(range.size, start, stop, step);
      Range* made = runtime.heap().make<Range>();
      int64_t stride = 0;
      if (__builtin_mul_overflow(range.step, slice.step, &stride)) stride = range.step;
      const int64_t from = range.start + slice.start * range.step;
      *made = {from, from + slice.count * stride, stride, slice.count};
      return JinjaAccess::range(made, object.origin());
    }
    case Kind::kDict:
      type_error("unhashable type: '{}'", "slice");
    default:
      type_error("'{}' object is not subscriptable", type_name(object));
  }
}

int64_t length(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::kString:
      return static_cast<int64_t>(character_count(text_of(value)));
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDictView:
      return list_of(value).size;
    case Kind::kDict:
      return dict_of(value).size;
    case Kind::kRange:
      return range_of(value).size;
    case Kind::kUndefined:
      return 0;
    case Kind::kLoop:
      return loop_length(runtime, value);
    default:
      type_error("object of type '{}' has no len()", type_name(value));
  }
}

bool is_iterable(const Value& value) {
  switch (value.kind()) {
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDictView:
    case Kind::kDict:
    case Kind::kRange:
    case Kind::kIterator:
    case Kind::kUndefined:
      return true;
    default:
      return false;
  }
}

ValueIterator::ValueIterator(Runtime& runtime, const Value& iterable) : iterable_(iterable) {
  (void)runtime;
  if (!is_iterable(iterable)) type_error("'{}' object is not iterable", type_name(iterable));
}

bool ValueIterator::next(Runtime& runtime, Value& out) {
  runtime.step();
  switch (iterable_.kind()) {
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDictView:
      if (at_ == list_of(iterable_).size) return false;
      out = list_of(iterable_).items[at_++];
      return true;
    case Kind::kDict:
      if (at_ == dict_of(iterable_).size) return false;
      out = dict_of(iterable_).entries[at_++].key;
      return true;
    case Kind::kRange:
      if (at_ == static_cast<size_t>(range_of(iterable_).size)) return false;
      out = Value::integer(range_of(iterable_).at(static_cast<int64_t>(at_++)), iterable_.origin());
      return true;
    case Kind::kString: {  // at_: a byte
      const Text& text = text_of(iterable_);
      if (at_ == text.size) return false;
      const size_t end = at_ + character_at(text.view(), at_).length;
      out = slice_text(runtime, text, at_, end);
      at_ = end;
      return true;
    }
    case Kind::kIterator:
      return JinjaAccess::data(iterable_).iterator->next(runtime, out);
    default:
      return false;
  }
}

Value to_list(Runtime& runtime, const Value& iterable) {
  ValueIterator iterator(runtime, iterable);
  List* list = runtime.new_list(0);
  Value element;
  while (iterator.next(runtime, element)) runtime.push(*list, element);
  return JinjaAccess::list(list, iterable.origin());
}

const List& elements(Runtime& runtime, const Value& iterable) {
  if (has_list(iterable)) return list_of(iterable);
  return list_of(to_list(runtime, iterable));
}

Value make_tuple(Runtime& runtime, std::initializer_list<Value> items) {
  List* list = runtime.new_list(items.size());
  Origin origin = Origin::kTemplate;
  for (const Value& item : items) {
    list->items[list->size++] = item;
    origin = stricter(origin, item.origin());
  }
  return JinjaAccess::list(list, origin, Kind::kTuple);
}

}  // namespace trireme::jinja
