#include <algorithm>
#include <charconv>
#include <cmath>

#include "model/chat/jinja/syntax/parser.h"
#include "model/chat/jinja/values/library.h"
#include "model/chat/jinja/values/numbers.h"

namespace trireme::jinja {

namespace {

std::string without_underscores(std::string_view text) {
  std::string plain(text);
  plain.erase(std::remove(plain.begin(), plain.end(), '_'), plain.end());
  return plain;
}

struct ComparisonSign {
  std::string_view sign;
  Comparison comparison;
};
constexpr ComparisonSign kComparisons[] = {
    {"==", Comparison::kEqual},
    {"!=", Comparison::kNotEqual},
    {"<", Comparison::kLess},
    {"<=", Comparison::kLessEqual},
    {">", Comparison::kGreater},
    {">=", Comparison::kGreaterEqual},
};
struct OperatorSign {
  std::string_view sign;
  Operator operation;
};
constexpr OperatorSign kSumSigns[] = {{"+", Operator::kAdd}, {"-", Operator::kSubtract}};
constexpr OperatorSign kProductSigns[] = {{"*", Operator::kMultiply},
                                          {"/", Operator::kDivide},
                                          {"//", Operator::kFloorDivide},
                                          {"%", Operator::kModulo}};
constexpr OperatorSign kPowerSigns[] = {{"**", Operator::kPower}};

}  // namespace

const Node* Parser::expression(bool with_conditional) {
  const Level level(*this);
  return with_conditional ? conditional() : disjunction();
}

const Node* Parser::conditional() {
  const uint32_t offset = now().offset;
  const size_t first_unknown = unknown_.size();
  uint32_t at_line = line();
  const Node* value = disjunction();
  for (int chained = 0; take_word("if"); ++chained) {
    if (chained == kMaxSourceDepth) fail_limit("too many conditional expressions in a chain");
    auto* made = node<ConditionalNode>(NodeKind::kConditional, offset);
    made->value = value;
    made->line = at_line;
    made->test = disjunction();
    if (take_word("else")) {
      const Level level(*this);
      made->otherwise = conditional();
    }
    value = made;
    at_line = line();
    for (size_t i = first_unknown; i < unknown_.size(); ++i) unknown_[i].in_branch = true;
  }
  return value;
}

const Node* Parser::disjunction() {
  const uint32_t offset = now().offset;
  std::vector<const Node*> items = {conjunction()};
  while (take_word("or")) items.push_back(conjunction());
  if (items.size() == 1) return items[0];
  auto* made = node<ListNode>(NodeKind::kOr, offset);
  made->items = span(items);
  return made;
}

const Node* Parser::conjunction() {
  const uint32_t offset = now().offset;
  std::vector<const Node*> items = {negation()};
  while (take_word("and")) items.push_back(negation());
  if (items.size() == 1) return items[0];
  auto* made = node<ListNode>(NodeKind::kAnd, offset);
  made->items = span(items);
  return made;
}

const Node* Parser::negation() {
  const uint32_t offset = now().offset;
  if (!take_word("not")) return comparison();
  const Level level(*this);
  auto* made = node<UnaryNode>(NodeKind::kNot, offset);
  made->operand = negation();
  return made;
}

const Node* Parser::comparison() {
  const uint32_t offset = now().offset;
  const Node* first = sum();
  std::vector<CompareStep> steps;
  while (true) {
    CompareStep step;
    bool found = false;
    for (const auto& [sign, comparison] : kComparisons) {
      if (!is_sign(sign)) continue;
      step.comparison = comparison;
      found = true;
    }
    if (found) {
      take();
    } else if (take_word("in")) {
      step.comparison = Comparison::kIn;
    } else if (is_word("not") && after().kind == Token::kName && after().text == "in") {
      take();
      take();
      step.comparison = Comparison::kNotIn;
    } else {
      break;
    }
    step.operand = sum();
    steps.push_back(step);
  }
  if (steps.empty()) return first;
  auto* made = node<CompareNode>(NodeKind::kCompare, offset);
  made->first = first;
  made->steps = span(steps);
  return made;
}

template <class Signs, class Operand, class FindStep>
const Node* Parser::math_chain(const Operand& operand, const FindStep& find_step) {
  const uint32_t offset = now().offset;
  const Node* first = operand();
  std::vector<MathStep> steps;
  while (const OperatorSign* sign = find_step()) {
    take();
    steps.push_back({sign->operation, operand()});
  }
  if (steps.empty()) return first;
  auto* made = node<MathNode>(NodeKind::kMath, offset);
  made->first = first;
  made->steps = span(steps);
  return made;
}

const Node* Parser::sum() {
  return math_chain<OperatorSign>([&] { return concatenation(); },
                                  [&]() -> const OperatorSign* {
                                    for (const OperatorSign& sign : kSumSigns) {
                                      if (is_sign(sign.sign)) return &sign;
                                    }
                                    return nullptr;
                                  });
}

const Node* Parser::concatenation() {
  const uint32_t offset = now().offset;
  std::vector<const Node*> items = {product()};
  while (take_sign("~")) items.push_back(product());
  if (items.size() == 1) return items[0];
  auto* made = node<ListNode>(NodeKind::kConcat, offset);
  made->items = span(items);
  return made;
}

const Node* Parser::product() {
  return math_chain<OperatorSign>([&] { return power(); },
                                  [&]() -> const OperatorSign* {
                                    for (const OperatorSign& sign : kProductSigns) {
                                      if (is_sign(sign.sign)) return &sign;
                                    }
                                    return nullptr;
                                  });
}

// From left to right: 2 ** 3 ** 2 is 64.
const Node* Parser::power() {
  return math_chain<OperatorSign>(
      [&] { return unary(true); },
      [&]() -> const OperatorSign* { return is_sign("**") ? &kPowerSigns[0] : nullptr; });
}

const Node* Parser::unary(bool with_filter) {
  const uint32_t offset = now().offset;
  const Node* base = nullptr;
  if (is_sign("-") || is_sign("+")) {
    const Level level(*this);
    const NodeKind kind = take().text == "-" ? NodeKind::kNegate : NodeKind::kPositive;
    auto* made = node<UnaryNode>(kind, offset);
    made->operand = unary(false);
    base = made;
  } else {
    base = primary();
  }
  std::vector<PostfixStep> steps;
  postfix(steps);
  if (with_filter) filters_and_tests(steps);
  return postfix_node(base, steps, offset);
}

const Node* Parser::primary() {
  const LexedToken token = now();
  switch (token.kind) {
    case Token::kName: {
      take();
      if (token.text == "true" || token.text == "True") {
        return constant(Value::boolean(true), token.offset);
      }
      if (token.text == "false" || token.text == "False") {
        return constant(Value::boolean(false), token.offset);
      }
      if (token.text == "none" || token.text == "None") {
        return constant(Value::none(), token.offset);
      }
      auto* made = node<NameNode>(NodeKind::kName, token.offset);
      made->name = name_index(token.text);
      program_.is_read[made->name] = true;
      for (MacroNode* macro : macros_) {
        macro->reads_caller = macro->reads_caller || made->name == program_.caller_name;
        macro->reads_varargs = macro->reads_varargs || made->name == program_.varargs_name;
        macro->reads_kwargs = macro->reads_kwargs || made->name == program_.kwargs_name;
      }
      return made;
    }
    case Token::kString:
      return string_literal();
    case Token::kInteger:
    case Token::kFloat:
      return number_literal();
    default:
      break;
  }
  if (is_sign("(")) {
    take();
    const Node* made = tuple(true, true);
    expect_sign(")");
    return made;
  }
  if (is_sign("[")) return list_literal();
  if (is_sign("{")) return dict_literal();
  fail_here(format_text("unexpected '{}'", describe(token)));
}

// Adjacent literals are one.
const Node* Parser::string_literal() {
  const uint32_t offset = now().offset;
  std::string text;
  while (now().kind == Token::kString) {
    const std::string_view literal = take().text;
    text += unescape(literal.substr(1, literal.size() - 2), program_.source);
  }
  return constant(program_.heap.string(text, Origin::kTemplate), offset);
}

const Node* Parser::number_literal() {
  const LexedToken token = take();
  const std::string text = without_underscores(token.text);
  if (token.kind == Token::kFloat) {
    const std::optional<double> number = parse_float(text);
    return constant(Value::number(number.value_or(HUGE_VAL)), token.offset);
  }
  std::string_view digits = text;
  int base = 10;
  if (digits.size() > 1 && digits[0] == '0' && digits[1] > '9') {
    const char mark = static_cast<char>(digits[1] | 0x20);
    base = mark == 'x' ? 16 : mark == 'o' ? 8 : 2;
    digits.remove_prefix(2);
  }
  int64_t number = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
  if (result.ec == std::errc()) return constant(Value::integer(number), token.offset);
  if (base != 10) fail_at(token.offset, "an integer beyond 64 bits");
  return constant(JinjaAccess::big(copy_text(program_.heap, digits, Origin::kTemplate)),
                  token.offset);
}

const Node* Parser::list_literal() {
  auto* made = node<ListNode>(NodeKind::kList, now().offset);
  std::vector<const Node*> items;
  expect_sign("[");
  while (!is_sign("]")) {
    if (!items.empty()) expect_sign(",");
    if (is_sign("]")) break;
    items.push_back(expression());
  }
  expect_sign("]");
  made->items = span(items);
  return made;
}

const Node* Parser::dict_literal() {
  auto* made = node<DictNode>(NodeKind::kDict, now().offset);
  std::vector<const Node*> keys;
  std::vector<const Node*> values;
  expect_sign("{");
  while (!is_sign("}")) {
    if (!keys.empty()) expect_sign(",");
    if (is_sign("}")) break;
    keys.push_back(expression());
    expect_sign(":");
    values.push_back(expression());
  }
  expect_sign("}");
  made->keys = span(keys);
  made->values = span(values);
  return made;
}

const Node* Parser::tuple(bool with_conditional, bool in_parentheses, std::string_view stop) {
  const uint32_t offset = now().offset;
  std::vector<const Node*> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) expect_sign(",");
    const bool ends = now().kind == Token::kVariableEnd || now().kind == Token::kBlockEnd ||
                      is_sign(")") || (!stop.empty() && is_word(stop));
    if (ends) break;
    items.push_back(expression(with_conditional));
    if (!is_sign(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !items.empty()) return items[0];
  if (!is_tuple && !in_parentheses) {
    fail_here(format_text("Expected an expression, got '{}'", describe(now())));
  }
  auto* made = node<ListNode>(NodeKind::kTuple, offset);
  made->items = span(items);
  return made;
}

}  // namespace trireme::jinja
