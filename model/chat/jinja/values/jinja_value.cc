#include "model/chat/jinja/values/jinja_value.h"

#include <algorithm>
#include <cstring>

#include "absl/hash/hash.h"
#include "model/chat/jinja/values/characters.h"
#include "model/chat/jinja/values/values.h"

namespace trireme {

namespace {

using jinja::Dict;
using jinja::DictEntry;
using jinja::List;
using jinja::Text;

constexpr size_t kBlockBytes = size_t{64} << 10;
constexpr uint32_t kSearchedInTurn = 8;  // members that are found without an index

// Doubles the room of an array in a heap; the old one stays behind.
template <class T>
void grow(JinjaHeap& heap, T*& items, uint32_t size, uint32_t& capacity) {
  capacity = capacity == 0 ? 4 : capacity * 2;
  T* larger = heap.make_array<T>(capacity);
  std::copy(items, items + size, larger);
  items = larger;
}

void index_entry(Dict& dict, uint32_t position) {
  const uint32_t mask = dict.index_size - 1;
  uint32_t slot = static_cast<uint32_t>(dict.entries[position].hash) & mask;
  while (dict.index[slot] != 0) slot = (slot + 1) & mask;
  dict.index[slot] = position + 1;
}

void rebuild_index(JinjaHeap& heap, Dict& dict) {
  if (dict.size <= kSearchedInTurn) {
    dict.index_size = 0;
    return;
  }
  uint32_t size = 32;
  while (size < dict.size * 3) size *= 2;
  dict.index = heap.make_array<uint32_t>(size);
  dict.index_size = size;
  std::fill(dict.index, dict.index + size, 0);
  for (uint32_t i = 0; i < dict.size; ++i) index_entry(dict, i);
}

// Entry of `hash` for which `equal` holds.
template <class Equal>
DictEntry* find_entry(const Dict& dict, size_t hash, const Equal& equal) {
  if (dict.index_size == 0) {
    for (uint32_t i = 0; i < dict.size; ++i) {
      DictEntry& entry = dict.entries[i];
      if (entry.hash == hash && equal(entry.key)) return &entry;
    }
    return nullptr;
  }
  const uint32_t mask = dict.index_size - 1;
  for (uint32_t slot = static_cast<uint32_t>(hash) & mask; dict.index[slot] != 0;
       slot = (slot + 1) & mask) {
    DictEntry& entry = dict.entries[dict.index[slot] - 1];
    if (entry.hash == hash && equal(entry.key)) return &entry;
  }
  return nullptr;
}

// A JSON text as values; recursion is bounded by the depth that JSON may have.
class JsonReader {
 public:
  JsonReader(JinjaHeap& heap, Origin origin) : heap_(heap), origin_(origin) {}

  bool read(const JsonValue& json, JinjaValue& out) {
    if (heap_.used_bytes() > kMaxJinjaValueBytes) return false;
    switch (json.kind()) {
      case JsonValue::Kind::kNull:
        out = JinjaValue();
        JinjaAccess::set_origin(out, origin_);
        return true;
      case JsonValue::Kind::kBoolean:
        out = JinjaValue::boolean(json.boolean(), origin_);
        return true;
      case JsonValue::Kind::kNumber:
        out = number(json);
        return true;
      case JsonValue::Kind::kString:
        scratch_.clear();
        json.append_string(scratch_);
        out = heap_.string(scratch_, origin_);
        return true;
      case JsonValue::Kind::kArray:
        return array(json, out);
      case JsonValue::Kind::kObject:
        return object(json, out);
    }
    return false;
  }

 private:
  JinjaValue number(const JsonValue& json) {
    int64_t integer = 0;
    const std::string_view digits = json.text();
    if (digits.find_first_of(".eEnN") != std::string_view::npos) {
      return JinjaValue::number(json.number(), origin_);
    }
    if (json.integer(integer)) return JinjaValue::integer(integer, origin_);
    if (digits == "-0") return JinjaValue::integer(0, origin_);
    return JinjaAccess::big(jinja::copy_text(heap_, digits, origin_));
  }

  bool array(const JsonValue& json, JinjaValue& out) {
    List* list = heap_.make<List>();
    out = JinjaAccess::list(list, origin_);
    bool fits = true;
    const Status status = json.each([&](JsonValue element) {
      JinjaValue value;
      if (!read(element, value)) return stop(fits);
      jinja::list_push(heap_, *list, value);
      return ok_status();
    });
    return fits && status.ok();
  }

