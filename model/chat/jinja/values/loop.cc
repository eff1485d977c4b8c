#include "model/chat/jinja/values/loop.h"

namespace trireme::jinja {

namespace {

LoopState& state_of(const Value& loop) { return *JinjaAccess::data(loop).loop; }

// Reads the element after the current one. False: there is none.
bool peek(Runtime& runtime, LoopState& loop) {
  if (loop.has_after) return true;
  if (loop.at_end) return false;
  loop.has_after = loop.iterator.next(runtime, loop.after);
  loop.at_end = !loop.has_after;
  return loop.has_after;
}

// Reads the rest of the iterable into a list.
int64_t count(Runtime& runtime, LoopState& loop) {
  if (loop.length >= 0) return loop.length;
  List* rest = runtime.new_list(0);
  if (loop.has_after) runtime.push(*rest, loop.after);
  Value element;
  while (!loop.at_end && loop.iterator.next(runtime, element)) runtime.push(*rest, element);
  loop.has_after = false;
  loop.at_end = false;
  loop.length = loop.index0 + 1 + rest->size;
  loop.iterator = ValueIterator(runtime, JinjaAccess::list(rest, loop.origin));
  return loop.length;
}

Value cycle(Runtime& runtime, const Value& self, const Args& args) {
  (void)runtime;
  if (args.count == 0) fail("TypeError", "no items for cycling given");
  return args.values[static_cast<size_t>(state_of(self).index0) % args.count];
}

Value changed(Runtime& runtime, const Value& self, const Args& args) {
  LoopState& loop = state_of(self);
  List* list = runtime.new_list(args.count);
  for (uint32_t i = 0; i < args.count; ++i) list->items[list->size++] = args.values[i];
  const Value now = JinjaAccess::list(list, Origin::kTemplate, Kind::kTuple);
  const bool same = loop.has_changed && equal(runtime, now, loop.changed);
  loop.changed = now;
  loop.has_changed = true;
  return Value::boolean(!same);
}

Value method(Runtime& runtime, const Value& self, std::string_view name, FunctionBody body) {
  runtime.reserve(sizeof(Function));
  Function* function = runtime.heap().make<Function>();
  function->name = name;
  function->body = body;
  function->self = self;
  return JinjaAccess::function(function);
}

}  // namespace

bool loop_next(Runtime& runtime, LoopState& loop) {
  Value next;
  if (loop.has_after) {
    next = loop.after;
    loop.has_after = false;
  } else if (loop.at_end || !loop.iterator.next(runtime, next)) {
    return false;
  }
  loop.has_before = loop.index0 >= 0;
  loop.before = loop.current;
  loop.current = next;
  ++loop.index0;
  return true;
}

bool loop_attribute(Runtime& runtime, const Value& loop, std::string_view name, Value& out) {
  LoopState& state = state_of(loop);
  if (name == "index") {
    out = Value::integer(state.index0 + 1);
  } else if (name == "index0") {
    out = Value::integer(state.index0);
  } else if (name == "first") {
    out = Value::boolean(state.index0 == 0);
  } else if (name == "last") {
    out = Value::boolean(!peek(runtime, state));
  } else if (name == "length") {
    out = Value::integer(count(runtime, state));
  } else if (name == "revindex") {
    out = Value::integer(count(runtime, state) - state.index0);
  } else if (name == "revindex0") {
    out = Value::integer(count(runtime, state) - state.index0 - 1);
  } else if (name == "depth") {
    out = Value::integer(state.depth0 + 1);
  } else if (name == "depth0") {
    out = Value::integer(state.depth0);
  } else if (name == "previtem") {
    out = state.has_before ? state.before : runtime.undefined_hint("there is no previous item");
  } else if (name == "nextitem") {
    out = peek(runtime, state) ? state.after : runtime.undefined_hint("there is no next item");
  } else if (name == "cycle") {
    out = method(runtime, loop, "cycle", cycle);
  } else if (name == "changed") {
    out = method(runtime, loop, "changed", changed);
  } else {
    return false;
  }
  return true;
}

int64_t loop_length(Runtime& runtime, const Value& loop) { return count(runtime, state_of(loop)); }

}  // namespace trireme::jinja
