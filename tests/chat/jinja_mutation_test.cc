// Mutated templates and values: whatever they hold, compiling and rendering end, with a text of
// UTF-8 whose ranges lie in it, or with an error.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "tests/chat/jinja_fixture.h"

namespace trireme {
namespace jinja_mutation_test {

constexpr int kMutations = 20'000;

std::vector<std::string> read_templates() {
  std::vector<std::string> templates;
  const std::string folder = std::string(TRIREME_TEST_DATA) + "/chat/";
  for (const char* name : {"brackets",
                           "channels",
                           "documents",
                           "generation",
                           "headers",
                           "parts",
                           "plain",
                           "reasoning",
                           "tools_json",
                           "workshop"}) {
    std::ifstream file(folder + name + ".jinja", std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    templates.push_back(text.str());
  }
  std::ifstream snippets(folder + "snippets.jsonl");
  for (std::string line; std::getline(snippets, line);) {
    templates.push_back(nlohmann::json::parse(line)["template"]);
  }
  return templates;
}

std::vector<std::string> read_variables() {
  std::vector<std::string> all;
  const std::string folder = std::string(TRIREME_TEST_DATA) + "/chat/";
  std::ifstream cases(folder + "cases.jsonl");
  for (std::string line; std::getline(cases, line);) {
    const nlohmann::ordered_json read = nlohmann::ordered_json::parse(line);
    nlohmann::ordered_json variables = read["variables"];
    for (const char* name : {"messages", "tools", "documents", "add_generation_prompt"}) {
      variables[name] = read[name];
    }
    all.push_back(variables.dump());
  }
  std::ifstream file(folder + "snippet_variables.json", std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  all.push_back(text.str());
  return all;
}

class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  size_t below(size_t end) { return end == 0 ? 0 : random_() % end; }

  std::string mutate(std::string text, const std::vector<std::string>& others) {
    for (size_t i = 0; i <= below(4); ++i) change(text, others);
    return text;
  }

 private:
  void change(std::string& text, const std::vector<std::string>& others) {
    static const std::vector<std::string> kPieces = {"{{",
                                                     "}}",
                                                     "{%",
                                                     "%}",
                                                     "{#",
                                                     "#}",
                                                     "-",
                                                     "+",
                                                     "(",
                                                     ")",
                                                     "[",
                                                     "]",
                                                     "{",
                                                     "}",
                                                     "|",
                                                     ".",
                                                     ":",
                                                     ",",
                                                     "~",
                                                     "**",
                                                     "//",
                                                     " if ",
                                                     " else ",
                                                     " in ",
                                                     " is ",
                                                     " not ",
                                                     "{% endfor %}",
                                                     "{% else %}",
                                                     "{% set x = x %}",
                                                     "{% raw %}",
                                                     "'",
                                                     "\"",
                                                     "\\",
                                                     "\xff",
                                                     "\xc3",
                                                     "é",
                                                     "\n",
                                                     "\r\n",
                                                     "0",
                                                     "-1",
                                                     "9999999999999999999",
                                                     "1e999",
                                                     "[::-1]",
                                                     "[:0]",
                                                     ".items()",
                                                     ".split('')",
                                                     "| tojson",
                                                     "| join",
                                                     "| map(attribute='x')",
                                                     "| sort",
                                                     "| list",
                                                     "messages",
                                                     "loop",
                                                     "loop.last",
                                                     "namespace()",
                                                     "range(9)",
                                                     "none",
                                                     "''",
                                                     "%s",
                                                     "{% break %}",
                                                     "{% macro f() %}",
                                                     "{{ f() }}",
                                                     "null",
                                                     "true",
                                                     "{}",
                                                     "[]",
                                                     "\"\\ud800\"",
                                                     "1e400"};
    const size_t at = below(text.size() + 1);
    switch (below(5)) {
      case 0:
        text.insert(at, kPieces[below(kPieces.size())]);
        break;
      case 1:
        text.erase(at, 1 + below(12));
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(random_());
        break;
      case 3: {  // a stretch of another text
        const std::string& other = others[below(others.size())];
        const size_t from = below(other.size());
        text.insert(at, other.substr(from, 1 + below(60)));
        break;
      }
      default:
        text.insert(below(text.size() + 1), text.substr(at, 1 + below(40)));
    }
  }

  std::mt19937 random_;
};

void expect_sound(const Rendered& rendered) {
  if (!rendered.ok) {
    EXPECT_FALSE(rendered.error.type.empty());
    return;
  }
  ASSERT_TRUE(is_utf8(rendered.out.text));
  size_t at = 0;
  for (const OriginRange& range : rendered.out.origins) {
    ASSERT_LE(at, range.begin);
    ASSERT_LT(range.begin, range.end);
    at = range.end;
  }
  ASSERT_LE(at, rendered.out.text.size());
  for (const TextRange& range : rendered.out.generation) {
    ASSERT_LE(range.begin, range.end);
    ASSERT_LE(range.end, rendered.out.text.size());
  }
}

TEST(JinjaMutation, OfTemplates) {
  const std::vector<std::string> templates = read_templates();
  const std::vector<std::string> variables = read_variables();
  Mutator mutator(7);
  int rendered_texts = 0;
  for (int i = 0; i < kMutations; ++i) {
    const std::string& source = templates[mutator.below(templates.size())];
    const std::string& values = variables[mutator.below(variables.size())];
    const Rendered rendered = render_jinja(mutator.mutate(source, templates), values);
    expect_sound(rendered);
    rendered_texts += rendered.ok ? 1 : 0;
    if (testing::Test::HasFatalFailure()) FAIL() << "mutation " << i;
  }
  EXPECT_GT(rendered_texts, kMutations / 20);
}

TEST(JinjaMutation, OfValues) {
  const std::vector<std::string> templates = read_templates();
  const std::vector<std::string> variables = read_variables();
  Mutator mutator(8);
  int rendered_texts = 0;
  for (int i = 0; i < kMutations; ++i) {
    const std::string& source = templates[mutator.below(templates.size())];
    const std::string values =
        mutator.mutate(variables[mutator.below(variables.size())], variables);
    const Rendered rendered = render_jinja(source, values);
    expect_sound(rendered);
    rendered_texts += rendered.ok ? 1 : 0;
    if (testing::Test::HasFatalFailure()) FAIL() << "mutation " << i;
  }
  EXPECT_GT(rendered_texts, kMutations / 20);
}

}  // namespace jinja_mutation_test
}  // namespace trireme
