// One render: its heap, its steps and the failures that end it. Owned by the thread that renders.
// Failures are C++ exceptions inside the engine; JinjaTemplate catches them all.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "model/chat/jinja/values/template_error.h"
#include "model/chat/jinja/values/values.h"

namespace trireme::jinja {

struct Failure {
  TemplateError error;
};

[[noreturn]] void fail(std::string_view type, std::string message);
[[noreturn]] void fail_limit(std::string message);
// OverflowError: Python's integers have no bound, these have one.
[[noreturn]] void fail_beyond_64_bits();

template <class... Args>
[[noreturn]] void type_error(FormatString<std::type_identity_t<Args>...> format,
                             const Args&... args) {
  fail("TypeError", format_text(format, args...));
}
template <class... Args>
[[noreturn]] void value_error(FormatString<std::type_identity_t<Args>...> format,
                              const Args&... args) {
  fail("ValueError", format_text(format, args...));
}

constexpr int64_t kMaxSteps = 2'000'000;
constexpr size_t kMaxOutputBytes = size_t{16} << 20;
constexpr int kMaxCallDepth = 64;   // macros, call blocks and recursive loops
constexpr int kMaxNesting = 1000;   // blocks and expressions within one another, over all calls
constexpr int kMaxValueDepth = 96;  // 64 levels of JSON, and what a template puts around them
constexpr size_t kBytesPerStep = 64;

// Arguments of a call: positional ones and names with values. Names are strings with their origin:
// **x takes them from data.
struct Args {
  const Value* values = nullptr;
  uint32_t count = 0;
  const Value* names = nullptr;
  const Value* named = nullptr;
  uint32_t num_named = 0;

  std::string_view name(uint32_t i) const { return names[i].text(); }
};

// A function of the library; `self` is the object of a method, the input of a filter or a test.
using FunctionBody = Value (*)(Runtime& runtime, const Value& self, const Args& args);

struct MacroState;

// A function, a method bound to its object, or a macro.
struct Function {
  std::string_view name;
  FunctionBody body = nullptr;
  Value self;
  const MacroState* macro = nullptr;
};

enum class ObjectKind : uint8_t { kCycler, kJoiner };
struct Object {
  ObjectKind kind = ObjectKind::kCycler;
  List items;
  uint32_t position = 0;
};

class Runtime {
 public:
  explicit Runtime(const RenderOptions& options) : options_(options) {}

  JinjaHeap& heap() { return heap_; }
  const RenderOptions& options() const { return options_; }

  void step(int64_t count = 1) {
    steps_ += count;
    if (steps_ > kMaxSteps) fail_steps();
  }
  // Before an operation that makes or reads so many bytes.
  void step_bytes(size_t bytes) { step(static_cast<int64_t>(bytes / kBytesPerStep)); }
  // Before so many bytes of values are made.
  void reserve(size_t bytes) {
    step_bytes(bytes);
    if (heap_.used_bytes() + bytes > kMaxJinjaValueBytes) fail_values();
  }
  int64_t steps() const { return steps_; }

  // Makers of values. The bytes are copied.
  Value string(std::string_view bytes, Origin origin = Origin::kTemplate);
  // A list with room for `capacity` elements.
  List* new_list(size_t capacity);
  void push(List& list, const Value& value) {
    if (list.size == list.capacity) reserve(size_t{list.size} * 2 * sizeof(Value));
    list_push(heap_, list, value);
  }
  Value undefined_hint(std::string_view hint, bool is_security = false);
  Value undefined_name(std::string_view name);
  Value undefined_member(const Value& object, const Value& name);

 private:
  [[noreturn]] static void fail_steps();
  [[noreturn]] static void fail_values();

  RenderOptions options_;
  JinjaHeap heap_;
  int64_t steps_ = 0;
};

// One level of a recursive walk over values.
class ValueDepth {
 public:
  explicit ValueDepth(int& depth) : depth_(depth) {
    if (++depth_ > kMaxValueDepth) {
      fail_limit(format_text("a value is nested deeper than {} levels", kMaxValueDepth));
    }
  }
  ~ValueDepth() { --depth_; }
  ValueDepth(const ValueDepth&) = delete;
  ValueDepth& operator=(const ValueDepth&) = delete;

 private:
  int& depth_;
};

// "str", "int", "dict", ... as type(value).__name__ gives it.
std::string_view type_name(const Value& value);
// The failure of a use of an undefined value.
[[noreturn]] void fail_undefined(Runtime& runtime, const Value& undefined);
std::string undefined_message(Runtime& runtime, const Value& undefined);

// Python's binding of arguments to the parameters of a function of the library. The first
// `required` of them must be given.
class Bound {
 public:
  Bound(std::string_view function,
        const Args& args,
        std::initializer_list<std::string_view> parameters,
        uint32_t required = 0);
  bool has(uint32_t index) const { return values_[index] != nullptr; }
  const Value& operator[](uint32_t index) const { return *values_[index]; }
  Value value_or(uint32_t index, const Value& otherwise) const {
    return has(index) ? *values_[index] : otherwise;
  }

 private:
  static constexpr uint32_t kMaxParameters = 8;
  const Value* values_[kMaxParameters] = {};
};

}  // namespace trireme::jinja
