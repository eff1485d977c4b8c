// Parses the source of a template into a program. Belongs to one compilation; bounded in nodes and
// depth. Throws Failure: TemplateSyntaxError, TemplateAssertionError or a limit.
#pragma once

#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/chat/jinja/syntax/lexer.h"
#include "model/chat/jinja/syntax/nodes.h"

namespace trireme::jinja {

class Parser {
 public:
  // `program.source` is set and normalized.
  explicit Parser(Program& program);
  void run();

 private:
  // statements (parser.cc)
  using Words = std::initializer_list<std::string_view>;
  NodeList statements(Words ends);  // stops at the word that ends it
  NodeList body_until(Words ends);  // the tag's end, then statements
  const Node* statement();
  const Node* if_statement();
  const Node* for_statement();
  const Node* set_statement();
  const Node* macro_statement();
  const Node* call_statement();
  const Node* filter_statement();
  const Node* with_statement();
  const Node* generation_statement();
  const Node* print_statement();
  const Node* loop_control(NodeKind kind);
  void signature(MacroNode& macro, std::vector<Parameter>& parameters);
  // Parses the body of a macro or a call block, in which names are looked up anew.
  NodeList macro_body(MacroNode& macro, Words ends);
  Target target(bool with_tuple, bool with_attribute);
  Target single_target(bool with_attribute);
  [[noreturn]] void fail_unknown_tag(std::string_view tag);
  [[noreturn]] void fail_end(Words ends);
  [[noreturn]] void fail_tags(std::string message, std::string_view tag);

  // expressions (expression_parser.cc)
  const Node* expression(bool with_conditional = true);
  const Node* conditional();
  const Node* disjunction();
  const Node* conjunction();
  const Node* negation();
  const Node* comparison();
  const Node* sum();
  const Node* concatenation();
  const Node* product();
  const Node* power();
  const Node* unary(bool with_filter);
  const Node* primary();
  const Node* string_literal();
  const Node* number_literal();
  const Node* list_literal();
  const Node* dict_literal();
  // "a, b" gives a tuple. `stop`: a word that ends it.
  const Node* tuple(bool with_conditional, bool in_parentheses, std::string_view stop = {});
  void postfix(std::vector<PostfixStep>& steps);
  void filters_and_tests(std::vector<PostfixStep>& steps);
  const PostfixNode* filter_chain(bool needs_pipe);
  PostfixStep subscript();
  PostfixStep bracket_subscript(uint32_t offset);
  PostfixStep filter();
  PostfixStep test();
  std::string_view dotted_name();
  CallArguments call_arguments();
  template <class Step, class Operand, class FindStep>
  const Node* math_chain(const Operand& operand, const FindStep& find_step);

  // tokens
  const LexedToken& now() const { return tokens_[at_]; }
  const LexedToken& after() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  const LexedToken& take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool is_word(std::string_view word) const {
    return now().kind == Token::kName && now().text == word;
  }
  bool is_sign(std::string_view sign) const {
    return now().kind == Token::kOperator && now().text == sign;
  }
  bool is_any_word(Words words) const;
  bool take_word(std::string_view word);
  bool take_sign(std::string_view sign);
  void expect_sign(std::string_view sign);
  void expect_word(std::string_view word);
  std::string_view expect_name();
  void expect(Token kind);
  [[noreturn]] void fail_expected(std::string_view expected);
  [[noreturn]] void fail_here(std::string message) const;
  [[noreturn]] void fail_at(uint32_t offset,
                            std::string message,
                            std::string_view type = "TemplateSyntaxError") const;
  static std::string describe(const LexedToken& token);

  // The line of the current token. Precondition: it does not lie before that of an earlier call.
  uint32_t line();

  // nodes
  void count_node(uint32_t offset);
  template <class T>
  T* node(NodeKind kind, uint32_t offset) {
    count_node(offset);
    T* made = program_.heap.make<T>();
    made->kind = kind;
    made->offset = offset;
    return made;
  }
  template <class T>
  Span<T> span(const std::vector<T>& items) {
    T* copied = static_cast<T*>(program_.heap.allocate(std::span(items).size_bytes()));
    std::copy(items.begin(), items.end(), copied);
    return {copied, static_cast<uint32_t>(items.size())};
  }
  uint32_t name_index(std::string_view name);
  Value constant_text(std::string_view text);
  const Node* constant(const Value& value, uint32_t offset);
  const Node* postfix_node(const Node* base,
                           const std::vector<PostfixStep>& steps,
                           uint32_t offset);

  // One level of brackets, blocks or unary operators.
  class Level {
   public:
    explicit Level(Parser& parser);
    ~Level() { --parser_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Parser& parser_;
  };
  // An unknown filter or test is an error of the template, but for one that only a branch reaches:
  // that fails when it is reached.
  struct Unknown {
    bool is_filter = true;
    bool in_branch = false;
    uint32_t offset = 0;
    std::string_view name;
  };
  void note_unknown(bool is_filter, std::string_view name, uint32_t offset);

  Program& program_;
  std::vector<LexedToken> tokens_;
  size_t at_ = 0;
  size_t counted_ = 0;  // bytes of the source whose line ends are in line_
  uint32_t line_ = 1;
  int depth_ = 0;
  uint32_t num_nodes_ = 0;
  int loops_ = 0;  // around the current place, within its macro
  bool in_branch_ = false;
  std::vector<Unknown> unknown_;
  std::vector<MacroNode*> macros_;  // around the current place
  std::vector<std::string_view> tags_;
  std::vector<std::vector<std::string_view>> ends_;
  std::map<std::string_view, uint32_t> name_indices_;
};

}  // namespace trireme::jinja
