#include "model/chat/jinja/values/operators.h"

#include <algorithm>
#include <cmath>

#include "absl/hash/hash.h"
#include "model/chat/jinja/values/text_builder.h"

namespace trireme::jinja {

namespace {

bool is_number(const Value& value) { return is_integer(value) || value.is(Kind::kFloat); }

// -1, 0 or 1; 2 if one of them is NaN. long double holds every 64-bit integer.
int order_numbers(const Value& left, const Value& right) {
  if (is_integer(left) && is_integer(right)) {
    const int64_t a = whole_of(left);
    const int64_t b = whole_of(right);
    return a < b ? -1 : static_cast<int>(a > b);
  }
  const auto wide = [](const Value& v) {
    return v.is(Kind::kFloat) ? static_cast<long double>(float_of(v))
                              : static_cast<long double>(whole_of(v));
  };
  const long double a = wide(left);
  const long double b = wide(right);
  if (std::isnan(a) || std::isnan(b)) return 2;
  return a < b ? -1 : static_cast<int>(a > b);
}

bool same_sequence_kind(const Value& left, const Value& right) {
  return left.kind() == right.kind() && (left.is(Kind::kList) || left.is(Kind::kTuple));
}

class Comparer {
 public:
  explicit Comparer(Runtime& runtime) : runtime_(runtime) {}

  bool equal(const Value& left, const Value& right) {
    runtime_.step();
    if (is_string(left) || is_string(right)) {
      if (left.kind() != right.kind()) return false;
      runtime_.step_bytes(std::min(text_of(left).size, text_of(right).size));
      return text_of(left).view() == text_of(right).view();
    }
    if (is_number(left) && is_number(right)) return order_numbers(left, right) == 0;
    if (same_sequence_kind(left, right)) return equal_lists(list_of(left), list_of(right));
    if (left.is(Kind::kDict) && right.is(Kind::kDict)) return equal_dicts(left, right);
    if (left.is(Kind::kDictView) && right.is(Kind::kDictView)) return equal_views(left, right);
    if (left.is(Kind::kRange) && right.is(Kind::kRange)) {
      return equal_ranges(range_of(left), range_of(right));
    }
    return same_key(left, right);
  }

  // The outcome of an order operator by its sign: for unequal values -1 or 1, for equal ones 0.
  int order(const Value& left, const Value& right, std::string_view sign) {
    runtime_.step();
    if (is_number(left) && is_number(right)) return order_numbers(left, right);
    if (is_string(left) && is_string(right)) {
      runtime_.step_bytes(std::min(text_of(left).size, text_of(right).size));
      const int order = text_of(left).view().compare(text_of(right).view());
      return order < 0 ? -1 : static_cast<int>(order > 0);
    }
    if (same_sequence_kind(left, right)) return order_lists(left, right, sign);
    if (is_undefined(left)) fail_undefined(runtime_, left);
    if (is_undefined(right)) fail_undefined(runtime_, right);
    if (left.is(Kind::kBigInteger) || right.is(Kind::kBigInteger)) {
      fail("OverflowError", "integers beyond 64 bits cannot be compared");
    }
    type_error("'{}' not supported between instances of '{}' and '{}'",
               sign,
               type_name(left),
               type_name(right));
  }

 private:
  bool equal_lists(const List& left, const List& right) {
    const ValueDepth level(depth_);
    if (left.size != right.size) return false;
    for (uint32_t i = 0; i < left.size; ++i) {
      if (!equal(left.items[i], right.items[i])) return false;
    }
    return true;
  }

  bool equal_dicts(const Value& left, const Value& right) {
    const ValueDepth level(depth_);
    const Dict& a = dict_of(left);
    const Dict& b = dict_of(right);
    if (a.size != b.size) return false;
    for (uint32_t i = 0; i < a.size; ++i) {
      const DictEntry* other = dict_find(b, a.entries[i].key, a.entries[i].hash);
      if (other == nullptr || !equal(a.entries[i].value, other->value)) return false;
    }
    return true;
  }

  // Views of keys and items compare as sets, those of values by identity.
  bool equal_views(const Value& left, const Value& right) {
    if (JinjaAccess::view_kind(left) != JinjaAccess::view_kind(right)) return false;
    if (JinjaAccess::view_kind(left) == ViewKind::kValues) return false;
    const ValueDepth level(depth_);
    const List& a = list_of(left);
    const List& b = list_of(right);
    return a.size == b.size && std::all_of(a.items, a.items + a.size, [&](const Value& item) {
             return std::any_of(
                 b.items, b.items + b.size, [&](const Value& other) { return equal(item, other); });
           });
  }

