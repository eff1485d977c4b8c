// The engine's view of values: the structures behind JinjaValue and access to them. They live in a
// JinjaHeap, are made by one thread and are const once they can be reached by a second one.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/chat/jinja/values/jinja_value.h"

namespace trireme {

namespace jinja {

using Value = JinjaValue;
using Kind = JinjaKind;

// A stretch of bytes of one origin, from the end of the one before it to `end`.
struct Run {
  uint32_t end = 0;
  Origin origin = Origin::kTemplate;
};

// Memory that the last text in it may still grow into.
struct Growth {
  char* data = nullptr;
  uint32_t used = 0;
  uint32_t capacity = 0;
};

constexpr uint32_t kUnknown = UINT32_MAX;

// A string of UTF-8. Without runs all bytes have one origin, else runs cover them all.
struct Text {
  const char* data = nullptr;
  uint32_t size = 0;
  // See character_count(). Known in every heap that several threads may read.
  mutable uint32_t characters = kUnknown;
  const Run* runs = nullptr;
  uint32_t num_runs = 0;
  Origin origin = Origin::kTemplate;
  bool markup = false;  // made by `safe` or `escape`
  Growth* growth = nullptr;

  std::string_view view() const { return {data, size}; }
};

struct List {
  Value* items = nullptr;
  uint32_t size = 0;
  uint32_t capacity = 0;
};

struct DictEntry {
  Value key;
  Value value;
  size_t hash = 0;
};

// Members in the order of insertion. `index` is a table of open addressing with positions + 1.
struct Dict {
  DictEntry* entries = nullptr;
  uint32_t size = 0;
  uint32_t capacity = 0;
  uint32_t* index = nullptr;
  uint32_t index_size = 0;  // a power of two, 0: entries are searched in turn
};

struct Range {
  int64_t start = 0;
  int64_t stop = 0;
  int64_t step = 1;
  int64_t size = 0;
  int64_t at(int64_t i) const { return start + i * step; }
};

enum class ViewKind : uint8_t { kKeys, kValues, kItems };

// An absent value: which name of which object, or its own words; using it fails with `error`.
struct UndefinedState {
  bool has_object = false;
  Value object;
  Value name;  // string, or any key
  std::string_view hint;
  bool is_security = false;
};

class Runtime;

// Yields values once. Made in a heap: no destructor runs.
struct Iterator {
  virtual bool next(Runtime& runtime, Value& out) = 0;
  const char* type_name = "generator";
};

}  // namespace jinja

struct JinjaAccess {
  using Value = JinjaValue;
  static Value make(JinjaKind kind, Origin origin) {
    Value value;
    value.kind_ = kind;
    value.origin_ = origin;
    return value;
  }
  static Value text(const jinja::Text* text) {
    Value value = make(JinjaKind::kString, text->origin);
    value.data_.text = text;
    return value;
  }
  static Value big(const jinja::Text* digits) {
    Value value = make(JinjaKind::kBigInteger, digits->origin);
    value.data_.text = digits;
    return value;
  }
  static Value list(jinja::List* list, Origin origin, JinjaKind kind = JinjaKind::kList) {
    Value value = make(kind, origin);
    value.data_.list = list;
    return value;
  }
  static Value view(jinja::List* list, Origin origin, jinja::ViewKind which) {
    Value value = list_of_kind(list, origin);
    value.detail_ = static_cast<uint8_t>(which);
    return value;
  }
  static Value dict(jinja::Dict* dict, Origin origin, JinjaKind kind = JinjaKind::kDict) {
    Value value = make(kind, origin);
    value.data_.dict = dict;
    return value;
  }
  static Value range(jinja::Range* range, Origin origin) {
    Value value = make(JinjaKind::kRange, origin);
    value.data_.range = range;
    return value;
  }
  static Value iterator(jinja::Iterator* iterator) {
    Value value = make(JinjaKind::kIterator, Origin::kTemplate);
    value.data_.iterator = iterator;
    return value;
  }
  static Value function(jinja::Function* function) {
    Value value = make(JinjaKind::kFunction, Origin::kTemplate);
    value.data_.function = function;
    return value;
  }
  static Value loop(jinja::LoopState* loop) {
    Value value = make(JinjaKind::kLoop, Origin::kTemplate);
    value.data_.loop = loop;
    return value;
  }
  static Value object(jinja::Object* object) {
    Value value = make(JinjaKind::kObject, Origin::kTemplate);
    value.data_.object = object;
    return value;
  }
  static Value undefined(jinja::UndefinedState* state) {
    Value value = make(JinjaKind::kUndefined, Origin::kTemplate);
    value.data_.undefined = state;
    return value;
  }
  static const auto& data(const Value& value) { return value.data_; }
  static jinja::ViewKind view_kind(const Value& v) {
    return static_cast<jinja::ViewKind>(v.detail_);
  }
  // A tuple (grouper, list) whose elements have these names.
  static void set_group(Value& tuple) { tuple.detail_ = 1; }
  static bool is_group(const Value& v) { return v.is(JinjaKind::kTuple) && v.detail_ == 1; }
  static void set_origin(Value& value, Origin origin) { value.origin_ = origin; }

