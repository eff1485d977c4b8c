// Values of chat templates and the heap that they live in. A value is 16 bytes and points into the
// heap that made it; the heap frees all of them at once, so neither depth nor cycles matter.
// A heap has one writing thread; once filled, any number of threads may render from it. Invariant:
// every byte of a string has an origin, every number, boolean and container one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/json_value.h"
#include "model/chat/jinja/values/marked_text.h"

namespace trireme {

enum class JinjaKind : uint8_t {
  kUndefined,
  kNone,
  kBoolean,
  kInteger,
  kBigInteger,  // beyond 64 bits: keeps its digits; arithmetic refuses it
  kFloat,
  kString,
  kList,
  kTuple,
  kDict,
  kDictView,
  kRange,
  kIterator,
  kNamespace,
  kFunction,
  kLoop,
  kObject,  // cycler, joiner
};

namespace jinja {
struct Text;
struct List;
struct Dict;
struct Range;
struct Iterator;
struct Function;
struct LoopState;
struct UndefinedState;
struct Object;
}  // namespace jinja

class JinjaHeap;

class JinjaValue {
 public:
  JinjaValue() : kind_(JinjaKind::kNone) { data_.integer = 0; }
  static JinjaValue none() { return {}; }
  static JinjaValue boolean(bool value, Origin origin = Origin::kTemplate);
  static JinjaValue integer(int64_t value, Origin origin = Origin::kTemplate);
  static JinjaValue number(double value, Origin origin = Origin::kTemplate);

  JinjaKind kind() const { return kind_; }
  bool is(JinjaKind kind) const { return kind_ == kind; }
  Origin origin() const { return origin_; }

  // The bytes of a string; "" for every other kind.
  std::string_view text() const;
  // Elements of a list or members of a dict; 0 for every other kind.
  size_t size() const;
  // An element of a list. Precondition: index < size().
  JinjaValue at(size_t index) const;
  // The member of that name; null if this is no dict or has none.
  const JinjaValue* find(std::string_view name) const;
  // The key and value of a member of a dict. Precondition: index < size().
  JinjaValue key_at(size_t index) const;
  JinjaValue value_at(size_t index) const;

 private:
  friend class JinjaHeap;
  friend struct JinjaAccess;  // the engine's view, in values.h

  JinjaKind kind_;
  Origin origin_ = Origin::kTemplate;
  uint8_t detail_ = 0;
  union {
    bool boolean;
    int64_t integer;
    double number;
    const jinja::Text* text;
    jinja::List* list;
    jinja::Dict* dict;
    jinja::Range* range;
    jinja::Iterator* iterator;
    jinja::Function* function;
    jinja::LoopState* loop;
    jinja::UndefinedState* undefined;
    jinja::Object* object;
  } data_;
};

constexpr size_t kMaxJinjaValueBytes = size_t{64} << 20;

class JinjaHeap {
 public:
  JinjaHeap() = default;
  JinjaHeap(const JinjaHeap&) = delete;
  JinjaHeap& operator=(const JinjaHeap&) = delete;

  JinjaValue string(std::string_view text, Origin origin);
  JinjaValue list();
  JinjaValue dict();
  // All strings, numbers, names and containers get `origin`. Of members with one name the last
  // counts. False if this heap would hold more than kMaxJinjaValueBytes.
  bool from_json(JsonValue json, Origin origin, JinjaValue& out);
  // The same value with every origin replaced by `origin`; shares nothing with `value`. Its depth
  // is that of JSON.
  JinjaValue copy(const JinjaValue& value, Origin origin);

  // Precondition: `list` and `dict` are of this heap and not yet part of a render.
  void push(JinjaValue list, JinjaValue element);
  // Replaces the value of a member that exists, in its place. The name gets the dict's origin.
  void set(JinjaValue dict, std::string_view name, JinjaValue value);
  void erase(JinjaValue dict, std::string_view name);

  size_t used_bytes() const { return used_bytes_; }

  // Memory for trivially destructible data, aligned to 8 bytes.
  void* allocate(size_t bytes);
  template <class T>
  T* make() {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (allocate(sizeof(T))) T();
  }
  template <class T>
  T* make_array(size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    return static_cast<T*>(allocate(sizeof(T) * count));
  }

 private:
  friend struct JinjaAccess;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* at_ = nullptr;
  size_t left_ = 0;
  size_t used_bytes_ = 0;
};

}  // namespace trireme
