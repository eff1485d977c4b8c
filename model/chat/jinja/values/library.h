// The filters, tests and functions of the template language by name. Const tables; a filter or a
// test gets the value before it as `self`.
#pragma once

#include <string_view>

#include "model/chat/jinja/values/runtime.h"

namespace trireme::jinja {

struct NamedFunction {
  std::string_view name;
  FunctionBody body;
};

// Null: there is none.
FunctionBody find_filter(std::string_view name);
FunctionBody find_test(std::string_view name);
// Filters of Jinja that this engine refuses by name.
bool is_refused_filter(std::string_view name);

// raise_exception, strftime_now, namespace, range, dict, cycler, joiner.
FunctionBody find_function(std::string_view name);

// The parts of the table of filters.
FunctionBody find_text_filter(std::string_view name);
FunctionBody find_number_filter(std::string_view name);
FunctionBody find_list_filter(std::string_view name);
FunctionBody find_lazy_filter(std::string_view name);

// "a.0.b" or an index: how `attribute=` of a filter reaches into a value. Lives in the render's
// heap.
class AttributePath {
 public:
  AttributePath() = default;
  AttributePath(Runtime& runtime, const Value* attribute);
  Value of(Runtime& runtime, Value item, const Value* otherwise = nullptr) const;

 private:
  List parts_;
};

// The value that order is judged by where case does not count.
Value without_case(Runtime& runtime, const Value& value);
bool is_true(const Bound& bound, uint32_t index);

}  // namespace trireme::jinja
