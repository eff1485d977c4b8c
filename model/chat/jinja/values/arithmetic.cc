#include <algorithm>
#include <cmath>
#include <cstring>

#include "model/chat/jinja/values/format.h"
#include "model/chat/jinja/values/operators.h"
#include "model/chat/jinja/values/text_builder.h"

namespace trireme::jinja {

namespace {

constexpr std::string_view kSigns[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};

std::string_view sign_of(Operator operation) { return kSigns[static_cast<int>(operation)]; }

[[noreturn]] void fail_division(std::string_view words) {
  fail("ZeroDivisionError", std::string(words));
}

double as_float(const Value& value) {
  return value.is(Kind::kFloat) ? float_of(value) : static_cast<double>(whole_of(value));
}

double floor_modulo(double a, double b) {
  double remainder = std::fmod(a, b);
  if (remainder != 0) {
    if ((b < 0) != (remainder < 0)) remainder += b;
  } else {
    remainder = std::copysign(0.0, b);
  }
  return remainder;
}

double floor_divide(double a, double b) {
  const double remainder = floor_modulo(a, b);
  const double quotient = (a - remainder) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

double float_power(double a, double b) {
  if (a == 0 && b < 0) fail_division("0.0 cannot be raised to a negative power");
  if (a < 0 && std::isfinite(a) && std::isfinite(b) && b != std::floor(b)) {
    fail("ValueError", "a negative number with a fractional power is complex");
  }
  const double power = std::pow(a, b);
  if (std::isinf(power) && std::isfinite(a) && std::isfinite(b)) {
    fail("OverflowError", "(34, 'Numerical result out of range')");
  }
  return power;
}

int64_t integer_power(int64_t base, int64_t exponent) {
  int64_t power = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(power, base, &power)) fail_beyond_64_bits();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) fail_beyond_64_bits();
  }
  return power;
}

Value float_arithmetic(Operator operation, double a, double b, Origin origin) {
  switch (operation) {
    case Operator::kAdd:
      return Value::number(a + b, origin);
    case Operator::kSubtract:
      return Value::number(a - b, origin);
    case Operator::kMultiply:
      return Value::number(a * b, origin);
    case Operator::kDivide:
      if (b == 0) fail_division("float division by zero");
      return Value::number(a / b, origin);
    case Operator::kFloorDivide:
      if (b == 0) fail_division("float floor division by zero");
      return Value::number(floor_divide(a, b), origin);
    case Operator::kModulo:
      if (b == 0) fail_division("float modulo");
      return Value::number(floor_modulo(a, b), origin);
    case Operator::kPower:
      return Value::number(float_power(a, b), origin);
  }
  return {};
}

Value integer_arithmetic(Operator operation, int64_t a, int64_t b, Origin origin) {
  int64_t made = 0;
  switch (operation) {
    case Operator::kAdd:
      if (__builtin_add_overflow(a, b, &made)) fail_beyond_64_bits();
      break;
    case Operator::kSubtract:
      if (__builtin_sub_overflow(a, b, &made)) fail_beyond_64_bits();
      break;
    case Operator::kMultiply:
      if (__builtin_mul_overflow(a, b, &made)) fail_beyond_64_bits();
      break;
    case Operator::kDivide:
      if (b == 0) fail_division("division by zero");
      return Value::number(static_cast<double>(static_cast<long double>(a) / b), origin);
    case Operator::kFloorDivide:
    case Operator::kModulo: {
      if (b == 0) fail_division("integer division or modulo by zero");
      if (b == -1) {  // INT64_MIN / -1 traps
        if (operation == Operator::kModulo) return Value::integer(0, origin);
        if (__builtin_sub_overflow(int64_t{0}, a, &made)) fail_beyond_64_bits();
        break;
      }
      const int64_t remainder = a % b;
      const bool adjust = remainder != 0 && (remainder < 0) != (b < 0);
      made = operation == Operator::kModulo ? remainder + (adjust ? b : 0)
                                            : a / b - static_cast<int64_t>(adjust);
      break;
    }
    case Operator::kPower:
      if (b < 0) {
        if (a == 0) fail_division("0.0 cannot be raised to a negative power");
        return Value::number(float_power(static_cast<double>(a), static_cast<double>(b)), origin);
      }
      made = integer_power(a, b);
      break;
  }
  return Value::integer(made, origin);
}

// The number of times a sequence is repeated, checked against the limit of values.
size_t repeats(Runtime& runtime, const Value& count, size_t item_bytes) {
  const int64_t times = std::max<int64_t>(whole_of(count), 0);
  if (item_bytes == 0) return 0;
  const auto most = static_cast<int64_t>(kMaxJinjaValueBytes / item_bytes) + 1;
  runtime.reserve(static_cast<size_t>(std::min(times, most)) * item_bytes);
  return static_cast<size_t>(times);
}

