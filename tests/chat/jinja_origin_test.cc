// Every byte of a rendered text knows whether the template or a message wrote it: in marked(),
// bytes of messages stand in «».
#include <gtest/gtest.h>

#include <string>

#include "tests/chat/jinja_fixture.h"

namespace trireme {
namespace jinja_origin_test {

constexpr const char* kVariables = R"({
  "s": "abc", "p": "  a b\n", "u": "éß", "q": "a\"b<\n", "n": 42, "f": 2.5, "t": true, "z": null,
  "l": ["x", "y"], "d": {"k": "v"}, "m": [{"role": "user", "content": "hi"}],
  "b": 12345678901234567890
})";

std::string render_marked(const std::string& source, Origin origin = Origin::kMessage) {
  const Rendered rendered = render_jinja(source, kVariables, origin);
  return rendered.ok ? marked(rendered.out) : text_of_render(rendered);
}

struct OriginCase {
  const char* source;
  const char* marked;
};

class JinjaOrigin : public testing::TestWithParam<OriginCase> {};

TEST_P(JinjaOrigin, IsKept) { EXPECT_EQ(render_marked(GetParam().source), GetParam().marked); }

INSTANTIATE_TEST_SUITE_P(
    Joining,
    JinjaOrigin,
    testing::Values(OriginCase{"<{{ s }}>", "<«abc»>"},
                    OriginCase{"{{ 'x' + s + 'y' }}", "x«abc»y"},
                    OriginCase{"{{ 'x' ~ s ~ 1 ~ n }}", "x«abc»1«42»"},
                    OriginCase{"{{ l | join('-') }}", "«x»-«y»"},
                    OriginCase{"{{ s.join(['1', '2']) }}", "1«abc»2"},
                    OriginCase{"{{ s * 2 }}|{{ '-' * 2 }}", "«abcabc»|--"},
                    OriginCase{"{% set a %}<{{ s }}>{% endset %}{{ a }}", "<«abc»>"},
                    OriginCase{"{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(s) }}", "<«abc»>"},
                    OriginCase{"{% macro f() %}[{{ caller() }}]{% endmacro %}"
                               "{% call f() %}{{ s }}!{% endcall %}",
                               "[«abc»!]"},
                    OriginCase{"{% filter upper %}x{{ s }}{% endfilter %}", "X«ABC»"},
                    OriginCase{"{% generation %}{{ s }}.{% endgeneration %}", "«abc»."},
                    OriginCase{"{{ dict(**d) | tojson }}", "{«\"k\"»: «\"v\"»}"},
                    OriginCase{"{{ dict(a=s, **d) }}", "{'a': «'abc'», «'k'»: «'v'»}"},
                    OriginCase{"{{ dict(**{'x' + s: 1}) }}", "{«'»x«abc'»: 1}"},
                    OriginCase{"{{ namespace(**d) }}", "<Namespace {«'k'»: «'v'»}>"},
                    OriginCase{"{% macro f() %}{{ kwargs }}{% endmacro %}{{ f(a=1, **d) }}",
                               "{'a': 1, «'k'»: «'v'»}"},
                    OriginCase{"{% set ns = namespace(v='') %}{% for x in l %}"
                               "{% set ns.v = ns.v + x + ',' %}{% endfor %}{{ ns.v }}",
                               "«x»,«y»,"}));

INSTANTIATE_TEST_SUITE_P(
    Cutting,
    JinjaOrigin,
    testing::Values(OriginCase{"{{ ('x' + s + 'y')[1:] }}", "«abc»y"},
                    OriginCase{"{{ ('x' + s)[:2] }}", "x«a»"},
                    OriginCase{"{{ ('x' + s)[::-1] }}", "«cba»x"},
                    OriginCase{"{{ ('x' + s)[1] }}{{ ('x' + s)[0] }}", "«a»x"},
                    OriginCase{"{{ p.strip() }}|{{ p | trim }}", "«a b»|«a b»"},
                    OriginCase{"{{ ('  ' + p).lstrip() }}", "«a b\n»"},
                    OriginCase{"{{ (s + '  ').rstrip() }}", "«abc»"},
                    OriginCase{"{{ (s + ',x,' + s).split(',') | join(';') }}", "«abc»;x;«abc»"},
                    OriginCase{"{{ (s ~ ' x').split() | last }}", "x"},
                    OriginCase{"{{ (s ~ '-x').partition('-') | join }}", "«abc»-x"},
                    OriginCase{"{{ (s ~ '\nx').splitlines() | join }}", "«abc»x"},
                    OriginCase{"{{ s.removeprefix('a') }}", "«bc»"},
                    OriginCase{"{% for c in s + 'x' %}{{ c }}.{% endfor %}", "«a».«b».«c».x."},
                    OriginCase{"{{ s | first }}{{ s | last }}{{ s | reverse }}", "«accba»"},
                    OriginCase{"{{ (s ~ 'xyz1234567') | truncate(5, true, '!', 0) }}", "«abc»x!"}));

