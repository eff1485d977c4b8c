// The variable `loop` of a for loop. Belongs to one render.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/chat/jinja/values/operators.h"
#include "model/chat/jinja/values/runtime.h"

namespace trireme::jinja {

struct ForNode;
struct Scope;

// Reads its iterable one element ahead only where the template requests it (last, nextitem).
struct LoopState {
  ValueIterator iterator;
  Origin origin = Origin::kTemplate;
  int64_t index0 = -1;
  int64_t depth0 = 0;
  bool has_before = false;
  bool has_after = false;
  bool at_end = false;
  Value before;
  Value current;
  Value after;
  int64_t length = -1;  // known after the first question for it
  bool has_changed = false;
  Value changed;                  // arguments of the last call of loop.changed(), a tuple
  const ForNode* node = nullptr;  // of a recursive loop
  Scope* scope = nullptr;         // around the loop
};

// Advances to the next element. False: there is none.
bool loop_next(Runtime& runtime, LoopState& loop);
bool loop_attribute(Runtime& runtime, const Value& loop, std::string_view name, Value& out);
int64_t loop_length(Runtime& runtime, const Value& loop);

}  // namespace trireme::jinja
