// Limits of compiling and rendering: each ends as an error of its own, whatever the template does.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/chat/jinja_fixture.h"
#include "tests/sanitized.h"

namespace trireme {
namespace jinja_limits_test {

// Work that is charged only when it is done would take hours.
constexpr std::chrono::seconds kAtMost{is_sanitized() ? 20 : 4};

std::string repeated(const std::string& part, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += part;
  return text;
}

void expect_limit(const std::string& source, const std::string& words) {
  const Rendered rendered = render_jinja(source, R"({"s": "x"})");
  ASSERT_FALSE(rendered.ok) << source.substr(0, 80);
  EXPECT_TRUE(rendered.error.is_limit) << rendered.error.type << ": " << rendered.error.message;
  EXPECT_EQ(rendered.error.type, "LimitError");
  EXPECT_NE(rendered.error.message.find(words), std::string::npos) << rendered.error.message;
  EXPECT_TRUE(rendered.out.text.empty());
}

TEST(JinjaLimits, OfTheSource) {
  expect_limit(repeated("x", (1 << 20) + 1), "1048577 bytes");
  EXPECT_TRUE(render_jinja(repeated("x", 1 << 20)).ok);
  expect_limit(repeated("{{ x }}", 100'001), "100000 nodes");
}

TEST(JinjaLimits, OfDepthInTheSource) {
  for (const auto& [open, close] :
       std::vector<std::pair<std::string, std::string>>{{"(", ")"},
                                                        {"[", "]"},
                                                        {"{1:", "}"},
                                                        {"not ", ""},
                                                        {"-", ""},
                                                        {"a[", "]"},
                                                        {"f(", ")"},
                                                        {"x if y else ", ""}}) {
    expect_limit("{{ " + repeated(open, 200) + "1" + repeated(close, 200) + " }}", "64 levels");
    expect_limit("{{ " + repeated(open, 3000) + "1", "64 levels");
  }
  expect_limit(repeated("{% if x %}", 200) + repeated("{% endif %}", 200), "64 levels");
  expect_limit(repeated("{% for x in y %}", 5000), "64 levels");
  EXPECT_TRUE(render_jinja("{{ " + repeated("(", 50) + "1" + repeated(")", 50) + " }}").ok);
}

TEST(JinjaLimits, LongChainsAreNotDeep) {
  EXPECT_EQ(render_jinja("{{ 1" + repeated(" + 1", 20'000) + " }}").out.text, "20001");
  EXPECT_EQ(render_jinja("{{ 'a'" + repeated(" ~ 'a'", 1000) + " | length }}").out.text.size(),
            1001);
  EXPECT_TRUE(render_jinja("{{ s" + repeated(".strip()", 20'000) + " }}", R"({"s": "x"})").ok);
  EXPECT_TRUE(render_jinja("{{ s" + repeated(" | trim", 20'000) + " }}", R"({"s": "x"})").ok);
  EXPECT_TRUE(render_jinja("{% if a %}" + repeated("{% elif a %}", 20'000) + "{% endif %}").ok);
}

TEST(JinjaLimits, OfSteps) {
  const std::string loop = "{% for a in range(100000) %}";
  expect_limit(loop + loop + "{% endfor %}{% endfor %}", "2000000 steps");
  expect_limit(loop + "{% set x = s * 100000 %}{% endfor %}", "steps");
  expect_limit(
      "{% set ns = namespace(x='ab') %}{% for a in range(1000) %}"
      "{% set ns.x = ns.x + ns.x %}{% endfor %}",
      "");
}

TEST(JinjaLimits, OfValuesAndOutput) {
  expect_limit("{{ 'x' * 100000000 }}", "");
  expect_limit("{{ 'x' * 9000000000000000000 }}", "");
  expect_limit("{{ [1] * 9000000000000000000 }}", "");
  expect_limit("{{ '%999999999d' % 1 }}", "");
  expect_limit("{{ 'x'.center(999999999999) }}", "");
  expect_limit("{{ 'x' | indent(999999999999, true) }}", "");
  const std::string mib = "{% set x = 'x' * 1048576 %}";
  expect_limit(mib + repeated("{{ x }}", 17), "16.0 MiB");
  EXPECT_EQ(render_jinja(mib + repeated("{{ x }}", 16)).out.text.size(), 16u << 20);
}

TEST(JinjaLimits, OfDepthOfCallsAndValues) {
  expect_limit("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "64 levels");
  expect_limit("{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}", "64 levels");
  const std::string nest =
      "{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}";
  for (const char* use : {"{{ ns.x }}",
                          "{{ ns.x | tojson }}",
                          "{{ ns.x == [ns.x] }}",
                          "{{ [ns.x] | sort }}",
                          "{{ [ns.x, ns.x] | unique | list }}"}) {
    const Rendered rendered = render_jinja(nest + use);
    EXPECT_TRUE(rendered.ok || rendered.error.is_limit || rendered.error.type == "TypeError")
        << rendered.error.type << ": " << rendered.error.message;
  }
  expect_limit(nest + "{{ ns.x }}", "96 levels");
  expect_limit("{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns }}", "96 levels");
}

TEST(JinjaLimits, ATextThatGrowsInALoopIsNotCopiedInEveryTurn) {
  const std::string source =
      "{% set ns = namespace(x='') %}{% for i in range(20000) %}"
      "{% set ns.x = ns.x + 'a piece of text of 64 bytes, over and over again until the end ' %}"
      "{% endfor %}{{ ns.x | length }}";
  EXPECT_EQ(text_of_render(render_jinja(source)), "1260000");
}

TEST(JinjaLimits, ATextThatIsSplitFromItsEndIsReadOnce) {
  EXPECT_EQ(text_of_render(render_jinja("{{ ('ab,' * 50000).rsplit(',') | length }}")), "50001");
  EXPECT_EQ(text_of_render(render_jinja("{{ ('ab--' * 50000).rsplit('--') | length }}")), "50001");
  EXPECT_EQ(text_of_render(render_jinja("{% set x = 'ab' * 100000 %}{% for i in range(1000) %}"
                                        "{% set y = x.rfind('b') %}{% endfor %}.")),
            ".");
  expect_limit(
      "{% set x = 'ab' * 100000 %}{% for i in range(1000) %}"
      "{% set y = x.rfind('c') %}{% endfor %}.",
      "2000000 steps");
}

TEST(JinjaLimits, ASearchFromTheEndIsChargedBeforeItCompares) {
  const auto begin = std::chrono::steady_clock::now();
  expect_limit("{{ ('a' * 4000000).rfind('a' * 2000000 ~ 'b') }}", "2000000 steps");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kAtMost);
  EXPECT_EQ(
      text_of_render(render_jinja("{% set x = 'ab' + 'c' * 500 %}{{ x.rfind('ab') }} "
                                  "{{ x.rfind('') }} {{ x.rfind('c') }} {{ x.rfind('d') }} "
                                  "{{ x.rfind(x) }} {{ 'a'.rfind('ab') }} {{ ''.rfind('') }}")),
      "0 502 501 -1 0 -1 0");
}

TEST(JinjaLimits, ErrorsNameTheirPlace) {
  TemplateError error;
  EXPECT_EQ(JinjaTemplate::compile("a\n  {{ é ! }}", error), nullptr);
  EXPECT_EQ(error.line, 2);
  EXPECT_EQ(error.column, 8);
  for (const char* tag :
       {"include 'x'", "import 'x' as y", "from 'x' import y", "extends 'x'", "block b", "do x"}) {
    EXPECT_EQ(JinjaTemplate::compile(std::string("\n{% ") + tag + " %}", error), nullptr) << tag;
    EXPECT_EQ(error.type, "TemplateSyntaxError");
    EXPECT_EQ(error.line, 2);
    EXPECT_EQ(error.column, 4);
  }
  const Rendered rendered = render_jinja("a\n{% if true %}\n{{ 1 + 'x' }}{% endif %}");
  EXPECT_EQ(rendered.error.type, "TypeError");
  EXPECT_EQ(rendered.error.line, 3);
}

TEST(JinjaLimits, IntegersBeyond64BitsKeepTheirDigitsButAreNotComputed) {
  const std::string variables = R"({"b": 123456789012345678901234567890})";
  EXPECT_EQ(render_jinja("{{ b }} {{ b | tojson }} {{ b == b }}", variables).out.text,
            "123456789012345678901234567890 123456789012345678901234567890 True");
  EXPECT_EQ(render_jinja("{{ b + 1 }}", variables).error.type, "OverflowError");
  EXPECT_EQ(render_jinja("{{ 2 ** 63 }}").error.type, "OverflowError");
  EXPECT_EQ(render_jinja("{{ 2 ** 62 }}").out.text, "4611686018427387904");
  EXPECT_EQ(render_jinja("{{ range(100001) }}").error.type, "OverflowError");
}

TEST(JinjaLimits, OfBlocksThatLoopControlsDoNotLeave) {
  for (const char* word : {"break", "continue"}) {
    const std::string control = std::string("{% ") + word + " %}";
    for (const std::string& inner :
         {"{% generation %}" + control + "{% endgeneration %}",
          "{% for j in [] recursive %}{% else %}" + control + "{% endfor %}"}) {
      const std::string source = "{% for i in [1] %}" + inner + "{% endfor %}";
      EXPECT_EQ(render_jinja(source).error.type, "TemplateSyntaxError") << source;
    }
  }
}

TEST(JinjaLimits, ALineInAMessageCostsNoReadingOfTheSource) {
  const auto begin = std::chrono::steady_clock::now();
  const Rendered rendered = render_jinja(repeated("\n", 1'000'000) +
                                         "{% for i in range(90000) %}{{ '' if false }}"
                                         "{% endfor %}{{ (1\nif false).x }}");
  EXPECT_EQ(rendered.error.message,
            "the inline if-expression on line 1000001 evaluated to false and no else section was "
            "defined.");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kAtMost);
}

// Rendered by several threads at once from the same template and the same values.
TEST(JinjaThreads, ShareATemplateAndItsVariables) {
  JinjaHeap heap;
  JinjaValue variables;
  const std::string json = R"({"m": [{"role": "user", "content": "é 1"}, {"content": "x"}]})";
  ASSERT_TRUE(
      heap.from_json(*JsonValue::parse(json, "TRI-CHAT-006", "it"), Origin::kMessage, variables));
  TemplateError error;
  const auto compiled = JinjaTemplate::compile(
      "{% for x in m %}{{ x.content[0] ~ x.content | upper }}{{ 'é' + x.role | default('-') }}"
      "{{ x | tojson }}{% endfor %}",
      error);
  ASSERT_NE(compiled, nullptr);
  std::vector<std::string> texts(4);
  std::vector<std::thread> threads;
  for (std::string& text : texts) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        MarkedText out;
        TemplateError failure;
        if (compiled->render(variables, {}, out, failure)) text = out.text;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : texts) {
    EXPECT_EQ(text, "éÉ 1éuser{\"role\": \"user\", \"content\": \"é 1\"}xXé-{\"content\": \"x\"}");
  }
}

}  // namespace jinja_limits_test
}  // namespace trireme
