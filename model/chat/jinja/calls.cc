#include "model/chat/jinja/interpreter.h"
#include "model/chat/jinja/values/print.h"

namespace trireme::jinja {

Value Interpreter::call(const Value& callee, const Args& args) {
  switch (callee.kind()) {
    case Kind::kFunction: {
      const Function& function = *JinjaAccess::data(callee).function;
      if (function.macro != nullptr) return call_macro(function, args);
      return function.body(runtime_, function.self, args);
    }
    case Kind::kLoop:
      return call_loop(*JinjaAccess::data(callee).loop, args);
    case Kind::kObject:
      return call_object(*JinjaAccess::data(callee).object);
    case Kind::kUndefined:
      fail_undefined(runtime_, callee);
    default:
      type_error("'{}' object is not callable", type_name(callee));
  }
}

// joiner(): nothing at the first call, then its separator.
Value Interpreter::call_object(Object& object) {
  if (object.kind != ObjectKind::kJoiner) fail("TypeError", "'Cycler' object is not callable");
  if (object.position++ == 0) return runtime_.string("");
  object.position = 1;
  return object.items.items[0];
}

Value Interpreter::call_loop(const LoopState& loop, const Args& args) {
  if (loop.node == nullptr) {
    fail("TypeError", "The loop must have the 'recursive' marker to be called recursively.");
  }
  const Bound bound("loop", args, {"iterable"}, 1);
  const Exchange<int> depth(call_depth_, call_depth_ + 1);
  if (call_depth_ > kMaxCallDepth) {
    fail_limit(format_text("calls are nested deeper than {} levels", kMaxCallDepth));
  }
  TextBuilder captured(runtime_);
  const Exchange<TextBuilder*> out(out_, &captured);
  const Exchange<Scope*> scope(scope_, loop.scope);
  run_for(*loop.node, bound[0], loop.depth0 + 1);
  return captured.value();
}

Value Interpreter::call_macro(const Function& function, const Args& args) {
  const Exchange<int> depth(call_depth_, call_depth_ + 1);
  if (call_depth_ > kMaxCallDepth) {
    fail_limit(format_text("calls are nested deeper than {} levels", kMaxCallDepth));
  }
  const MacroNode& node = *function.macro->node;
  TextBuilder captured(runtime_);
  const Exchange<TextBuilder*> out(out_, &captured);
  const Exchange<Scope*> scope(scope_, new_scope(function.macro->scope));
  bind_macro(node, function.name, args);
  run_body(node.body);
  return captured.value();
}

void Interpreter::bind_macro(const MacroNode& node, std::string_view name, const Args& args) {
  const uint32_t count = node.parameters.size;
  const uint32_t positional = std::min(args.count, count);
  absl::InlinedVector<bool, 4> used(args.num_named, false);
  for (uint32_t i = 0; i < count; ++i) {
    const Parameter& parameter = node.parameters[i];
    const Value* value = i < positional ? &args.values[i] : nullptr;
    for (uint32_t j = 0; value == nullptr && j < args.num_named; ++j) {
      if (args.name(j) != program_.names[parameter.name]) continue;
      value = &args.named[j];
      used[j] = true;
    }
    if (value != nullptr) {
      set(*scope_, parameter.name, *value);
    } else if (parameter.otherwise != nullptr) {
      set(*scope_, parameter.name, evaluate(*parameter.otherwise));
    } else {
      set(*scope_,
          parameter.name,
          runtime_.undefined_hint(
              format_text("parameter '{}' was not provided", program_.names[parameter.name])));
    }
  }
  if (node.reads_caller) {
    Value caller = runtime_.undefined_hint("No caller defined");
    for (uint32_t j = 0; j < args.num_named; ++j) {
      if (used[j] || args.name(j) != "caller") continue;
      caller = args.named[j];
      used[j] = true;
    }
    set(*scope_, program_.caller_name, caller);
  }
  Dict* rest = node.reads_kwargs ? runtime_.heap().make<Dict>() : nullptr;
  for (uint32_t j = 0; j < args.num_named; ++j) {
    if (used[j]) continue;
    if (rest == nullptr) {
      type_error("macro '{}' takes no keyword argument '{}'", name, args.name(j));
    }
    set_member(runtime_, *rest, args.names[j], args.named[j]);
  }
  if (rest != nullptr) {
    set(*scope_, program_.kwargs_name, JinjaAccess::dict(rest, Origin::kTemplate));
  }
  if (node.reads_varargs) {
    List* more = runtime_.new_list(args.count - positional);
    for (uint32_t i = positional; i < args.count; ++i) more->items[more->size++] = args.values[i];
    set(*scope_, program_.varargs_name, JinjaAccess::list(more, Origin::kTemplate, Kind::kTuple));
  } else if (args.count > count) {
    type_error("macro '{}' takes not more than {} argument(s)", name, count);
  }
}

void Interpreter::read_arguments(const CallArguments& arguments, Arguments& out) {
  for (const Node* node : arguments.positional) out.values.push_back(evaluate(*node));
  if (arguments.more_positional != nullptr) {
    const Value more = evaluate(*arguments.more_positional);
    if (!is_iterable(more)) {
      type_error("argument after * must be an iterable, not {}", type_name(more));
    }
    ValueIterator iterator(runtime_, more);
    Value value;
    while (iterator.next(runtime_, value)) {
      runtime_.reserve(sizeof(Value));
      out.values.push_back(value);
    }
  }
  for (const NamedArgument& argument : arguments.named) {
    out.names.push_back(argument.name);
    out.named.push_back(evaluate(*argument.value));
  }
  if (arguments.more_named != nullptr) spread_named(evaluate(*arguments.more_named), out);
}

void Interpreter::spread_named(const Value& mapping, Arguments& out) {
  if (is_undefined(mapping)) fail_undefined(runtime_, mapping);
  if (!mapping.is(Kind::kDict)) {
    type_error("argument after ** must be a mapping, not {}", type_name(mapping));
  }
  const Dict& dict = dict_of(mapping);
  for (uint32_t i = 0; i < dict.size; ++i) {
    runtime_.reserve(sizeof(DictEntry));
    if (!is_string(dict.entries[i].key)) fail("TypeError", "keywords must be strings");
    const std::string_view name = dict.entries[i].key.text();
    for (const Value& other : out.names) {
      if (other.text() == name) type_error("got multiple values for keyword argument '{}'", name);
    }
    out.names.push_back(dict.entries[i].key);
    out.named.push_back(dict.entries[i].value);
  }
}

}  // namespace trireme::jinja