  bool object(const JsonValue& json, JinjaValue& out) {
    Dict* dict = heap_.make<Dict>();
    out = JinjaAccess::dict(dict, origin_);
    bool fits = true;
    const Status status = json.each_member([&](std::string_view name, JsonValue member) {
      // Made before the value: reading the value reuses the memory of `name`.
      const JinjaValue key = heap_.string(name, origin_);
      JinjaValue value;
      if (!read(member, value)) return stop(fits);
      jinja::dict_set(heap_, *dict, key, jinja::hash_text(key.text()), value);
      return ok_status();
    });
    return fits && status.ok();
  }

  static Status stop(bool& fits) {
    fits = false;
    return absl::ResourceExhaustedError("");
  }

  JinjaHeap& heap_;
  Origin origin_;
  std::string scratch_;
};

}  // namespace

JinjaValue JinjaValue::boolean(bool value, Origin origin) {
  JinjaValue made = JinjaAccess::make(JinjaKind::kBoolean, origin);
  made.data_.boolean = value;
  return made;
}

JinjaValue JinjaValue::integer(int64_t value, Origin origin) {
  JinjaValue made = JinjaAccess::make(JinjaKind::kInteger, origin);
  made.data_.integer = value;
  return made;
}

JinjaValue JinjaValue::number(double value, Origin origin) {
  JinjaValue made = JinjaAccess::make(JinjaKind::kFloat, origin);
  made.data_.number = value;
  return made;
}

std::string_view JinjaValue::text() const {
  return kind_ == JinjaKind::kString ? data_.text->view() : std::string_view();
}

size_t JinjaValue::size() const {
  if (kind_ == JinjaKind::kList) return data_.list->size;
  return kind_ == JinjaKind::kDict ? data_.dict->size : 0;
}

JinjaValue JinjaValue::at(size_t index) const { return data_.list->items[index]; }

const JinjaValue* JinjaValue::find(std::string_view name) const {
  if (kind_ != JinjaKind::kDict) return nullptr;
  const DictEntry* entry = jinja::dict_find_text(*data_.dict, name);
  return entry != nullptr ? &entry->value : nullptr;
}

JinjaValue JinjaValue::key_at(size_t index) const { return data_.dict->entries[index].key; }
JinjaValue JinjaValue::value_at(size_t index) const { return data_.dict->entries[index].value; }

void* JinjaHeap::allocate(size_t bytes) {
  bytes = (bytes + 7) & ~size_t{7};
  used_bytes_ += bytes;
  if (bytes > left_) {
    if (bytes > kBlockBytes / 4) {  // a block of its own; the current one goes on
      blocks_.push_back(std::make_unique_for_overwrite<char[]>(bytes));
      return blocks_.back().get();
    }
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(kBlockBytes));
    at_ = blocks_.back().get();
    left_ = kBlockBytes;
  }
  void* const memory = at_;
  at_ += bytes;
  left_ -= bytes;
  return memory;
}

JinjaValue JinjaHeap::string(std::string_view text, Origin origin) {
  return JinjaAccess::text(jinja::copy_text(*this, text, origin));
}

JinjaValue JinjaHeap::list() { return JinjaAccess::list(make<List>(), Origin::kTemplate); }
JinjaValue JinjaHeap::dict() { return JinjaAccess::dict(make<Dict>(), Origin::kTemplate); }

bool JinjaHeap::from_json(JsonValue json, Origin origin, JinjaValue& out) {
  return JsonReader(*this, origin).read(json, out);
}

JinjaValue JinjaHeap::copy(const JinjaValue& value, Origin origin) {
  switch (value.kind()) {
    case JinjaKind::kString:
      return string(value.text(), origin);
    case JinjaKind::kBigInteger:
      return JinjaAccess::big(jinja::copy_text(*this, jinja::text_of(value).view(), origin));
    case JinjaKind::kList: {
      List* list = make<List>();
      for (size_t i = 0; i < value.size(); ++i) {
        jinja::list_push(*this, *list, copy(value.at(i), origin));
      }
      return JinjaAccess::list(list, origin);
    }
    case JinjaKind::kDict: {
      Dict* dict = make<Dict>();
      for (uint32_t i = 0; i < jinja::dict_of(value).size; ++i) {
        const DictEntry& entry = jinja::dict_of(value).entries[i];
        jinja::dict_set(
            *this, *dict, copy(entry.key, origin), entry.hash, copy(entry.value, origin));
      }
      return JinjaAccess::dict(dict, origin);
    }
    default: {
      JinjaValue same = value;
      JinjaAccess::set_origin(same, origin);
      return same;
    }
  }
}

