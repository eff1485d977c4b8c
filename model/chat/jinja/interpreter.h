// Runs a program once. Belongs to the thread that renders; the program is shared and const.
#pragma once

#include <vector>

#include "absl/container/inlined_vector.h"
#include "model/chat/jinja/syntax/nodes.h"
#include "model/chat/jinja/values/loop.h"
#include "model/chat/jinja/values/runtime.h"
#include "model/chat/jinja/values/text_builder.h"

namespace trireme::jinja {

struct ScopeEntry {
  uint32_t name = 0;
  Value value;
};

// The variables that one block sets. In the render's heap, because macros keep the scope that they
// stand in.
struct Scope {
  Scope* parent = nullptr;
  ScopeEntry* entries = nullptr;
  uint32_t size = 0;
  uint32_t capacity = 0;
  bool is_kept = false;  // by a macro: not to be reused for the next turn of a loop
};

struct MacroState {
  const MacroNode* node = nullptr;
  Scope* scope = nullptr;
};

class Interpreter {
 public:
  Interpreter(const Program& program, const JinjaValue& variables, const RenderOptions& options);
  // Throws Failure, which is not located yet: see offset().
  void run(MarkedText& out);
  // The place in the source that runs.
  uint32_t offset() const { return offset_; }

  // For the condition of a loop.
  bool holds_for(const ForNode& node, Scope* around, const Value& element);
  Runtime& runtime() { return runtime_; }

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };

  // The arguments of one call.
  struct Arguments {
    absl::InlinedVector<Value, 4> values;
    absl::InlinedVector<Value, 2> names;
    absl::InlinedVector<Value, 2> named;
    Args view() const {
      return {values.data(),
              static_cast<uint32_t>(values.size()),
              names.data(),
              named.data(),
              static_cast<uint32_t>(names.size())};
    }
  };

  // statements (interpreter.cc)
  Flow run_body(const NodeList& body);
  Flow run_in_scope(const NodeList& body, Scope* scope);
  Flow run_statement(const Node& node);
  Flow run_if(const IfNode& node);
  Flow run_with(const WithNode& node);
  Flow run_set_block(const SetBlockNode& node);
  Flow run_filter_block(const FilterBlockNode& node);
  void run_output(const ListNode& node);
  void run_macro(const MacroNode& node);
  void run_call_block(const CallBlockNode& node);
  void run_generation(const BodyNode& node);
  Flow run_for(const ForNode& node, const Value& iterable, int64_t depth0);
  bool run_loop(const ForNode& node, LoopState& loop);
  void assign(const Target& target, const Value& value);
  void check_target(const Target& target) const;
  void assign_attribute(const Target& target, const Value& value);
  Value make_macro(const MacroNode& node);

  // calls (calls.cc)
  Value call(const Value& callee, const Args& args);
  Value call_macro(const Function& function, const Args& args);
  void bind_macro(const MacroNode& node, std::string_view name, const Args& args);
  Value call_loop(const LoopState& loop, const Args& args);
  Value call_object(Object& object);
  void read_arguments(const CallArguments& arguments, Arguments& out);
  void spread_named(const Value& mapping, Arguments& out);

  // expressions (expressions.cc)
  Value evaluate(const Node& node);
  Value evaluate_name(uint32_t name);
  Value evaluate_list(const ListNode& node, Kind kind);
  Value evaluate_dict(const DictNode& node);
  Value evaluate_conditional(const ConditionalNode& node);
  Value evaluate_choice(const ListNode& node, bool stops_at);
  Value evaluate_compare(const CompareNode& node);
  Value evaluate_concat(const ListNode& node);
  Value evaluate_math(const MathNode& node);
  Value evaluate_slice(const Value& object, const PostfixStep& step);
  Value follow(Value value, const Span<PostfixStep>& steps, const Value* caller = nullptr);
  Value apply(const PostfixStep& step, const Value& value);
  // Calls a method without making it a value first. False: it is no plain method.
  bool call_method(const PostfixStep& attribute,
                   const PostfixStep& call,
                   Value& value,
                   const Value* caller);

  // scopes
  Scope* new_scope(Scope* parent);
  void set(Scope& scope, uint32_t name, const Value& value);
  const Value* find(uint32_t name) const;

  // A level of blocks and expressions within one another.
  class Nesting {
   public:
    explicit Nesting(int& levels) : levels_(levels) {
      if (++levels_ > kMaxNesting) fail_nesting();
    }
    ~Nesting() { --levels_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    [[noreturn]] void fail_nesting();
    int& levels_;
  };
  // Sets a variable of the interpreter for the time of a block.
  template <class T>
  class Exchange {
   public:
    Exchange(T& place, T value) : place_(place), before_(place) { place = value; }
    ~Exchange() { place_ = before_; }
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

   private:
    T& place_;
    T before_;
  };

  const Program& program_;
  Runtime runtime_;
  std::vector<const Value*> globals_;  // by name; null: none
  std::vector<Value> functions_;       // of the library, for globals_
  std::vector<Value> undefined_;       // by name, made when it is first needed
  Scope* scope_ = nullptr;
  TextBuilder root_;
  TextBuilder* out_ = nullptr;
  std::vector<TextRange> generation_;
  uint32_t offset_ = 0;
  int call_depth_ = 0;
  int nesting_ = 0;
};

}  // namespace trireme::jinja
