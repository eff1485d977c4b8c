"""Random templates and conversations: every construct of the language, right and wrong uses."""

import random

import jinja_patterns as tables


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.macros = []
        self.loops = 0

    def one(self, choices):
        return choices[self.random.randrange(len(choices))]

    def chance(self, percent):
        return self.random.randrange(100) < percent

    def word(self):
        return self.one(tables.WORDS).replace("'", "\\'")

    def fill(self, pattern, depth):
        """A pattern with its placeholders replaced; each of them anew."""
        makers = {
            "{w}": self.word,
            "{a}": lambda: self.one(tables.ATTRIBUTES),
            "{c}": lambda: self.one(["a", ",", " ", "l", "é", "x"]),
            "{i}": lambda: str(self.random.randrange(-2, 12)),
            "{k}": lambda: self.one(["odd", "string", "defined", "none", "mapping", "nosuch"]),
            "{e}": lambda: self.any(depth + 1),
            "{t}": lambda: self.text(depth + 1),
            "{n}": lambda: self.number_expression(depth + 1),
            "{l}": lambda: self.sequence(depth + 1),
            "{b}": lambda: self.truth(depth + 1),
            "{F}": lambda: '"' + self.one(tables.FORMATS) + '"',
            "{B}": lambda: '"' + self.one(tables.BRACES) + '"',
        }
        for place, make in makers.items():
            while place in pattern:
                pattern = pattern.replace(place, make().replace("{", "\0"), 1)
        return pattern.replace("\0", "{")

    def string(self):
        if self.chance(8):
            return '"' + self.one(tables.FORMATS) + '"'
        if self.chance(8):
            return "'" + self.one(tables.BRACES) + "'"
        return "'" + self.word() + "'"

    def number(self):
        return self.one(tables.NUMBER_PATTERNS)

    def any_name(self):
        if self.macros and self.chance(12):
            name, count = self.one(self.macros)
            return f"{name}({', '.join(self.any(4) for _ in range(count))})"
        if self.loops and self.chance(25):
            return self.fill(self.one(tables.LOOP), 4)
        return self.one(tables.NAMES)

    def text(self, depth=0):
        """An expression that is a string, most of the time."""
        kind = self.random.randrange(14)
        if self.chance(2):
            return self.any(depth + 1)
        if kind < 3 or depth > 4:
            return self.string()
        if kind < 5:
            return self.one(tables.TEXT_PATTERNS)
        if kind < 8:
            return self.text(depth + 1) + "." + self.fill(self.one(tables.TEXT_METHODS), depth + 1)
        if kind < 10:
            return (
                "("
                + self.text(depth + 1)
                + " | "
                + self.fill(self.one(tables.TEXT_FILTERS), depth + 1)
                + ")"
            )
        if kind == 10:
            return f"({self.text(depth + 1)} ~ {self.any(depth + 1)})"
        if kind == 11:
            return f"({self.text(depth + 1)} + {self.text(depth + 1)})"
        if kind == 12:
            return self.text(depth + 1) + self.fill(self.one(tables.SLICES), depth)
        return self.fill(self.one(tables.TEXT_PATTERNS_2), depth)

    def number_expression(self, depth=0):
        kind = self.random.randrange(10)
        if self.chance(2):
            return self.any(depth + 1)
        if kind < 3 or depth > 4:
            return self.number()
        if kind == 3:
            return self.one(["n", "f", "loop.index" if self.loops else "3", "(l | length)"])
        if kind < 7:
            sign = self.one(["+", "-", "*", "/", "//", "%", "**"])
            right = (
                self.one(["2", "3", "0.5", "-1"])
                if sign == "**"
                else self.number_expression(depth + 1)
            )
            return f"({self.number_expression(depth + 1)} {sign} {right})"
        if kind == 7:
            return self.fill(self.one(tables.NUMBER_EXPRESSION_PATTERNS), depth)
        if kind == 8:
            return self.fill(self.one(tables.NUMBER_EXPRESSION_PATTERNS_2), depth)
        return self.fill("({n} if {b} else {n})", depth)

    def sequence(self, depth=0):
        kind = self.random.randrange(10)
        if self.chance(2):
            return self.any(depth + 1)
        if kind < 2 or depth > 4:
            return self.one(tables.SEQUENCE_PATTERNS)
        if kind == 2:
            return (
                "[" + ", ".join(self.any(depth + 2) for _ in range(self.random.randrange(4))) + "]"
            )
        if kind < 5:
            return self.fill("({l} | " + self.one(tables.LIST_FILTERS) + " | list)", depth)
        if kind == 5:
            return self.sequence(depth + 1) + self.fill(self.one(tables.SLICES), depth)
        if kind == 6:
            return self.fill(self.one(tables.SEQUENCE_PATTERNS_2), depth)
        if kind == 7:
            return self.fill("(messages | " + self.one(tables.MESSAGE_FILTERS) + " | list)", depth)
        return self.fill(self.one(tables.SEQUENCE_PATTERNS_3), depth)

    def truth(self, depth=0):
        kind = self.random.randrange(9)
        if kind < 1 or depth > 4:
            return self.one(
                ["true", "t", "false", "s", "messages", "loop.first" if self.loops else "n"]
            )
        if kind < 4:
            return self.fill(
                "({e} is " + self.one(["", "not "]) + self.one(tables.SAFE_TESTS) + ")", depth
            )
        if kind == 4:
            return self.fill(
                "({n} " + self.one(["<", "<=", ">", ">=", "==", "!="]) + " {n})", depth
            )
        if kind == 5:
            return self.fill("({t} " + self.one(["<", "==", "!=", "in", "not in"]) + " {t})", depth)
        if kind == 6:
            return self.fill("({e} " + self.one(["==", "!=", "in", "not in"]) + " {l})", depth)
        if kind == 7:
            return self.fill(
                self.one(["({b} and {b})", "({b} or {b})", "(not {b})", "({e} == {e})"]), depth
            )
        return self.fill(self.one(tables.TRUTH_PATTERNS), depth)

    def mapping(self, depth=0):
        return self.fill(self.one(tables.MAPPING_PATTERNS), depth)

    def any(self, depth=0):
        """Any value; rarely a wrong use."""
        kind = self.random.randrange(16)
        if kind < 5:
            return self.text(depth)
        if kind < 8:
            return self.number_expression(depth)
        if kind < 10:
            return self.sequence(depth)
        if kind == 10:
            return self.truth(depth)
        if kind == 11:
            return self.mapping(depth)
        if kind == 12:
            return self.fill(self.one(tables.ANY_PATTERNS), depth)
        if kind < 15 or depth > 3:
            return self.any_name()
        return self.wild(depth)

    def wild(self, depth):
        """Any filter, test, method or operator on any value."""
        kind = self.random.randrange(6)
        value = self.any(depth + 1)
        if kind == 0:
            return f"({value} | {self.one(tables.FILTERS)})"
        if kind == 1:
            return self.fill(f"({value} | {self.one(tables.FILTERS_WITH)})", depth + 1)
        if kind == 2:
            return self.fill(
                f"({value} is {self.one(['', 'not '])}{self.one(tables.TESTS)})", depth + 1
            )
        if kind == 3:
            return self.fill(f"{value}.{self.one(tables.METHODS)}", depth + 1)
        if kind == 4:
            return f"{value}[{self.any(depth + 2)}]"
        sign = self.one(["+", "-", "*", "/", "//", "%", "<", ">=", "in", "**"])
        return f"({value} {sign} {self.any(depth + 2)})"

    def expression(self, depth=0):
        return self.any(depth)

    def tag(self, words):
        return (
            self.one(["{% ", "{% ", "{%- ", "{%+ "])
            + words
            + self.one([" %}", " %}", " -%}", " +%}"])
        )

    def output(self):
        return (
            self.one(["{{ ", "{{ ", "{{- "]) + self.expression() + self.one([" }}", " }}", " -}}"])
        )

    def body(self, depth):
        return "".join(self.statement(depth + 1) for _ in range(self.random.randrange(1, 4)))

    def loop(self, depth):
        head = self.fill(
            self.one(
                [
                    "m in messages",
                    "m in messages[::-1]",
                    "x in l",
                    "k, v in d.items()",
                    "m in messages if m.role == 'user'",
                    "c in s",
                    "i in range({i})",
                    "x in {e}" if self.chance(20) else "x in {l}",
                    "a, b in [[1, 2], [3, 4]]",
                    "k in d",
                    "m in messages | reverse",
                    "x in missing",
                    "g in messages | groupby('role')",
                    "x in {l}",
                    "x in {l}",
                    "a, b in {e}" if self.chance(20) else "a, b in d | items",
                ]
            ),
            3,
        )
        self.loops += 1
        inner = self.body(depth)
        if self.chance(10):
            inner += self.tag(f"if {self.expression(3)}") + self.tag(
                self.one(["break", "continue"])
            )
            inner += self.tag("endif") + self.body(depth)
        self.loops -= 1
        return self.tag("for " + head) + inner + self.otherwise(depth) + self.tag("endfor")

    def otherwise(self, depth):
        if not self.chance(15):
            return ""
        control = ""
        if self.loops and self.chance(20):
            control = self.tag(self.one(["break", "continue"]))
        return self.tag("else") + self.body(depth) + control

    def branch(self, depth):
        text = self.tag("if " + self.expression(2)) + self.body(depth)
        for _ in range(self.one([0, 0, 1])):
            text += self.tag("elif " + self.expression(2)) + self.body(depth)
        if self.chance(50):
            text += self.tag("else") + self.body(depth)
        return text + self.tag("endif")

    def macro(self, depth):
        name = self.one(["f1", "f2", "f3"])
        parameters, values = self.one(
            [("x", 1), ("x, y=2", 1), ("", 0), ("a, b='q'", 2), ("x=[]", 0)]
        )
        inner = self.body(depth)
        if self.chance(20):
            inner += self.one(["{{ caller() }}", "{{ varargs }}", "{{ kwargs }}"])
        self.macros.append((name, values))
        return self.tag(f"macro {name}({parameters})") + inner + self.tag("endmacro")

    def statement(self, depth=0):
        kind = self.random.randrange(24)
        if kind < 6 or depth > 3:
            return self.output()
        if kind < 10:
            return self.one(tables.TEXTS)
        if kind < 13:
            if self.chance(20):
                values = self.one(["({e}, {e})", "[{n}, {t}]", "({e}, {e})", "{l}"])
                return self.tag("set a, b = " + self.fill(values, 1))
            return self.tag(f"set {self.one(['a', 'b', 'c'])} = {self.expression(1)}")
        if kind < 16:
            return self.branch(depth)
        if kind < 19:
            return self.loop(depth)
        if kind == 19:
            return self.macro(depth)
        if kind == 20:
            return self.tag(f"set ns.{self.one(['x', 'y'])} = {self.expression(2)}")
        return self.block(depth)

    def block(self, depth):
        inner = self.body(depth)
        kind = self.random.randrange(8)
        if kind == 0:
            return self.tag("set c") + inner + self.tag("endset")
        if kind == 1:
            return (
                self.tag("filter " + self.one(["upper", "trim", "replace('a', 'b')", "indent"]))
                + inner
                + (self.tag("endfilter"))
            )
        if kind == 2:
            return self.tag(f"with a = {self.expression(3)}, q = 1") + inner + self.tag("endwith")
        if kind == 3 and self.macros:
            name, count = self.one(self.macros)
            arguments = ", ".join(self.expression(4) for _ in range(count))
            return self.tag(f"call {name}({arguments})") + inner + self.tag("endcall")
        if kind == 4:
            return self.tag("generation") + inner + self.tag("endgeneration")
        if kind == 5:
            return self.one(["{# note #}", "{#- note -#}", "{#\n note\n #}\n", "{#+ x +#}\n"])
        if kind == 6 and self.chance(80):
            return "{% raw %}" + self.one(["{{ x }}\n", " {% if %} ", "text\n"]) + "{% endraw %}"
        if kind == 6:
            return (
                self.tag("raw")
                + self.one(["{{ x }}\n", " {% if %} ", "text\n"])
                + self.tag("endraw")
            )
        return self.tag("set ns = namespace(x=1)") + inner

    def template(self):
        start = (
            "" if self.chance(5) else "{% set ns = namespace(x=1) %}{% set a, b, c = 'q', [1], 2 %}"
        )
        return start + "".join(self.statement() for _ in range(self.random.randrange(1, 6)))

    def json_value(self, depth=0):
        kind = self.random.randrange(9 if depth < 3 else 6)
        if kind == 0:
            return self.one([0, 1, 7, -3, 12345678901, True, False, None])
        if kind == 1:
            return self.one([0.5, 2.0, -1.25, 1e-7, 1e20, 3.14159, 100.0, 1e16, 0.1])
        if kind < 6:
            return self.one(tables.WORDS)
        if kind < 8:
            return [self.json_value(depth + 1) for _ in range(self.random.randrange(4))]
        return {
            self.one(["a", "x", "name", "items", "b"]): self.json_value(depth + 1)
            for _ in range(self.random.randrange(4))
        }

    def message(self):
        made = {
            "role": self.one(tables.ROLES),
            "content": self.one(tables.WORDS) if self.chance(80) else self.json_value(1),
        }
        if self.chance(20):
            made["tool_calls"] = [{"name": self.one(tables.WORDS), "x": self.json_value(1)}]
        if self.chance(20):
            made["x"] = self.json_value(1)
        return made

    def variables(self):
        return {
            "messages": [self.message() for _ in range(self.random.randrange(5))],
            "n": self.one([0, 1, 7, -2, 2.5, True]),
            "s": self.one(tables.WORDS),
            "l": [self.json_value(2) for _ in range(self.random.randrange(4))],
            "d": {
                key: self.json_value(2) for key in self.one([["b", "a"], ["x", "items", "Z"], []])
            },
            "t": True,
            "z": None,
            "e": [],
            "f": 2.5,
            "m": self.message(),
        }
