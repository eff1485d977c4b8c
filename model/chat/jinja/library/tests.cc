// The tests of the language: `value is name(arguments)`.
#include "model/chat/jinja/values/characters.h"
#include "model/chat/jinja/values/library.h"
#include "model/chat/jinja/values/methods.h"
#include "model/chat/jinja/values/operators.h"
#include "model/chat/jinja/values/print.h"

namespace trireme::jinja {

namespace {

template <bool (*holds)(const Value&)>
Value check(Runtime& runtime, const Value& self, const Args& args) {
  (void)runtime;
  Bound("test", args, {});
  return Value::boolean(holds(self));
}

template <Comparison comparison>
Value compared(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("test", args, {"b"}, 1);
  return Value::boolean(compare(runtime, comparison, self, bound[0]));
}

bool is_defined(const Value& v) { return !is_undefined(v); }
bool is_none(const Value& v) { return v.is(Kind::kNone); }
bool is_boolean(const Value& v) { return v.is(Kind::kBoolean); }
bool is_true_word(const Value& v) { return v.is(Kind::kBoolean) && boolean_of(v); }
bool is_false_word(const Value& v) { return v.is(Kind::kBoolean) && !boolean_of(v); }
bool is_whole(const Value& v) { return v.is(Kind::kInteger) || v.is(Kind::kBigInteger); }
bool is_float(const Value& v) { return v.is(Kind::kFloat); }
bool is_number(const Value& v) { return is_whole(v) || is_boolean(v) || is_float(v); }
bool is_mapping(const Value& v) { return v.is(Kind::kDict); }
bool is_escaped(const Value& v) { return is_string(v) && text_of(v).markup; }

// Values with a length and subscripts; an undefined one has both.
bool is_sequence(const Value& v) {
  return is_string(v) || v.is(Kind::kList) || v.is(Kind::kTuple) || v.is(Kind::kDict) ||
         v.is(Kind::kRange) || is_undefined(v);
}

bool is_callable(const Value& v) {
  return v.is(Kind::kFunction) || v.is(Kind::kLoop) || is_undefined(v) ||
         (v.is(Kind::kObject) && JinjaAccess::data(v).object->kind == ObjectKind::kJoiner);
}

bool iterable_or_loop(const Value& v) { return is_iterable(v) || v.is(Kind::kLoop); }

template <int64_t remainder>
Value parity(Runtime& runtime, const Value& self, const Args& args) {
  Bound("test", args, {});
  const Value rest = arithmetic(runtime, Operator::kModulo, self, Value::integer(2));
  return Value::boolean(equal(runtime, rest, Value::integer(remainder)));
}

Value divisible(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("test_divisibleby", args, {"num"}, 1);
  const Value rest = arithmetic(runtime, Operator::kModulo, self, bound[0]);
  return Value::boolean(equal(runtime, rest, Value::integer(0)));
}

template <bool (*is_case)(char32_t)>
Value cased(Runtime& runtime, const Value& self, const Args& args) {
  Bound("test", args, {});
  return Value::boolean(all_of_case(runtime, text_of(to_string(runtime, self)), is_case));
}

// Identity: of scalars, equality within one kind.
Value same(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("test_sameas", args, {"other"}, 1);
  if (self.kind() != bound[0].kind()) return Value::boolean(false);
  if (has_list(self) || self.is(Kind::kDict)) {
    return Value::boolean(JinjaAccess::data(self).list == JinjaAccess::data(bound[0]).list);
  }
  return Value::boolean(equal(runtime, self, bound[0]));
}

Value in(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("test_in", args, {"seq"}, 1);
  return Value::boolean(contains(runtime, bound[0], self));
}

template <FunctionBody (*find)(std::string_view)>
Value exists(Runtime& runtime, const Value& self, const Args& args) {
  (void)runtime;
  Bound("test", args, {});
  hash_of(self);  // the name is looked up in a dict
  return Value::boolean(is_string(self) && find(self.text()) != nullptr);
}

constexpr NamedFunction kTests[] = {
    {"!=", compared<Comparison::kNotEqual>},
    {"<", compared<Comparison::kLess>},
    {"<=", compared<Comparison::kLessEqual>},
    {"==", compared<Comparison::kEqual>},
    {">", compared<Comparison::kGreater>},
    {">=", compared<Comparison::kGreaterEqual>},
    {"boolean", check<is_boolean>},
    {"callable", check<is_callable>},
    {"defined", check<is_defined>},
    {"divisibleby", divisible},
    {"eq", compared<Comparison::kEqual>},
    {"equalto", compared<Comparison::kEqual>},
    {"escaped", check<is_escaped>},
    {"even", parity<0>},
    {"false", check<is_false_word>},
    {"filter", exists<find_filter>},
    {"float", check<is_float>},
    {"ge", compared<Comparison::kGreaterEqual>},
    {"greaterthan", compared<Comparison::kGreater>},
    {"gt", compared<Comparison::kGreater>},
    {"in", in},
    {"integer", check<is_whole>},
    {"iterable", check<iterable_or_loop>},
    {"le", compared<Comparison::kLessEqual>},
    {"lessthan", compared<Comparison::kLess>},
    {"lower", cased<is_lower>},
    {"lt", compared<Comparison::kLess>},
    {"mapping", check<is_mapping>},
    {"ne", compared<Comparison::kNotEqual>},
    {"none", check<is_none>},
    {"number", check<is_number>},
    {"odd", parity<1>},
    {"sameas", same},
    {"sequence", check<is_sequence>},
    {"string", check<is_string>},
    {"test", exists<find_test>},
    {"true", check<is_true_word>},
    {"undefined", check<is_undefined>},
    {"upper", cased<is_upper>},
};

}  // namespace

FunctionBody find_test(std::string_view name) {
  for (const NamedFunction& test : kTests) {
    if (test.name == name) return test.body;
  }
  return nullptr;
}

FunctionBody find_filter(std::string_view name) {
  FunctionBody body = find_text_filter(name);
  if (body == nullptr) body = find_list_filter(name);
  if (body == nullptr) body = find_lazy_filter(name);
  return body != nullptr ? body : find_number_filter(name);
}

bool is_refused_filter(std::string_view name) {
  constexpr std::string_view kRefused[] = {
      "pprint", "random", "striptags", "urlize", "wordwrap", "xmlattr"};
  for (const std::string_view refused : kRefused) {
    if (refused == name) return true;
  }
  return false;
}

}  // namespace trireme::jinja