 private:
  static Value list_of_kind(jinja::List* of, Origin origin) {
    return list(of, origin, JinjaKind::kDictView);
  }
};

namespace jinja {

inline const Text& text_of(const Value& v) { return *JinjaAccess::data(v).text; }
inline int64_t integer_of(const Value& v) { return JinjaAccess::data(v).integer; }
inline double float_of(const Value& v) { return JinjaAccess::data(v).number; }
inline bool boolean_of(const Value& v) { return JinjaAccess::data(v).boolean; }
inline List& list_of(const Value& v) { return *JinjaAccess::data(v).list; }
inline Dict& dict_of(const Value& v) { return *JinjaAccess::data(v).dict; }
inline const Range& range_of(const Value& v) { return *JinjaAccess::data(v).range; }
inline bool is_string(const Value& v) { return v.is(Kind::kString); }
inline bool is_undefined(const Value& v) { return v.is(Kind::kUndefined); }
// List, tuple or the view of a dict: all three have a List.
inline bool has_list(const Value& v) {
  return v.is(Kind::kList) || v.is(Kind::kTuple) || v.is(Kind::kDictView);
}
// Booleans are integers, as in Python.
inline bool is_integer(const Value& v) { return v.is(Kind::kInteger) || v.is(Kind::kBoolean); }
inline int64_t whole_of(const Value& v) {
  return v.is(Kind::kBoolean) ? static_cast<int64_t>(boolean_of(v)) : integer_of(v);
}

// The stricter of two: message, then assistant, then template.
inline Origin stricter(Origin a, Origin b) {
  if (a == Origin::kMessage || b == Origin::kMessage) return Origin::kMessage;
  return a == Origin::kTemplate ? b : a;
}

// Growth of a list and a dict. `dict_find` needs keys that can be hashed (operators.h).
void list_push(JinjaHeap& heap, List& list, const Value& value);
size_t hash_text(std::string_view text);
DictEntry* dict_find(const Dict& dict, const Value& key, size_t hash);
DictEntry* dict_find_text(const Dict& dict, std::string_view key);
// Replaces the value of an equal key, or appends.
void dict_set(JinjaHeap& heap, Dict& dict, const Value& key, size_t hash, const Value& value);
void dict_erase(JinjaHeap& heap, Dict& dict, const DictEntry* entry);

// Whether two hashable keys are equal; 1, 1.0 and true are.
bool same_key(const Value& a, const Value& b);

// A text in `heap`: `copy_text` copies the bytes, `view_text` keeps pointing to them.
Text* copy_text(JinjaHeap& heap, std::string_view bytes, Origin origin);
Text* view_text(JinjaHeap& heap, std::string_view bytes, Origin origin);

}  // namespace jinja
}  // namespace trireme