Value repeat(Runtime& runtime, const Value& sequence, const Value& count) {
  if (!is_integer(count)) {
    type_error("can't multiply sequence by non-int of type '{}'", type_name(count));
  }
  if (is_string(sequence)) {
    const Text& text = text_of(sequence);
    const size_t times = repeats(runtime, count, text.size);
    TextBuilder out(runtime);
    for (size_t i = 0; i < times; ++i) out.append(text);
    return text.markup ? with_markup(runtime, out.value()) : out.value();
  }
  const List& list = list_of(sequence);
  const size_t times = repeats(runtime, count, list.size * sizeof(Value));
  List* made = runtime.new_list(times * list.size);
  for (size_t i = 0; i < times; ++i) {
    std::copy(list.items, list.items + list.size, made->items + made->size);
    made->size += list.size;
  }
  return JinjaAccess::list(made, sequence.origin(), sequence.kind());
}

bool is_sequence(const Value& value) {
  return is_string(value) || value.is(Kind::kList) || value.is(Kind::kTuple);
}

Value add_texts(Runtime& runtime, const Value& left, const Value& right) {
  const bool left_markup = text_of(left).markup;
  const bool right_markup = text_of(right).markup;
  if (!left_markup && !right_markup) return concatenate(runtime, text_of(left), text_of(right));
  const Value safe_left = left_markup ? left : escape(runtime, left);
  const Value safe_right = right_markup ? right : escape(runtime, right);
  return with_markup(runtime, concatenate(runtime, text_of(safe_left), text_of(safe_right)));
}

Value add_lists(Runtime& runtime, const Value& left, const Value& right) {
  const List& a = list_of(left);
  const List& b = list_of(right);
  List* made = runtime.new_list(size_t{a.size} + b.size);
  std::copy(a.items, a.items + a.size, made->items);
  std::copy(b.items, b.items + b.size, made->items + a.size);
  made->size = a.size + b.size;
  return JinjaAccess::list(made, stricter(left.origin(), right.origin()), left.kind());
}

[[noreturn]] void fail_operands(Operator operation, const Value& left, const Value& right) {
  if (left.is(Kind::kBigInteger) || right.is(Kind::kBigInteger)) fail_beyond_64_bits();
  if (operation == Operator::kAdd && is_sequence(left)) {
    type_error("can only concatenate {} (not \"{}\") to {}",
               type_name(left),
               type_name(right),
               type_name(left));
  }
  type_error("unsupported operand type(s) for {}: '{}' and '{}'",
             sign_of(operation),
             type_name(left),
             type_name(right));
}

}  // namespace

Value arithmetic(Runtime& runtime, Operator operation, const Value& left, const Value& right) {
  const Origin origin = stricter(left.origin(), right.origin());
  if (is_integer(left) && is_integer(right)) {
    return integer_arithmetic(operation, whole_of(left), whole_of(right), origin);
  }
  const bool left_number = is_integer(left) || left.is(Kind::kFloat);
  const bool right_number = is_integer(right) || right.is(Kind::kFloat);
  if (left_number && right_number) {
    return float_arithmetic(operation, as_float(left), as_float(right), origin);
  }
  if (is_string(left) && operation == Operator::kModulo) {
    return format_percent(runtime, left, right);
  }
  if (is_undefined(left)) fail_undefined(runtime, left);
  if (is_undefined(right)) fail_undefined(runtime, right);
  if (operation == Operator::kAdd && left.kind() == right.kind()) {
    if (is_string(left)) return add_texts(runtime, left, right);
    if (is_sequence(left)) return add_lists(runtime, left, right);
  }
  if (operation == Operator::kMultiply) {
    if (is_sequence(left)) return repeat(runtime, left, right);
    if (is_sequence(right)) return repeat(runtime, right, left);
  }
  fail_operands(operation, left, right);
}

Value negate(Runtime& runtime, const Value& value) {
  if (value.is(Kind::kFloat)) return Value::number(-float_of(value), value.origin());
  if (is_integer(value)) {
    return integer_arithmetic(Operator::kSubtract, 0, whole_of(value), value.origin());
  }
  if (is_undefined(value)) fail_undefined(runtime, value);
  if (value.is(Kind::kBigInteger)) fail_beyond_64_bits();
  type_error("bad operand type for unary -: '{}'", type_name(value));
}

Value positive(Runtime& runtime, const Value& value) {
  if (is_integer(value)) return Value::integer(whole_of(value), value.origin());
  if (value.is(Kind::kFloat) || value.is(Kind::kBigInteger)) return value;
  if (is_undefined(value)) fail_undefined(runtime, value);
  type_error("bad operand type for unary +: '{}'", type_name(value));
}

}  // namespace trireme::jinja