  static bool equal_ranges(const Range& a, const Range& b) {
    if (a.size != b.size) return false;
    return a.size == 0 || (a.start == b.start && (a.size == 1 || a.step == b.step));
  }

  int order_lists(const Value& left, const Value& right, std::string_view sign) {
    const ValueDepth level(depth_);
    const List& a = list_of(left);
    const List& b = list_of(right);
    for (uint32_t i = 0; i < std::min(a.size, b.size); ++i) {
      if (!equal(a.items[i], b.items[i])) return order(a.items[i], b.items[i], sign);
    }
    return a.size < b.size ? -1 : static_cast<int>(a.size > b.size);
  }

  Runtime& runtime_;
  int depth_ = 0;
};

size_t hash_at(const Value& value, int& depth) {
  switch (value.kind()) {
    case Kind::kString:
    case Kind::kBigInteger:
      return hash_text(text_of(value).view());
    case Kind::kBoolean:
    case Kind::kInteger:
      return absl::HashOf(whole_of(value));
    case Kind::kFloat: {
      const double number = float_of(value);
      const bool fits = number >= -9.2e18 && number <= 9.2e18 && number == std::floor(number);
      return fits ? absl::HashOf(static_cast<int64_t>(number)) : absl::HashOf(number);
    }
    case Kind::kTuple: {
      const ValueDepth level(depth);
      size_t hash = list_of(value).size;
      for (uint32_t i = 0; i < list_of(value).size; ++i) {
        hash = absl::HashOf(hash, hash_at(list_of(value).items[i], depth));
      }
      return hash;
    }
    case Kind::kNone:
    case Kind::kUndefined:
      return 1;
    case Kind::kList:
    case Kind::kDict:
    case Kind::kDictView:
      type_error("unhashable type: '{}'", type_name(value));
    default:
      return absl::HashOf(reinterpret_cast<uintptr_t>(JinjaAccess::data(value).list));
  }
}

}  // namespace

bool truthy(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBoolean:
      return boolean_of(value);
    case Kind::kInteger:
      return integer_of(value) != 0;
    case Kind::kFloat:
      return float_of(value) != 0;
    case Kind::kString:
      return text_of(value).size > 0;
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDictView:
      return list_of(value).size > 0;
    case Kind::kDict:
      return dict_of(value).size > 0;
    case Kind::kRange:
      return range_of(value).size > 0;
    default:
      return true;
  }
}

bool equal(Runtime& runtime, const Value& left, const Value& right) {
  return Comparer(runtime).equal(left, right);
}

bool less(Runtime& runtime, const Value& left, const Value& right) {
  return Comparer(runtime).order(left, right, "<") == -1;
}

bool compare(Runtime& runtime, Comparison comparison, const Value& left, const Value& right) {
  switch (comparison) {
    case Comparison::kEqual:
      return equal(runtime, left, right);
    case Comparison::kNotEqual:
      return !equal(runtime, left, right);
    case Comparison::kLess:
      return less(runtime, left, right);
    case Comparison::kLessEqual: {
      const int order = Comparer(runtime).order(left, right, "<=");
      return order == -1 || order == 0;
    }
    case Comparison::kGreater:
      return Comparer(runtime).order(left, right, ">") == 1;
    case Comparison::kGreaterEqual: {
      const int order = Comparer(runtime).order(left, right, ">=");
      return order == 1 || order == 0;
    }
    case Comparison::kIn:
      return contains(runtime, right, left);
    case Comparison::kNotIn:
      return !contains(runtime, right, left);
  }
  return false;
}

bool contains(Runtime& runtime, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kString: {
      if (!is_string(item)) {
        type_error("'in <string>' requires string as left operand, not {}", type_name(item));
      }
      runtime.step_bytes(text_of(container).size);
      return find_bytes(text_of(container).view(), text_of(item).view(), 0) !=
             std::string_view::npos;
    }
    case Kind::kDict:
      return dict_find(dict_of(container), item, hash_of(item)) != nullptr;
    default:
      break;
  }
  if (!is_iterable(container)) {
    type_error("argument of type '{}' is not iterable", type_name(container));
  }
  ValueIterator iterator(runtime, container);
  Value element;
  while (iterator.next(runtime, element)) {
    if (equal(runtime, element, item)) return true;
  }
  return false;
}

size_t hash_of(const Value& value) {
  int depth = 0;
  return hash_at(value, depth);
}

void set_member(Runtime& runtime, Dict& dict, const Value& key, const Value& value) {
  if (dict.size == dict.capacity) runtime.reserve(size_t{dict.size} * 2 * sizeof(DictEntry) + 64);
  dict_set(runtime.heap(), dict, key, hash_of(key), value);
}

}  // namespace trireme::jinja
