// Values as texts, as Python's str(), repr() and json.dumps() write them, with the origin of every
// byte. Functions of the render that calls them.
#pragma once

#include <string>

#include "model/chat/jinja/values/runtime.h"
#include "model/chat/jinja/values/text_builder.h"

namespace trireme::jinja {

void print(Runtime& runtime, const Value& value, TextBuilder& out);
void print_repr(Runtime& runtime, const Value& value, TextBuilder& out);
// str(value) as a value; a string is itself.
Value to_string(Runtime& runtime, const Value& value);
// repr(value) for messages.
std::string repr_text(Runtime& runtime, const Value& value);
std::string float_text(double value);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  const Text* indent = nullptr;  // null: all in one line
  const Text* item_separator = nullptr;
  const Text* key_separator = nullptr;
};
void print_json(Runtime& runtime, const Value& value, const JsonStyle& style, TextBuilder& out);

}  // namespace trireme::jinja
