#include "model/chat/jinja/interpreter.h"

#include <algorithm>

#include "model/chat/jinja/values/library.h"
#include "model/chat/jinja/values/print.h"

namespace trireme::jinja {

namespace {

// The elements of a loop for which its condition holds, judged when each is read.
struct FilteredIterator : Iterator {
  bool next(Runtime& runtime, Value& out) override {
    while (source.next(runtime, out)) {
      if (interpreter->holds_for(*node, around, out)) return true;
    }
    return false;
  }

  Interpreter* interpreter = nullptr;
  const ForNode* node = nullptr;
  Scope* around = nullptr;
  ValueIterator source;
};

}  // namespace

Interpreter::Interpreter(const Program& program,
                         const JinjaValue& variables,
                         const RenderOptions& options)
    : program_(program), runtime_(options), root_(runtime_, kMaxOutputBytes) {
  const size_t count = program.names.size();
  globals_.resize(count);
  functions_.resize(count);
  undefined_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    globals_[i] = variables.find(program.names[i]);
    if (globals_[i] != nullptr) continue;
    const FunctionBody body = find_function(program.names[i]);
    if (body == nullptr) continue;
    Function* function = runtime_.heap().make<Function>();
    function->name = program.names[i];
    function->body = body;
    functions_[i] = JinjaAccess::function(function);
    globals_[i] = &functions_[i];
  }
}

void Interpreter::run(MarkedText& out) {
  scope_ = new_scope(nullptr);
  out_ = &root_;
  run_body(program_.body);
  root_.take(out);
  for (const TextRange& range : generation_) {
    out.generation.push_back(
        {std::min(range.begin, out.text.size()), std::min(range.end, out.text.size())});
  }
}

