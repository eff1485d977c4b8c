// The syntax tree of a template. Nodes live in the heap of the program that owns them and are const
// once it is compiled. Chains (a + b + c, a.b.c | f) are one node with a list, so that the depth of
// the tree is that of the brackets and blocks in the source.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/chat/jinja/values/operators.h"
#include "model/chat/jinja/values/runtime.h"

namespace trireme::jinja {

enum class NodeKind : uint8_t {
  // expressions
  kConstant,
  kName,
  kList,
  kTuple,
  kDict,
  kConditional,
  kOr,
  kAnd,
  kNot,
  kCompare,
  kConcat,
  kMath,
  kNegate,
  kPositive,
  kPostfix,
  // statements
  kOutput,
  kIf,
  kFor,
  kSet,
  kSetBlock,
  kMacro,
  kCallBlock,
  kFilterBlock,
  kWith,
  kGeneration,
  kBreak,
  kContinue,
};

struct Node {
  NodeKind kind = NodeKind::kConstant;
  uint32_t offset = 0;  // in the source
};

// An array in the program's heap.
template <class T>
struct Span {
  const T* items = nullptr;
  uint32_t size = 0;
  const T* begin() const { return items; }
  const T* end() const { return items + size; }
  const T& operator[](size_t i) const { return items[i]; }
};
using NodeList = Span<const Node*>;

struct ConstantNode : Node {
  Value value;
};
struct NameNode : Node {
  uint32_t name = 0;  // index of Program::names
};
struct ListNode : Node {  // kList, kTuple, kOr, kAnd, kConcat, kOutput
  NodeList items;
};
struct DictNode : Node {
  NodeList keys;
  NodeList values;
};
struct ConditionalNode : Node {
  const Node* test = nullptr;
  const Node* value = nullptr;
  const Node* otherwise = nullptr;  // null: undefined
  uint32_t line = 0;
};
struct UnaryNode : Node {  // kNot, kNegate, kPositive
  const Node* operand = nullptr;
};
struct MathStep {
  Operator operation = Operator::kAdd;
  const Node* operand = nullptr;
};
struct MathNode : Node {
  const Node* first = nullptr;
  Span<MathStep> steps;
};
struct CompareStep {
  Comparison comparison = Comparison::kEqual;
  const Node* operand = nullptr;
};
struct CompareNode : Node {
  const Node* first = nullptr;
  Span<CompareStep> steps;
};

struct NamedArgument {
  Value name;
  const Node* value = nullptr;
};
struct CallArguments {
  NodeList positional;
  Span<NamedArgument> named;
  const Node* more_positional = nullptr;  // *x
  const Node* more_named = nullptr;       // **x
};

enum class StepKind : uint8_t { kAttribute, kItem, kSlice, kCall, kFilter, kTest };
struct PostfixStep {
  StepKind kind = StepKind::kAttribute;
  bool negated = false;  // of a test
  uint32_t offset = 0;
  Value name;                   // kAttribute; kFilter and kTest for messages
  const Node* index = nullptr;  // kItem; kSlice: start, stop, step, each of them or null
  const Node* stop = nullptr;
  const Node* step = nullptr;
  FunctionBody function = nullptr;  // kFilter, kTest; null: unknown, fails when it is reached
  CallArguments arguments;
};
struct PostfixNode : Node {
  const Node* base = nullptr;  // null: the body of a filter block
  Span<PostfixStep> steps;
};

// A target of an assignment: a name, an attribute of a namespace, or several targets.
struct Target {
  uint32_t name = 0;
  const Value* attribute = nullptr;
  bool is_tuple = false;
  Span<Target> parts;
  uint32_t offset = 0;
};

struct Branch {
  const Node* test = nullptr;  // null: else
  NodeList body;
};
struct IfNode : Node {
  Span<Branch> branches;
};
struct ForNode : Node {
  Target target;
  const Node* iterable = nullptr;
  const Node* test = nullptr;
  NodeList body;
  NodeList otherwise;
  bool is_recursive = false;
};
struct SetNode : Node {
  Target target;
  const Node* value = nullptr;
};
struct SetBlockNode : Node {
  Target target;
  const PostfixNode* filters = nullptr;  // or null
  NodeList body;
};
struct Parameter {
  uint32_t name = 0;
  const Node* otherwise = nullptr;
};
struct MacroNode : Node {
  uint32_t name = 0;  // of a call block: "caller"
  Span<Parameter> parameters;
  NodeList body;
  bool reads_caller = false;
  bool reads_varargs = false;
  bool reads_kwargs = false;
};
struct CallBlockNode : Node {
  const MacroNode* caller = nullptr;
  const PostfixNode* call = nullptr;  // its last step is the call
};
struct FilterBlockNode : Node {
  const PostfixNode* filters = nullptr;
  NodeList body;
};
struct WithNode : Node {
  Span<Target> targets;
  NodeList values;
  NodeList body;
};
struct BodyNode : Node {  // kGeneration
  NodeList body;
};

// A compiled template.
struct Program {
  std::string source;  // normalized
  JinjaHeap heap;
  std::vector<std::string_view> names;  // of variables
  std::vector<bool> is_read;            // by name: some expression reads it
  NodeList body;
  uint32_t loop_name = 0;
  uint32_t caller_name = 0;
  uint32_t varargs_name = 0;
  uint32_t kwargs_name = 0;
};

constexpr uint32_t kMaxNodes = 100'000;
constexpr size_t kMaxSourceBytes = size_t{1} << 20;
constexpr int kMaxSourceDepth = 64;

}  // namespace trireme::jinja
