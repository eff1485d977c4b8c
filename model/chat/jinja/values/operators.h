// Python's operators on values: truth, equality, order, arithmetic, membership, subscripts and
// iteration. Functions of the render that calls them; wrong operands fail as they do in Python.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/chat/jinja/values/runtime.h"

namespace trireme::jinja {

enum class Operator : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
};
enum class Comparison : uint8_t {
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

bool truthy(const Value& value);
bool equal(Runtime& runtime, const Value& left, const Value& right);
bool less(Runtime& runtime, const Value& left, const Value& right);
bool compare(Runtime& runtime, Comparison comparison, const Value& left, const Value& right);
bool contains(Runtime& runtime, const Value& container, const Value& item);
Value arithmetic(Runtime& runtime, Operator operation, const Value& left, const Value& right);
Value negate(Runtime& runtime, const Value& value);
Value positive(Runtime& runtime, const Value& value);

// TypeError: a list, a dict, or a tuple that holds one.
size_t hash_of(const Value& value);
void set_member(Runtime& runtime, Dict& dict, const Value& key, const Value& value);

// object.name and object[key] in Jinja's sandbox; undefined if there is neither.
Value get_attribute(Runtime& runtime, const Value& object, const Value& name);
Value get_item(Runtime& runtime, const Value& object, const Value& key);
// Null: left out.
Value get_slice(Runtime& runtime,
                const Value& object,
                const Value* start,
                const Value* stop,
                const Value* step);

// len(value).
int64_t length(Runtime& runtime, const Value& value);
bool is_iterable(const Value& value);

// The elements of any iterable in turn. TypeError: it is not iterable.
class ValueIterator {
 public:
  ValueIterator() = default;
  ValueIterator(Runtime& runtime, const Value& iterable);
  bool next(Runtime& runtime, Value& out);

 private:
  Value iterable_;
  size_t at_ = 0;
};

// list(iterable); `origin` of the result is the iterable's.
Value to_list(Runtime& runtime, const Value& iterable);
// The elements of an iterable; those of a list in place.
const List& elements(Runtime& runtime, const Value& iterable);
Value make_tuple(Runtime& runtime, std::initializer_list<Value> items);

// A stable sort whose comparison may fail, by merging: std::sort is undefined for a comparison that
// is no order, and NaN gives none.
template <class T, class Less>
void merge_sort(std::vector<T>& items, const Less& is_less) {
  std::vector<T> merged(items.size());
  for (size_t width = 1; width < items.size(); width *= 2) {
    for (size_t begin = 0; begin < items.size(); begin += 2 * width) {
      const size_t middle = std::min(begin + width, items.size());
      const size_t end = std::min(begin + 2 * width, items.size());
      size_t left = begin;
      size_t right = middle;
      for (size_t out = begin; out < end; ++out) {
        const bool take_right =
            right < end && (left == middle || is_less(items[right], items[left]));
        merged[out] = take_right ? items[right++] : items[left++];
      }
    }
    items.swap(merged);
  }
}

}  // namespace trireme::jinja
