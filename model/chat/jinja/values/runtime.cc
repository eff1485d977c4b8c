#include "model/chat/jinja/values/runtime.h"

#include "base/check.h"
#include "model/chat/jinja/values/print.h"

namespace trireme::jinja {

void fail(std::string_view type, std::string message) {
  Failure failure;
  failure.error.type = type;
  failure.error.message = std::move(message);
  throw failure;
}

void fail_limit(std::string message) {
  Failure failure;
  failure.error.type = "LimitError";
  failure.error.message = std::move(message);
  failure.error.is_limit = true;
  throw failure;
}

void fail_beyond_64_bits() {
  fail("OverflowError", "an integer beyond 64 bits: larger ones take no part in arithmetic");
}

void Runtime::fail_steps() {
  fail_limit(format_text("rendering takes more than {} steps", kMaxSteps));
}

void Runtime::fail_values() {
  fail_limit(format_text("the values of a render take more than {}",
                         format_bytes(static_cast<double>(kMaxJinjaValueBytes))));
}

Value Runtime::string(std::string_view bytes, Origin origin) {
  reserve(bytes.size() + sizeof(Text));
  return JinjaAccess::text(copy_text(heap_, bytes, origin));
}

List* Runtime::new_list(size_t capacity) {
  reserve(sizeof(List) + capacity * sizeof(Value));
  List* list = heap_.make<List>();
  if (capacity > 0) list->items = heap_.make_array<Value>(capacity);
  list->capacity = static_cast<uint32_t>(capacity);
  return list;
}

Value Runtime::undefined_hint(std::string_view hint, bool is_security) {
  UndefinedState* state = heap_.make<UndefinedState>();
  state->hint = text_of(string(hint)).view();
  state->is_security = is_security;
  return JinjaAccess::undefined(state);
}

Value Runtime::undefined_name(std::string_view name) {
  UndefinedState* state = heap_.make<UndefinedState>();
  state->name = JinjaAccess::text(view_text(heap_, name, Origin::kTemplate));
  return JinjaAccess::undefined(state);
}

Value Runtime::undefined_member(const Value& object, const Value& name) {
  reserve(sizeof(UndefinedState));
  UndefinedState* state = heap_.make<UndefinedState>();
  state->has_object = true;
  state->object = object;
  state->name = name;
  return JinjaAccess::undefined(state);
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBoolean:
      return "bool";
    case Kind::kInteger:
    case Kind::kBigInteger:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return text_of(value).markup ? "Markup" : "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kDictView:
      break;
    case Kind::kRange:
      return "range";
    case Kind::kIterator:
      return JinjaAccess::data(value).iterator->type_name;
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kFunction: {
      const Function& function = *JinjaAccess::data(value).function;
      return function.macro != nullptr ? "Macro" : "function";
    }
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kObject:
      return JinjaAccess::data(value).object->kind == ObjectKind::kCycler ? "Cycler" : "Joiner";
  }
  constexpr std::string_view kViews[] = {"dict_keys", "dict_values", "dict_items"};
  return kViews[static_cast<int>(JinjaAccess::view_kind(value))];
}

namespace {

// The name of an object's type in a message about a missing member.
std::string object_words(const Value& object) {
  switch (object.kind()) {
    case Kind::kNone:
      return "None";
    case Kind::kNamespace:
      return "jinja2.utils.Namespace object";
    case Kind::kLoop:
      return "jinja2.runtime.LoopContext object";
    case Kind::kFunction:
      if (JinjaAccess::data(object).function->macro != nullptr) {
        return "jinja2.runtime.Macro object";
      }
      break;
    default:
      break;
  }
  return format_text("{} object", type_name(object));
}

}  // namespace

std::string undefined_message(Runtime& runtime, const Value& undefined) {
  const UndefinedState& state = *JinjaAccess::data(undefined).undefined;
  if (!state.hint.empty()) return std::string(state.hint);
  if (!state.has_object) return format_text("'{}' is undefined", state.name.text());
  const std::string object = object_words(state.object);
  if (is_string(state.name)) {
    return format_text("'{}' has no attribute {}", object, repr_text(runtime, state.name));
  }
  return format_text("{} has no element {}", object, repr_text(runtime, state.name));
}

void fail_undefined(Runtime& runtime, const Value& undefined) {
  const bool is_security = JinjaAccess::data(undefined).undefined->is_security;
  fail(is_security ? "SecurityError" : "UndefinedError", undefined_message(runtime, undefined));
}

Bound::Bound(std::string_view function,
             const Args& args,
             std::initializer_list<std::string_view> parameters,
             uint32_t required) {
  CHECK(parameters.size() <= kMaxParameters);
  if (args.count > parameters.size()) {
    type_error(
        "{}() takes at most {} arguments ({} given)", function, parameters.size(), args.count);
  }
  for (uint32_t i = 0; i < args.count; ++i) values_[i] = &args.values[i];
  for (uint32_t i = 0; i < args.num_named; ++i) {
    uint32_t index = 0;
    while (index < parameters.size() && parameters.begin()[index] != args.name(i)) ++index;
    if (index == parameters.size()) {
      type_error("{}() got an unexpected keyword argument '{}'", function, args.name(i));
    }
    if (values_[index] != nullptr) {
      type_error("{}() got multiple values for argument '{}'", function, args.name(i));
    }
    values_[index] = &args.named[i];
  }
  for (uint32_t i = 0; i < required; ++i) {
    if (values_[i] == nullptr) {
      type_error(
          "{}() missing 1 required positional argument: '{}'", function, parameters.begin()[i]);
    }
  }
}

}  // namespace trireme::jinja