Interpreter::Flow Interpreter::run_body(const NodeList& body) {
  const Nesting level(nesting_);
  for (const Node* node : body) {
    const Flow flow = run_statement(*node);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_in_scope(const NodeList& body, Scope* scope) {
  const Exchange<Scope*> inner(scope_, scope);
  return run_body(body);
}

Interpreter::Flow Interpreter::run_statement(const Node& node) {
  runtime_.step();
  offset_ = node.offset;
  switch (node.kind) {
    case NodeKind::kOutput:
      run_output(static_cast<const ListNode&>(node));
      return Flow::kNext;
    case NodeKind::kIf:
      return run_if(static_cast<const IfNode&>(node));
    case NodeKind::kFor: {
      const auto& loop = static_cast<const ForNode&>(node);
      return run_for(loop, evaluate(*loop.iterable), 0);
    }
    case NodeKind::kSet: {
      const auto& set = static_cast<const SetNode&>(node);
      check_target(set.target);
      assign(set.target, evaluate(*set.value));
      return Flow::kNext;
    }
    case NodeKind::kSetBlock:
      return run_set_block(static_cast<const SetBlockNode&>(node));
    case NodeKind::kMacro:
      run_macro(static_cast<const MacroNode&>(node));
      return Flow::kNext;
    case NodeKind::kCallBlock:
      run_call_block(static_cast<const CallBlockNode&>(node));
      return Flow::kNext;
    case NodeKind::kFilterBlock:
      return run_filter_block(static_cast<const FilterBlockNode&>(node));
    case NodeKind::kWith:
      return run_with(static_cast<const WithNode&>(node));
    case NodeKind::kGeneration:
      run_generation(static_cast<const BodyNode&>(node));
      return Flow::kNext;
    case NodeKind::kBreak:
      return Flow::kBreak;
    case NodeKind::kContinue:
      return Flow::kContinue;
    default:
      evaluate(node);
      return Flow::kNext;
  }
}

void Interpreter::run_output(const ListNode& node) {
  for (const Node* item : node.items) {
    if (item->kind == NodeKind::kConstant) {
      print(runtime_, static_cast<const ConstantNode*>(item)->value, *out_);
    } else {
      print(runtime_, evaluate(*item), *out_);
    }
  }
}

Interpreter::Flow Interpreter::run_if(const IfNode& node) {
  for (const Branch& branch : node.branches) {
    if (branch.test == nullptr || truthy(evaluate(*branch.test))) return run_body(branch.body);
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_with(const WithNode& node) {
  std::vector<Value> values;
  for (const Node* value : node.values) values.push_back(evaluate(*value));
  const Exchange<Scope*> inner(scope_, new_scope(scope_));
  for (size_t i = 0; i < values.size(); ++i) assign(node.targets[i], values[i]);
  return run_body(node.body);
}

Interpreter::Flow Interpreter::run_set_block(const SetBlockNode& node) {
  TextBuilder captured(runtime_);
  {
    const Exchange<TextBuilder*> out(out_, &captured);
    const Flow flow = run_in_scope(node.body, new_scope(scope_));
    if (flow != Flow::kNext) return flow;
  }
  Value value = captured.value();
  if (node.filters != nullptr) value = follow(value, node.filters->steps);
  assign(node.target, value);
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_filter_block(const FilterBlockNode& node) {
  TextBuilder captured(runtime_);
  {
    const Exchange<TextBuilder*> out(out_, &captured);
    const Flow flow = run_in_scope(node.body, new_scope(scope_));
    if (flow != Flow::kNext) return flow;
  }
  print(runtime_, follow(captured.value(), node.filters->steps), *out_);
  return Flow::kNext;
}

Value Interpreter::make_macro(const MacroNode& node) {
  runtime_.reserve(sizeof(MacroState) + sizeof(Function));
  MacroState* state = runtime_.heap().make<MacroState>();
  state->node = &node;
  state->scope = scope_;
  for (Scope* scope = scope_; scope != nullptr && !scope->is_kept; scope = scope->parent) {
    scope->is_kept = true;
  }
  Function* function = runtime_.heap().make<Function>();
  function->name = program_.names[node.name];
  function->macro = state;
  return JinjaAccess::function(function);
}

void Interpreter::run_macro(const MacroNode& node) { set(*scope_, node.name, make_macro(node)); }

void Interpreter::run_call_block(const CallBlockNode& node) {
  const Value caller = make_macro(*node.caller);
  const Value base = evaluate(*node.call->base);
  print(runtime_, follow(base, node.call->steps, &caller), *out_);
}

void Interpreter::run_generation(const BodyNode& node) {
  const size_t begin = root_.size();
  const size_t own = out_->size();
  run_in_scope(node.body, new_scope(scope_));
  generation_.push_back({begin, begin + (out_->size() - own)});
}

bool Interpreter::holds_for(const ForNode& node, Scope* around, const Value& element) {
  const Exchange<Scope*> inner(scope_, new_scope(around));
  assign(node.target, element);
  return truthy(evaluate(*node.test));
}

// The flow is that of the else branch, whose break and continue are those of the loop around it.
Interpreter::Flow Interpreter::run_for(const ForNode& node, const Value& iterable, int64_t depth0) {
  runtime_.reserve(sizeof(LoopState));
  LoopState* loop = runtime_.heap().make<LoopState>();
  loop->iterator = ValueIterator(runtime_, iterable);
  loop->origin = iterable.origin();
  loop->depth0 = depth0;
  loop->node = node.is_recursive ? &node : nullptr;
  loop->scope = scope_;
  if (node.test != nullptr) {
    auto* filtered = runtime_.heap().make<FilteredIterator>();
    filtered->interpreter = this;
    filtered->node = &node;
    filtered->around = scope_;
    filtered->source = loop->iterator;
    loop->iterator = ValueIterator(runtime_, JinjaAccess::iterator(filtered));
  }
  if (run_loop(node, *loop)) return Flow::kNext;
  return run_in_scope(node.otherwise, new_scope(scope_));
}

// Whether a turn ran to its end: as in Jinja, the else branch runs if every turn was left by break
// or continue.
bool Interpreter::run_loop(const ForNode& node, LoopState& loop) {
  bool has_finished = false;
  Scope* scope = new_scope(scope_);
  while (loop_next(runtime_, loop)) {
    if (scope->is_kept) scope = new_scope(scope_);
    scope->size = 0;
    const Exchange<Scope*> inner(scope_, scope);
    set(*scope, program_.loop_name, JinjaAccess::loop(&loop));
    assign(node.target, loop.current);
    const Flow flow = run_body(node.body);
    if (flow == Flow::kBreak) break;
    has_finished = has_finished || flow == Flow::kNext;
  }
  return has_finished;
}

void Interpreter::assign(const Target& target, const Value& value) {
  if (target.attribute != nullptr) return assign_attribute(target, value);
  if (!target.is_tuple) return set(*scope_, target.name, value);
  if (is_undefined(value) && !is_iterable(value)) fail_undefined(runtime_, value);
  if (!is_iterable(value)) {
    type_error("cannot unpack non-iterable {} object", type_name(value));
  }
  const List& values = elements(runtime_, value);
  if (values.size < target.parts.size) {
    value_error(
        "not enough values to unpack (expected {}, got {})", target.parts.size, values.size);
  }
  if (values.size > target.parts.size) {
    value_error("too many values to unpack (expected {})", target.parts.size);
  }
  for (uint32_t i = 0; i < values.size; ++i) assign(target.parts[i], values.items[i]);
}

// A namespace is looked for before the value is evaluated.
void Interpreter::check_target(const Target& target) const {
  for (const Target& part : target.parts) check_target(part);
  if (target.attribute == nullptr) return;
  const Value* object = find(target.name);
  if (object == nullptr || !object->is(Kind::kNamespace)) {
    fail("TemplateRuntimeError", "cannot assign attribute on non-namespace object");
  }
}

void Interpreter::assign_attribute(const Target& target, const Value& value) {
  check_target(target);
  set_member(runtime_, dict_of(*find(target.name)), *target.attribute, value);
}

Scope* Interpreter::new_scope(Scope* parent) {
  runtime_.reserve(sizeof(Scope));
  Scope* scope = runtime_.heap().make<Scope>();
  scope->parent = parent;
  return scope;
}

void Interpreter::set(Scope& scope, uint32_t name, const Value& value) {
  for (uint32_t i = 0; i < scope.size; ++i) {
    if (scope.entries[i].name == name) {
      scope.entries[i].value = value;
      return;
    }
  }
  if (scope.size == scope.capacity) {
    const uint32_t capacity = scope.capacity == 0 ? 4 : scope.capacity * 2;
    runtime_.reserve(capacity * sizeof(ScopeEntry));
    ScopeEntry* entries = runtime_.heap().make_array<ScopeEntry>(capacity);
    std::copy(scope.entries, scope.entries + scope.size, entries);
    scope.entries = entries;
    scope.capacity = capacity;
  }
  scope.entries[scope.size++] = {name, value};
}

const Value* Interpreter::find(uint32_t name) const {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->parent) {
    for (uint32_t i = 0; i < scope->size; ++i) {
      if (scope->entries[i].name == name) return &scope->entries[i].value;
    }
  }
  return globals_[name];
}

void Interpreter::Nesting::fail_nesting() {
  --levels_;
  fail_limit(format_text("evaluation is nested deeper than {} levels", kMaxNesting));
}

}  // namespace trireme::jinja
