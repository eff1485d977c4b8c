// Subscripts, calls, filters and tests, and the parser's access to tokens and nodes.
#include <algorithm>

#include "model/chat/jinja/syntax/parser.h"
#include "model/chat/jinja/values/library.h"

namespace trireme::jinja {

void Parser::postfix(std::vector<PostfixStep>& steps) {
  while (true) {
    if (is_sign(".") || is_sign("[")) {
      steps.push_back(subscript());
    } else if (is_sign("(")) {
      PostfixStep step;
      step.kind = StepKind::kCall;
      step.offset = now().offset;
      step.arguments = call_arguments();
      steps.push_back(step);
    } else {
      return;
    }
    count_node(steps.back().offset);
  }
}

void Parser::filters_and_tests(std::vector<PostfixStep>& steps) {
  while (true) {
    if (take_sign("|")) {
      steps.push_back(filter());
    } else if (take_word("is")) {
      steps.push_back(test());
    } else if (is_sign("(")) {
      PostfixStep step;
      step.kind = StepKind::kCall;
      step.offset = now().offset;
      step.arguments = call_arguments();
      steps.push_back(step);
    } else {
      return;
    }
    count_node(steps.back().offset);
  }
}

// Filters without a value before them; null if there are none.
const PostfixNode* Parser::filter_chain(bool needs_pipe) {
  std::vector<PostfixStep> steps;
  const uint32_t offset = now().offset;
  if (!needs_pipe) steps.push_back(filter());
  while (take_sign("|")) steps.push_back(filter());
  if (steps.empty()) return nullptr;
  auto* made = node<PostfixNode>(NodeKind::kPostfix, offset);
  made->steps = span(steps);
  return made;
}

PostfixStep Parser::subscript() {
  PostfixStep step;
  const LexedToken sign = take();
  step.offset = sign.offset;
  if (sign.text == "[") return bracket_subscript(sign.offset);
  const LexedToken name = take();
  if (name.kind == Token::kName) {
    step.kind = StepKind::kAttribute;
    step.name = constant_text(name.text);
    return step;
  }
  if (name.kind != Token::kInteger) fail_at(name.offset, "expected name or number");
  --at_;
  step.kind = StepKind::kItem;
  step.index = number_literal();
  return step;
}

PostfixStep Parser::bracket_subscript(uint32_t offset) {
  PostfixStep step;
  step.kind = StepKind::kItem;
  step.offset = offset;
  std::vector<const Node*> items;
  bool is_slice = false;
  const auto bound = [&]() -> const Node* {
    return is_sign(":") || is_sign("]") || is_sign(",") ? nullptr : expression();
  };
  while (!is_sign("]")) {
    if (!items.empty() || is_slice) expect_sign(",");
    const Node* first = bound();
    if (take_sign(":")) {
      is_slice = true;
      step.index = first;
      step.stop = bound();
      if (take_sign(":")) step.step = bound();
    } else if (first == nullptr) {
      fail_here(format_text("unexpected '{}'", describe(now())));
    } else {
      items.push_back(first);
    }
  }
  expect_sign("]");
  if (is_slice) {
    if (!items.empty()) fail_at(offset, "a slice among several subscripts is not supported");
    step.kind = StepKind::kSlice;
  } else if (items.size() == 1) {
    step.index = items[0];
  } else {
    auto* tuple = node<ListNode>(NodeKind::kTuple, offset);
    tuple->items = span(items);
    step.index = tuple;
  }
  return step;
}

std::string_view Parser::dotted_name() {
  const std::string_view first = expect_name();
  if (!is_sign(".")) return first;
  std::string name(first);
  while (take_sign(".")) name += "." + std::string(expect_name());
  return constant_text(name).text();
}

PostfixStep Parser::filter() {
  PostfixStep step;
  step.kind = StepKind::kFilter;
  step.offset = now().offset;
  const std::string_view name = dotted_name();
  if (is_refused_filter(name)) {
    fail_at(step.offset,
            format_text("the filter '{}' is not supported in chat templates", name),
            "TemplateAssertionError");
  }
  step.name = constant_text(name);
  step.function = find_filter(name);
  if (step.function == nullptr) note_unknown(true, name, step.offset);
  if (is_sign("(")) step.arguments = call_arguments();
  return step;
}

PostfixStep Parser::test() {
  PostfixStep step;
  step.kind = StepKind::kTest;
  step.negated = take_word("not");
  step.offset = now().offset;
  const std::string_view name = dotted_name();
  step.name = constant_text(name);
  step.function = find_test(name);
  if (step.function == nullptr) note_unknown(false, name, step.offset);
  if (is_sign("(")) {
    step.arguments = call_arguments();
    return step;
  }
  const Token kind = now().kind;
  const bool has_argument = kind == Token::kName || kind == Token::kString ||
                            kind == Token::kInteger || kind == Token::kFloat || is_sign("[") ||
                            is_sign("{");
  if (!has_argument || is_any_word({"else", "or", "and"})) return step;
  if (is_word("is")) fail_here("You cannot chain multiple tests with is");
  const Level level(*this);
  const uint32_t offset = now().offset;
  const Node* base = primary();
  std::vector<PostfixStep> steps;
  postfix(steps);
  step.arguments.positional = span(std::vector<const Node*>{postfix_node(base, steps, offset)});
  return step;
}

CallArguments Parser::call_arguments() {
  const uint32_t offset = now().offset;
  CallArguments made;
  std::vector<const Node*> positional;
  std::vector<NamedArgument> named;
  const auto require = [&](bool holds) {
    if (!holds) fail_at(offset, "invalid syntax for function call expression");
  };
  expect_sign("(");
  for (bool first = true; !is_sign(")"); first = false) {
    if (!first) expect_sign(",");
    if (is_sign(")")) break;
    if (take_sign("*")) {
      require(made.more_positional == nullptr && made.more_named == nullptr);
      made.more_positional = expression();
    } else if (take_sign("**")) {
      require(made.more_named == nullptr);
      made.more_named = expression();
    } else if (now().kind == Token::kName && after().kind == Token::kOperator &&
               after().text == "=") {
      require(made.more_named == nullptr);
      const std::string_view name = take().text;
      take();
      for (const NamedArgument& other : named) {
        if (other.name.text() == name) {
          fail_at(offset, format_text("keyword argument repeated: {}", name), "SyntaxError");
        }
      }
      named.push_back({constant_text(name), expression()});
    } else {
      require(made.more_positional == nullptr && made.more_named == nullptr && named.empty());
      positional.push_back(expression());
    }
  }
  expect_sign(")");
  made.positional = span(positional);
  made.named = span(named);
  return made;
}

void Parser::note_unknown(bool is_filter, std::string_view name, uint32_t offset) {
  unknown_.push_back({is_filter, in_branch_, offset, name});
}

bool Parser::is_any_word(Words words) const {
  return now().kind == Token::kName &&
         std::find(words.begin(), words.end(), now().text) != words.end();
}

bool Parser::take_word(std::string_view word) {
  const bool found = is_word(word);
  if (found) take();
  return found;
}

bool Parser::take_sign(std::string_view sign) {
  const bool found = is_sign(sign);
  if (found) take();
  return found;
}

void Parser::expect_sign(std::string_view sign) {
  if (!take_sign(sign)) fail_expected(sign);
}

void Parser::expect_word(std::string_view word) {
  if (!take_word(word)) fail_expected(word);
}

std::string_view Parser::expect_name() {
  if (now().kind != Token::kName) fail_expected("name");
  return take().text;
}

void Parser::expect(Token kind) {
  if (now().kind != kind) {
    fail_expected(kind == Token::kVariableEnd ? "end of print statement"
                                              : "end of statement block");
  }
  take();
}

void Parser::fail_expected(std::string_view expected) {
  if (now().kind == Token::kEnd) {
    fail_here(format_text("unexpected end of template, expected '{}'.", expected));
  }
  fail_here(format_text("expected token '{}', got '{}'", expected, describe(now())));
}

void Parser::fail_here(std::string message) const { fail_at(now().offset, std::move(message)); }

void Parser::fail_at(uint32_t offset, std::string message, std::string_view type) const {
  fail_syntax(program_.source, offset, std::move(message), type);
}

std::string Parser::describe(const LexedToken& token) {
  switch (token.kind) {
    case Token::kData:
      return "template data / text";
    case Token::kVariableBegin:
      return "begin of print statement";
    case Token::kVariableEnd:
      return "end of print statement";
    case Token::kBlockBegin:
      return "begin of statement block";
    case Token::kBlockEnd:
      return "end of statement block";
    case Token::kString:
      return "string";
    case Token::kInteger:
      return "integer";
    case Token::kFloat:
      return "float";
    case Token::kEnd:
      return "end of template";
    default:
      return std::string(token.text);
  }
}

uint32_t Parser::line() {
  const std::string_view passed =
      std::string_view(program_.source).substr(counted_, now().offset - counted_);
  line_ += static_cast<uint32_t>(std::count(passed.begin(), passed.end(), '\n'));
  counted_ += passed.size();
  return line_;
}

void Parser::count_node(uint32_t offset) {
  if (++num_nodes_ <= kMaxNodes) return;
  Failure failure;
  failure.error.type = "LimitError";
  failure.error.message = format_text("the template has more than {} nodes", kMaxNodes);
  failure.error.is_limit = true;
  locate(program_.source, offset, failure.error.line, failure.error.column);
  throw failure;
}

Parser::Level::Level(Parser& parser) : parser_(parser) {
  if (++parser_.depth_ <= kMaxSourceDepth) return;
  --parser_.depth_;
  Failure failure;
  failure.error.type = "LimitError";
  failure.error.message =
      format_text("blocks and expressions are nested deeper than {} levels", kMaxSourceDepth);
  failure.error.is_limit = true;
  locate(parser_.program_.source, parser_.now().offset, failure.error.line, failure.error.column);
  throw failure;
}

uint32_t Parser::name_index(std::string_view name) {
  const auto next = static_cast<uint32_t>(program_.names.size());
  const auto [at, added] = name_indices_.try_emplace(name, next);
  if (added) {
    program_.names.push_back(name);
    program_.is_read.push_back(false);
  }
  return at->second;
}

Value Parser::constant_text(std::string_view text) {
  return program_.heap.string(text, Origin::kTemplate);
}

const Node* Parser::constant(const Value& value, uint32_t offset) {
  auto* made = node<ConstantNode>(NodeKind::kConstant, offset);
  made->value = value;
  return made;
}

const Node* Parser::postfix_node(const Node* base,
                                 const std::vector<PostfixStep>& steps,
                                 uint32_t offset) {
  if (steps.empty()) return base;
  auto* made = node<PostfixNode>(NodeKind::kPostfix, offset);
  made->base = base;
  made->steps = span(steps);
  return made;
}

}  // namespace trireme::jinja
