#include "model/chat/jinja/syntax/parser.h"

#include <algorithm>

#include "model/chat/jinja/values/library.h"

namespace trireme::jinja {

namespace {

std::string quoted(std::string_view text) { return format_text("'{}'", text); }

std::string quoted_choices(const std::vector<std::string_view>& words) {
  std::string text;
  for (const std::string_view word : words) {
    if (!text.empty()) text += " or ";
    text += quoted(word);
  }
  return text;
}

// Tags of Jinja that need more than one template or change values.
bool is_refused_tag(std::string_view tag) {
  constexpr std::string_view kRefused[] = {
      "include", "import", "from", "extends", "block", "do", "autoescape", "debug", "trans"};
  return std::find(std::begin(kRefused), std::end(kRefused), tag) != std::end(kRefused);
}

}  // namespace

Parser::Parser(Program& program) : program_(program), tokens_(tokenize(program.source)) {
  program_.loop_name = name_index("loop");
  program_.caller_name = name_index("caller");
  program_.varargs_name = name_index("varargs");
  program_.kwargs_name = name_index("kwargs");
}

void Parser::run() {
  program_.body = statements({});
  for (const Unknown& unknown : unknown_) {
    if (unknown.in_branch) continue;
    fail_at(unknown.offset,
            format_text("No {} named '{}'.", unknown.is_filter ? "filter" : "test", unknown.name),
            "TemplateAssertionError");
  }
}

NodeList Parser::statements(Words ends) {
  const Level level(*this);
  ends_.emplace_back(ends);
  std::vector<const Node*> body;
  std::vector<const Node*> output;
  const auto flush = [&] {
    if (output.empty()) return;
    auto* made = node<ListNode>(NodeKind::kOutput, output.front()->offset);
    made->items = span(output);
    body.push_back(made);
    output.clear();
  };
  while (now().kind != Token::kEnd) {
    const LexedToken token = take();
    if (token.kind == Token::kData) {
      output.push_back(constant(constant_text(token.text), token.offset));
    } else if (token.kind == Token::kVariableBegin) {
      output.push_back(tuple(true, false));
      expect(Token::kVariableEnd);
    } else {  // kBlockBegin: tokens inside tags are consumed with them
      flush();
      if (is_any_word(ends)) break;
      body.push_back(statement());
      expect(Token::kBlockEnd);
    }
  }
  flush();
  if (ends.size() > 0 && now().kind == Token::kEnd) fail_end(ends);
  ends_.pop_back();
  return span(body);
}

NodeList Parser::body_until(Words ends) {
  take_sign(":");
  expect(Token::kBlockEnd);
  return statements(ends);
}

const Node* Parser::statement() {
  if (now().kind != Token::kName) fail_here("tag name expected");
  const std::string_view tag = now().text;
  using Parse = const Node* (Parser::*)();
  constexpr std::pair<std::string_view, Parse> kTags[] = {
      {"if", &Parser::if_statement},
      {"for", &Parser::for_statement},
      {"set", &Parser::set_statement},
      {"macro", &Parser::macro_statement},
      {"call", &Parser::call_statement},
      {"filter", &Parser::filter_statement},
      {"with", &Parser::with_statement},
      {"generation", &Parser::generation_statement},
      {"print", &Parser::print_statement},
  };
  const Node* made = nullptr;
  for (const auto& [name, parse] : kTags) {
    if (name != tag) continue;
    tags_.push_back(tag);
    made = (this->*parse)();
    tags_.pop_back();
    return made;
  }
  if (tag == "break") return loop_control(NodeKind::kBreak);
  if (tag == "continue") return loop_control(NodeKind::kContinue);
  if (is_refused_tag(tag)) {
    fail_here(format_text("the tag '{}' is not supported in chat templates", tag));
  }
  fail_unknown_tag(tag);
}

const Node* Parser::if_statement() {
  auto* made = node<IfNode>(NodeKind::kIf, now().offset);
  const bool was_in_branch = in_branch_;
  in_branch_ = true;
  std::vector<Branch> branches;
  take();
  while (true) {
    Branch branch;
    branch.test = tuple(false, false);
    branch.body = body_until({"elif", "else", "endif"});
    branches.push_back(branch);
    const std::string_view word = take().text;
    if (word == "elif") continue;
    if (word == "else") {
      branches.push_back({nullptr, body_until({"endif"})});
      take();
    }
    break;
  }
  in_branch_ = was_in_branch;
  made->branches = span(branches);
  return made;
}

const Node* Parser::for_statement() {
  auto* made = node<ForNode>(NodeKind::kFor, take().offset);
  const bool was_in_branch = in_branch_;
  made->target = target(true, false);
  const uint32_t loop = program_.loop_name;
  const auto is_loop = [&](const Target& part) { return part.name == loop; };
  const bool takes_loop =
      made->target.is_tuple
          ? std::any_of(made->target.parts.begin(), made->target.parts.end(), is_loop)
          : is_loop(made->target);
  if (takes_loop) {
    fail_at(made->offset,
            "Can't assign to special loop variable in for-loop",
            "TemplateAssertionError");
  }
  expect_word("in");
  made->iterable = tuple(false, false, "recursive");
  in_branch_ = false;
  if (take_word("if")) made->test = expression();
  made->is_recursive = take_word("recursive");
  ++loops_;
  made->body = body_until({"endfor", "else"});
  --loops_;
  if (take().text == "else") {
    const int outer_loops = loops_;
    if (made->is_recursive) loops_ = 0;  // what calls itself is not left
    made->otherwise = body_until({"endfor"});
    loops_ = outer_loops;
    take();
  }
  in_branch_ = was_in_branch;
  return made;
}

const Node* Parser::set_statement() {
  const uint32_t offset = take().offset;
  const Target to = target(true, true);
  if (take_sign("=")) {
    auto* made = node<SetNode>(NodeKind::kSet, offset);
    made->target = to;
    made->value = tuple(true, false);
    return made;
  }
  auto* made = node<SetBlockNode>(NodeKind::kSetBlock, offset);
  made->target = to;
  made->filters = filter_chain(true);
  const bool was_in_branch = in_branch_;
  in_branch_ = false;
  made->body = body_until({"endset"});
  in_branch_ = was_in_branch;
  take();
  return made;
}

void Parser::signature(MacroNode& macro, std::vector<Parameter>& parameters) {
  expect_sign("(");
  bool defaults = false;
  while (!is_sign(")")) {
    if (!parameters.empty()) expect_sign(",");
    Parameter parameter;
    const uint32_t offset = now().offset;
    parameter.name = name_index(expect_name());
    if (take_sign("=")) {
      parameter.otherwise = expression();
      defaults = true;
    } else if (defaults) {
      fail_at(offset, "non-default argument follows default argument");
    }
    parameters.push_back(parameter);
  }
  expect_sign(")");
  macro.parameters = span(parameters);
}

NodeList Parser::macro_body(MacroNode& macro, Words ends) {
  const bool was_in_branch = in_branch_;
  const int outer_loops = loops_;
  in_branch_ = false;
  loops_ = 0;  // break and continue do not leave a macro
  macros_.push_back(&macro);
  const NodeList body = body_until(ends);
  macros_.pop_back();
  loops_ = outer_loops;
  in_branch_ = was_in_branch;
  take();
  return body;
}

const Node* Parser::macro_statement() {
  auto* made = node<MacroNode>(NodeKind::kMacro, take().offset);
  made->name = name_index(expect_name());
  std::vector<Parameter> parameters;
  signature(*made, parameters);
  made->body = macro_body(*made, {"endmacro"});
  return made;
}

const Node* Parser::call_statement() {
  auto* made = node<CallBlockNode>(NodeKind::kCallBlock, take().offset);
  auto* caller = node<MacroNode>(NodeKind::kMacro, made->offset);
  caller->name = program_.caller_name;
  std::vector<Parameter> parameters;
  if (is_sign("(")) signature(*caller, parameters);
  const Node* call = expression();
  const auto* chain = static_cast<const PostfixNode*>(call);
  if (call->kind != NodeKind::kPostfix ||
      chain->steps[chain->steps.size - 1].kind != StepKind::kCall) {
    fail_at(made->offset, "expected call");
  }
  made->call = chain;
  caller->body = macro_body(*caller, {"endcall"});
  made->caller = caller;
  return made;
}

const Node* Parser::filter_statement() {
  auto* made = node<FilterBlockNode>(NodeKind::kFilterBlock, take().offset);
  made->filters = filter_chain(false);
  const bool was_in_branch = in_branch_;
  in_branch_ = false;
  made->body = body_until({"endfilter"});
  in_branch_ = was_in_branch;
  take();
  return made;
}

const Node* Parser::with_statement() {
  auto* made = node<WithNode>(NodeKind::kWith, take().offset);
  std::vector<Target> targets;
  std::vector<const Node*> values;
  while (now().kind != Token::kBlockEnd) {
    if (!targets.empty()) expect_sign(",");
    targets.push_back(target(true, false));
    expect_sign("=");
    values.push_back(expression());
  }
  made->targets = span(targets);
  made->values = span(values);
  const bool was_in_branch = in_branch_;
  in_branch_ = false;
  made->body = body_until({"endwith"});
  in_branch_ = was_in_branch;
  take();
  return made;
}

// The body is a call block's: what it sets stays in it.
const Node* Parser::generation_statement() {
  auto* made = node<BodyNode>(NodeKind::kGeneration, take().offset);
  MacroNode body;
  made->body = macro_body(body, {"endgeneration"});
  return made;
}

const Node* Parser::print_statement() {
  auto* made = node<ListNode>(NodeKind::kOutput, take().offset);
  std::vector<const Node*> items;
  while (now().kind != Token::kBlockEnd) {
    if (!items.empty()) expect_sign(",");
    items.push_back(expression());
  }
  made->items = span(items);
  return made;
}

const Node* Parser::loop_control(NodeKind kind) {
  const uint32_t offset = take().offset;
  if (loops_ == 0) {
    fail_at(offset,
            format_text("'{}' outside loop", kind == NodeKind::kBreak ? "break" : "continue"));
  }
  return node<Node>(kind, offset);
}

Target Parser::single_target(bool with_attribute) {
  Target made;
  made.offset = now().offset;
  if (take_sign("(")) {
    made = target(true, false);
    expect_sign(")");
    return made;
  }
  if (now().kind != Token::kName) {
    fail_here(format_text("can't assign to '{}'", describe(now())));
  }
  const std::string_view name = take().text;
  for (const std::string_view word : {"true", "false", "none", "True", "False", "None"}) {
    if (name == word) fail_at(made.offset, "can't assign to 'const'");
  }
  made.name = name_index(name);
  if (with_attribute && take_sign(".")) {
    Value* attribute = program_.heap.make<Value>();
    *attribute = constant_text(expect_name());
    made.attribute = attribute;
  }
  return made;
}

Target Parser::target(bool with_tuple, bool with_attribute) {
  const Level level(*this);
  const uint32_t offset = now().offset;
  const Target first = single_target(with_attribute);
  if (!with_tuple || !is_sign(",")) return first;
  std::vector<Target> parts = {first};
  while (take_sign(",")) {
    const bool ends =
        is_word("in") || is_sign("=") || is_sign(")") || now().kind == Token::kBlockEnd;
    if (ends) break;
    parts.push_back(single_target(with_attribute));
  }
  Target made;
  made.name = UINT32_MAX;
  made.is_tuple = true;
  made.offset = offset;
  made.parts = span(parts);
  return made;
}

void Parser::fail_unknown_tag(std::string_view tag) {
  std::string message = format_text("Encountered unknown tag '{}'.", tag);
  if (!ends_.empty() && !ends_.back().empty()) {
    const bool expected = std::any_of(ends_.begin(), ends_.end(), [&](const auto& ends) {
      return std::find(ends.begin(), ends.end(), tag) != ends.end();
    });
    const std::string choices = quoted_choices(ends_.back());
    message += expected ? format_text(
                              " You probably made a nesting mistake. Jinja is expecting "
                              "this tag, but currently looking for {}.",
                              choices)
                        : format_text(" Jinja was looking for the following tags: {}.", choices);
  }
  fail_tags(std::move(message), tag);
}

void Parser::fail_end(Words ends) {
  fail_tags(format_text("Unexpected end of template. Jinja was looking for the following tags: {}.",
                        quoted_choices(ends)),
            {});
}

void Parser::fail_tags(std::string message, std::string_view tag) {
  (void)tag;
  if (!tags_.empty()) {
    message += format_text(" The innermost block that needs to be closed is '{}'.", tags_.back());
  }
  fail_here(std::move(message));
}

}  // namespace trireme::jinja