INSTANTIATE_TEST_SUITE_P(
    Changing,
    JinjaOrigin,
    testing::Values(OriginCase{"{{ ('x' + s).upper() }}", "X«ABC»"},
                    OriginCase{"{{ (u + 'é').upper() }}", "«ÉSS»É"},
                    OriginCase{"{{ ('x' + s) | capitalize }}", "X«abc»"},
                    OriginCase{"{{ ('x ' + s) | title }}", "X «Abc»"},
                    OriginCase{"{{ ('x ' + s).title() }}", "X «Abc»"},
                    OriginCase{"{{ ('x' + s).swapcase() }}", "X«ABC»"},
                    OriginCase{"{{ s.replace('b', '-') }}", "«a»-«c»"},
                    OriginCase{"{{ 'a-c' | replace('-', s) }}", "a«abc»c"},
                    OriginCase{"{{ s.center(7, '*') }}", "**«abc»**"},
                    OriginCase{"{{ s.rjust(5) }}|{{ s.zfill(5) }}", "  «abc»|00«abc»"},
                    OriginCase{"{{ ('x\n' + s) | indent(2) }}", "x\n  «abc»"},
                    OriginCase{"{{ ('<' + q) | escape }}", "&lt;«a&#34;b&lt;\n»"},
                    OriginCase{"{{ s | safe }}{{ s | string }}{{ s | list | join }}",
                               "«abcabcabc»"},
                    OriginCase{"{{ (s ~ '/ ') | urlencode }}", "«abc»/%20"},
                    OriginCase{"{{ (s ~ '\tx').expandtabs(4) }}", "«abc» x"}));

INSTANTIATE_TEST_SUITE_P(
    Printing,
    JinjaOrigin,
    testing::Values(
        OriginCase{"{{ n }}{{ f }}{{ t }}{{ z }}{{ b }}", "«422.5TrueNone12345678901234567890»"},
        OriginCase{"{{ n + 1 }}|{{ -n }}|{{ 1 + 1 }}", "«43»|«-42»|2"},
        OriginCase{"{{ n | string }}|{{ n | float }}|{{ '7' | int }}", "«42»|«42.0»|7"},
        OriginCase{"{{ s | length }}|{{ '%d' % n }}", "«3»|«42»"},
        OriginCase{"{{ [s, 'x'] }}", "[«'abc'», 'x']"},
        OriginCase{"{{ d }}", "«{'k': 'v'}»"},
        OriginCase{"{{ {'a': s} }}", "{'a': «'abc'»}"},
        OriginCase{"{{ '%s is %r' % (s, 'x') }}", "«abc» is 'x'"},
        OriginCase{"{{ '%5s|' | format(s) }}", "  «abc»|"},
        OriginCase{"{{ '{} {:>5} {}'.format(s, s, 1) }}", "«abc»   «abc» 1"},
        OriginCase{"{{ '{:{}>6}|{:*>3}'.format('a', s[0], 'b') }}", "«aaaaa»a|**b"},
        OriginCase{"{{ '{:{}>4}'.format(1, s[0]) }}", "«aaa1»"},
        OriginCase{"{{ '{:{}}'.format(1, '+' + n | string) | trim }}", "«+1»"},
        OriginCase{"{{ ('x' + p[:1] + '%3s' | string) % 'a' }}", "x« »  a"},
        OriginCase{"{{ ('%' + n | string + 'd') % 1 == ' ' * 41 + '1' }}", "True"},
        OriginCase{"{{ ('%' + (n - 39) | string + 's') % 'a' }}", "«  »a"},
        OriginCase{"{{ ('%0' + (n - 39) | string + 'd') % 1 }}", "«001»"},
        OriginCase{"{{ d | tojson }}", "«{\"k\": \"v\"}»"},
        OriginCase{"{{ {'a': q} | tojson }}", "{\"a\": «\"a\\\"b<\\n\"»}"},
        OriginCase{"{{ d | tojson(indent=2) }}", "«{\n»  «\"k\": \"v\"\n}»"},
        OriginCase{"{{ s | tojson | upper }}", "«\"ABC\"»"},
        OriginCase{"{{ m[0].role }}:{{ m | map(attribute='content') | join }}", "«user»:«hi»"},
        OriginCase{"{{ d.items() | list }}", "«[('k', 'v')]»"},
        OriginCase{"{{ s if true else 'x' }}{{ s or 'x' }}{{ missing | d(s) }}", "«abcabcabc»"}));

TEST(JinjaOrigins, TheTextOfATemplateHasNoRange) {
  const Rendered rendered = render_jinja("a{{ 'b' ~ 1 }}{% for x in [1] %}{{ x }}{% endfor %}");
  ASSERT_TRUE(rendered.ok);
  EXPECT_TRUE(rendered.out.origins.empty());
}

TEST(JinjaOrigins, AssistantBytesAreKeptApartFromThoseOfOthers) {
  JinjaHeap heap;
  const JinjaValue variables = heap.dict();
  heap.set(variables, "a", heap.string("yes", Origin::kAssistant));
  heap.set(variables, "m", heap.string("no", Origin::kMessage));
  heap.set(variables, "r", heap.string("role", Origin::kTemplate));
  TemplateError error;
  const auto compiled = JinjaTemplate::compile("{{ (r ~ a ~ m) | upper }}", error);
  ASSERT_NE(compiled, nullptr);
  MarkedText out;
  ASSERT_TRUE(compiled->render(variables, {}, out, error));
  EXPECT_EQ(marked(out), "ROLE‹YES›«NO»");
}

TEST(JinjaOrigins, ACopyTakesTheNewOriginThroughout) {
  JinjaHeap heap;
  JinjaValue json;
  const std::string text = R"({"a": ["x", 1, {"b": null}]})";
  ASSERT_TRUE(
      heap.from_json(*JsonValue::parse(text, "TRI-CHAT-006", "it"), Origin::kMessage, json));
  const JinjaValue variables = heap.dict();
  heap.set(variables, "v", heap.copy(json, Origin::kAssistant));
  TemplateError error;
  MarkedText out;
  ASSERT_TRUE(JinjaTemplate::compile("{{ v }}", error)->render(variables, {}, out, error));
  EXPECT_EQ(marked(out), "‹{'a': ['x', 1, {'b': None}]}›");
}

}  // namespace jinja_origin_test
}  // namespace trireme
