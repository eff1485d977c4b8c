#include "model/chat/jinja/interpreter.h"
#include "model/chat/jinja/values/methods.h"
#include "model/chat/jinja/values/print.h"

namespace trireme::jinja {

Value Interpreter::evaluate(const Node& node) {
  const Nesting level(nesting_);
  runtime_.step();
  switch (node.kind) {
    case NodeKind::kConstant:
      return static_cast<const ConstantNode&>(node).value;
    case NodeKind::kName:
      return evaluate_name(static_cast<const NameNode&>(node).name);
    case NodeKind::kPostfix: {
      const auto& chain = static_cast<const PostfixNode&>(node);
      return follow(evaluate(*chain.base), chain.steps);
    }
    case NodeKind::kList:
      return evaluate_list(static_cast<const ListNode&>(node), Kind::kList);
    case NodeKind::kTuple:
      return evaluate_list(static_cast<const ListNode&>(node), Kind::kTuple);
    case NodeKind::kDict:
      return evaluate_dict(static_cast<const DictNode&>(node));
    case NodeKind::kConditional:
      return evaluate_conditional(static_cast<const ConditionalNode&>(node));
    case NodeKind::kOr:
      return evaluate_choice(static_cast<const ListNode&>(node), true);
    case NodeKind::kAnd:
      return evaluate_choice(static_cast<const ListNode&>(node), false);
    case NodeKind::kNot:
      return Value::boolean(!truthy(evaluate(*static_cast<const UnaryNode&>(node).operand)));
    case NodeKind::kCompare:
      return evaluate_compare(static_cast<const CompareNode&>(node));
    case NodeKind::kConcat:
      return evaluate_concat(static_cast<const ListNode&>(node));
    case NodeKind::kMath:
      return evaluate_math(static_cast<const MathNode&>(node));
    case NodeKind::kNegate:
      return negate(runtime_, evaluate(*static_cast<const UnaryNode&>(node).operand));
    case NodeKind::kPositive:
      return positive(runtime_, evaluate(*static_cast<const UnaryNode&>(node).operand));
    default:
      return Value::none();  // statements are run, not evaluated
  }
}

Value Interpreter::evaluate_name(uint32_t name) {
  const Value* value = find(name);
  if (value != nullptr) return *value;
  if (!is_undefined(undefined_[name])) {
    undefined_[name] = runtime_.undefined_name(program_.names[name]);
  }
  return undefined_[name];
}

Value Interpreter::evaluate_list(const ListNode& node, Kind kind) {
  List* list = runtime_.new_list(node.items.size);
  for (const Node* item : node.items) list->items[list->size++] = evaluate(*item);
  return JinjaAccess::list(list, Origin::kTemplate, kind);
}

Value Interpreter::evaluate_dict(const DictNode& node) {
  runtime_.reserve(sizeof(Dict));
  Dict* dict = runtime_.heap().make<Dict>();
  for (uint32_t i = 0; i < node.keys.size; ++i) {
    const Value key = evaluate(*node.keys[i]);
    set_member(runtime_, *dict, key, evaluate(*node.values[i]));
  }
  return JinjaAccess::dict(dict, Origin::kTemplate);
}

Value Interpreter::evaluate_conditional(const ConditionalNode& node) {
  if (truthy(evaluate(*node.test))) return evaluate(*node.value);
  if (node.otherwise != nullptr) return evaluate(*node.otherwise);
  return runtime_.undefined_hint(format_text(
      "the inline if-expression on line {} evaluated to false and no else section was defined.",
      node.line));
}

// `or` gives the first true value, `and` the first false one, both else the last.
Value Interpreter::evaluate_choice(const ListNode& node, bool stops_at) {
  Value value;
  for (const Node* item : node.items) {
    value = evaluate(*item);
    if (truthy(value) == stops_at) break;
  }
  return value;
}

Value Interpreter::evaluate_compare(const CompareNode& node) {
  Value left = evaluate(*node.first);
  for (const CompareStep& step : node.steps) {
    const Value right = evaluate(*step.operand);
    offset_ = node.offset;
    if (!compare(runtime_, step.comparison, left, right)) return Value::boolean(false);
    left = right;
  }
  return Value::boolean(true);
}

Value Interpreter::evaluate_concat(const ListNode& node) {
  Value joined;
  bool is_first = true;
  for (const Node* item : node.items) {
    const Value text = to_string(runtime_, evaluate(*item));
    joined = is_first ? text : concatenate(runtime_, text_of(joined), text_of(text));
    is_first = false;
  }
  return joined;
}

Value Interpreter::evaluate_math(const MathNode& node) {
  Value value = evaluate(*node.first);
  for (const MathStep& step : node.steps) {
    const Value operand = evaluate(*step.operand);
    offset_ = node.offset;
    value = arithmetic(runtime_, step.operation, value, operand);
  }
  return value;
}

Value Interpreter::evaluate_slice(const Value& object, const PostfixStep& step) {
  Value bounds[3];
  const Node* const nodes[3] = {step.index, step.stop, step.step};
  const Value* given[3] = {};
  for (int i = 0; i < 3; ++i) {
    if (nodes[i] == nullptr) continue;
    bounds[i] = evaluate(*nodes[i]);
    given[i] = &bounds[i];
  }
  return get_slice(runtime_, object, given[0], given[1], given[2]);
}

// `caller`: of a call block, for the last call.
Value Interpreter::follow(Value value, const Span<PostfixStep>& steps, const Value* caller) {
  for (uint32_t i = 0; i < steps.size; ++i) {
    const PostfixStep& step = steps[i];
    runtime_.step();
    offset_ = step.offset;
    const Value* with_caller = i + 1 == steps.size ? caller : nullptr;
    switch (step.kind) {
      case StepKind::kAttribute: {
        const bool is_call = i + 1 < steps.size && steps[i + 1].kind == StepKind::kCall;
        const Value* next_caller = i + 2 == steps.size ? caller : nullptr;
        if (is_call && call_method(step, steps[i + 1], value, next_caller)) {
          ++i;
        } else {
          value = get_attribute(runtime_, value, step.name);
        }
        break;
      }
      case StepKind::kItem:
        value = get_item(runtime_, value, evaluate(*step.index));
        break;
      case StepKind::kSlice:
        value = evaluate_slice(value, step);
        break;
      case StepKind::kCall: {
        Arguments arguments;
        read_arguments(step.arguments, arguments);
        if (with_caller != nullptr) {
          arguments.names.push_back(runtime_.string("caller"));
          arguments.named.push_back(*with_caller);
        }
        offset_ = step.offset;
        value = call(value, arguments.view());
        break;
      }
      case StepKind::kFilter:
      case StepKind::kTest:
        value = apply(step, value);
        break;
    }
  }
  return value;
}

Value Interpreter::apply(const PostfixStep& step, const Value& value) {
  const bool is_test = step.kind == StepKind::kTest;
  if (step.function == nullptr) {
    fail("TemplateRuntimeError",
         format_text("No {} named '{}' found.", is_test ? "test" : "filter", step.name.text()));
  }
  Arguments arguments;
  read_arguments(step.arguments, arguments);
  offset_ = step.offset;
  const Value made = step.function(runtime_, value, arguments.view());
  return is_test ? Value::boolean(truthy(made) != step.negated) : made;
}

bool Interpreter::call_method(const PostfixStep& attribute,
                              const PostfixStep& call,
                              Value& value,
                              const Value* caller) {
  const bool is_plain = is_string(value) || value.is(Kind::kDict) || value.is(Kind::kList);
  if (!is_plain || caller != nullptr) return false;
  const Method* method = find_method(value.kind(), attribute.name.text());
  if (method == nullptr || !method->is_safe || method->is_property) return false;
  Arguments arguments;
  read_arguments(call.arguments, arguments);
  offset_ = attribute.offset;
  value = method->body(runtime_, value, arguments.view());
  return true;
}

}  // namespace trireme::jinja
