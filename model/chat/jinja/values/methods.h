// The methods of values that a template may call, by the kind of the value. Const tables.
#pragma once

#include <string_view>

#include "model/chat/jinja/values/runtime.h"

namespace trireme::jinja {

struct Method {
  std::string_view name;
  FunctionBody body = nullptr;
  bool is_safe = true;       // false: it would change its object, which the sandbox refuses
  bool is_property = false;  // the body is called when the attribute is read
};

// Null: values of that kind have no attribute of this name.
const Method* find_method(Kind kind, std::string_view name);
const Method* find_text_method(std::string_view name);

enum class CaseChange : uint8_t { kUpper, kLower, kTitle, kCapitalize, kSwap, kFold };
Value change_case(Runtime& runtime, const Text& text, CaseChange change);

enum class Sides : uint8_t { kLeft = 1, kRight = 2, kBoth = 3 };
// `characters`: null or none for white space.
Value strip(Runtime& runtime, const Text& text, const Value* characters, Sides sides);
Value replace(Runtime& runtime, const Text& text, const Text& old, const Text& with, int64_t most);
Value pad(Runtime& runtime, const Text& text, size_t left, size_t right, const Text& fill);
Value center(Runtime& runtime, const Text& text, int64_t width, const Text& fill);
// The last place of `needle`, npos if there is none. Compares at every place that it passes; every
// block of places is charged before it is compared.
size_t find_last(Runtime& runtime, std::string_view text, std::string_view needle);
// The pieces of a text between separators (null: white space), cut at most `most` times (-1:
// often).
List* split_text(
    Runtime& runtime, const Text& text, const Text* separator, int64_t most, bool from_end);
// Whether there is a cased character and `is_case` holds for all of them.
bool all_of_case(Runtime& runtime, const Text& text, bool (*is_case)(char32_t));
// The lines of a text, without their ends or with them.
List* split_lines(Runtime& runtime, const Text& text, bool keep_ends);

}  // namespace trireme::jinja