void JinjaHeap::push(JinjaValue list, JinjaValue element) {
  jinja::list_push(*this, *list.data_.list, element);
}

void JinjaHeap::set(JinjaValue dict, std::string_view name, JinjaValue value) {
  const JinjaValue key = string(name, dict.origin());
  jinja::dict_set(*this, *dict.data_.dict, key, jinja::hash_text(name), value);
}

void JinjaHeap::erase(JinjaValue dict, std::string_view name) {
  const DictEntry* entry = jinja::dict_find_text(*dict.data_.dict, name);
  if (entry != nullptr) jinja::dict_erase(*this, *dict.data_.dict, entry);
}

namespace jinja {

void list_push(JinjaHeap& heap, List& list, const Value& value) {
  if (list.size == list.capacity) grow(heap, list.items, list.size, list.capacity);
  list.items[list.size++] = value;
}

size_t hash_text(std::string_view text) {
  return absl::HashOf(absl::string_view(text.data(), text.size()));
}

DictEntry* dict_find(const Dict& dict, const Value& key, size_t hash) {
  return find_entry(dict, hash, [&](const Value& other) { return same_key(key, other); });
}

DictEntry* dict_find_text(const Dict& dict, std::string_view key) {
  if (dict.index_size == 0) {  // comparing a few sizes is quicker than hashing
    for (uint32_t i = 0; i < dict.size; ++i) {
      const Value& other = dict.entries[i].key;
      if (is_string(other) && text_of(other).view() == key) return &dict.entries[i];
    }
    return nullptr;
  }
  return find_entry(dict, hash_text(key), [&](const Value& other) {
    return is_string(other) && text_of(other).view() == key;
  });
}

void dict_set(JinjaHeap& heap, Dict& dict, const Value& key, size_t hash, const Value& value) {
  if (DictEntry* entry = dict_find(dict, key, hash); entry != nullptr) {
    entry->value = value;
    return;
  }
  if (dict.size == dict.capacity) grow(heap, dict.entries, dict.size, dict.capacity);
  dict.entries[dict.size++] = {key, value, hash};
  if (dict.size <= kSearchedInTurn) return;
  if (dict.size * 2 > dict.index_size) {
    rebuild_index(heap, dict);
  } else {
    index_entry(dict, dict.size - 1);
  }
}

void dict_erase(JinjaHeap& heap, Dict& dict, const DictEntry* entry) {
  const auto position = static_cast<uint32_t>(entry - dict.entries);
  std::copy(dict.entries + position + 1, dict.entries + dict.size, dict.entries + position);
  --dict.size;
  rebuild_index(heap, dict);
}

bool same_key(const Value& a, const Value& b) {
  if (is_string(a) || is_string(b)) {
    return is_string(a) && is_string(b) && text_of(a).view() == text_of(b).view();
  }
  if (a.is(Kind::kFloat) || b.is(Kind::kFloat)) {
    const auto as_float = [](const Value& v) {
      return v.is(Kind::kFloat) ? float_of(v) : static_cast<double>(whole_of(v));
    };
    const auto is_number = [](const Value& v) { return v.is(Kind::kFloat) || is_integer(v); };
    return is_number(a) && is_number(b) && as_float(a) == as_float(b);
  }
  if (is_integer(a) && is_integer(b)) return whole_of(a) == whole_of(b);
  if (a.kind() != b.kind()) return false;
  if (a.is(Kind::kBigInteger)) return text_of(a).view() == text_of(b).view();
  if (a.is(Kind::kTuple)) {  // hash_of() bounds the depth of a tuple that is a key
    const List& left = list_of(a);
    const List& right = list_of(b);
    return std::equal(
        left.items, left.items + left.size, right.items, right.items + right.size, same_key);
  }
  if (a.is(Kind::kNone) || a.is(Kind::kUndefined)) return true;
  return JinjaAccess::data(a).list == JinjaAccess::data(b).list;  // identity
}

Text* view_text(JinjaHeap& heap, std::string_view bytes, Origin origin) {
  Text* text = heap.make<Text>();
  text->data = bytes.data();
  text->size = static_cast<uint32_t>(bytes.size());
  text->origin = origin;
  return text;
}

Text* copy_text(JinjaHeap& heap, std::string_view bytes, Origin origin) {
  char* data = static_cast<char*>(heap.allocate(bytes.size()));
  if (!bytes.empty()) std::memcpy(data, bytes.data(), bytes.size());
  Text* text = view_text(heap, {data, bytes.size()}, origin);
  text->characters = static_cast<uint32_t>(count_characters(bytes));
  return text;
}

}  // namespace jinja
}  // namespace trireme
