"""Pieces of templates for the generator, with places in braces that it fills: {w} a word, {e} any
expression, {t} a text, {n} a number, {l} a list, {b} a truth, {i} an integer, {a} an attribute.
"""

# tidy: table
# fmt: off

WORDS = ["a", "Hello", "x y", "<b>&", "it's", 'say "hi"', "é東🙂", "ß", "ÀÉ", "  pad ", "12", "-3.5",
         "", "a,b,,c", "line\\nnext", "tab\\t", "ǆ x", "ΑΣ", "{%", "<|end|>", "user", "%s and %d", "{} {x}"]
TEXTS = ["text ", "\n", "  ", "\n\n  ", "é ", "<|turn|>", "{ ", "% ", "a\n", "\t", "} ", "# "]
ROLES = ["user", "assistant", "system", "tool"]
NAMES = ["a", "b", "c", "ns", "missing", "messages", "m", "n", "f", "s", "l", "d", "t", "z", "e"]
ATTRIBUTES = ["role", "content", "items", "x", "name", "tool_calls", "0", "keys", "get", "a", "upper"]
FILTERS = ["upper", "lower", "title", "capitalize", "trim", "length", "count", "first", "last", "list",
           "string", "int", "float", "abs", "round", "sort", "unique", "reverse", "join", "tojson",
           "default", "d", "escape", "e", "safe", "sum", "max", "min", "items", "dictsort",
           "wordcount", "urlencode", "filesizeformat", "forceescape"]
FILTERS_WITH = ["join('{w}')", "join({e})", "replace('{w}', '{w}')", "replace('a', {e})",
                "default('{w}')", "default({e}, true)", "d({e})", "indent({i})",
                "indent({i}, true)", "indent(2, blank=true)", "indent('{w}')", "round({i})",
                "round(1, 'floor')", "round(method='ceil')", "int({e})", "int(base={i})", "int(7, 16)",
                "float({e})", "sort(reverse=true)", "sort(attribute='{a}')", "sort(case_sensitive=true)",
                "map(attribute='{a}')", "map(attribute='{a}', default='{w}')", "map('upper')",
                "map('replace', 'a', 'b')", "map('default', '{w}')", "select", "reject", "select('{k}')",
                "reject('{k}')", "select('equalto', {e})", "selectattr('{a}')",
                "selectattr('{a}', 'equalto', '{w}')", "rejectattr('{a}', 'defined')",
                "selectattr('role', 'in', ['user', 'tool'])", "map(attribute='role') | list",
                "tojson(indent={i})", "tojson(sort_keys=true)", "tojson(ensure_ascii=true)",
                "tojson(separators=(',', ':'))", "batch(2)", "batch(2, '{w}')", "slice(2)",
                "slice(3, '{w}')", "truncate(5)", "truncate(4, true)", "truncate(7, true, '!')",
                "center({i})", "trim('{w}')", "groupby('{a}')", "groupby('{a}', default='{w}')",
                "unique(attribute='{a}')", "max(attribute='{a}')", "sum(attribute='{a}')", "sum(start={i})",
                "dictsort(by='value')", "dictsort(reverse=true)", "attr('{a}')", "format({e})",
                "format({e}, {e})", "nosuch", "list | length", "list | join(',')", "first | upper"]
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping",
         "sequence", "iterable", "true", "false", "odd", "even", "lower", "upper", "callable", "escaped",
         "equalto {e}", "eq({e})", "ne({e})", "lt({e})", "ge({e})", "in({e})", "divisibleby({i})",
         "sameas {e}", "nosuch", "divisibleby 2", "in ['a', 'user']", "filter", "test"]
METHODS = ["strip()", "lstrip()", "rstrip('{w}')", "strip('{w}')", "split()", "split('{c}')",
           "split('{c}', 1)", "rsplit('{c}', 1)", "rsplit(None, 1)", "split(None, 1)", "splitlines()",
           "splitlines(true)", "upper()", "lower()", "title()", "capitalize()", "swapcase()",
           "casefold()", "startswith('{w}')", "endswith(('a', '{w}'))", "find('{c}')", "rfind('{c}')",
           "index('{c}')", "count('{c}')", "count('')", "replace('{c}', '{w}')", "replace('', '-')",
           "replace('a', '{w}', 1)", "join(l)", "join(['x', 'y'])", "join(s)", "items()", "keys()",
           "values()", "get('{a}')", "get('{a}', {e})", "get({e})", "isdigit()", "isalpha()",
           "isalnum()", "isspace()", "isupper()", "islower()", "istitle()", "isnumeric()",
           "isidentifier()", "zfill({i})", "center({i})", "center({i}, '*')", "ljust({i}, '.')",
           "rjust({i})", "partition('{c}')", "rpartition('{c}')", "removeprefix('{c}')",
           "removesuffix('{c}')", "expandtabs(4)", "format({e})", "format({e}, x={e})", "append(1)",
           "index({e})", "count({e})", "copy()", "pop()", "update({})", "find('{c}', 1, 3)",
           "startswith('{c}', 1)", "encode", "isascii()", "isprintable()", "nosuch()"]
FORMATS = ["%s", "%5s|", "%-5s|", "%d", "%05d", "%+d", "%x", "%#X", "%.2f", "%8.3e", "%g", "%r", "%c",
           "%%", "%(x)s", "%.3s", "%s %s", "%i%%", "% d", "%o"]
BRACES = ["{}", "{:>5}", "{:<5}|", "{:^7}", "{:05d}", "{:+}", "{:,}", "{:.2f}", "{:x}", "{!r}", "{0} {0}",
          "{x}", "{:*^9}", "{:e}", "{:%}", "{{}}", "{:_}", "{:#x}", "{0[0]}", "{x.y}", "{:{x}>5}", "{:5}|", "{:.1}"]
LOOP = ["loop.index", "loop.index0", "loop.first", "loop.last", "loop.length", "loop.revindex",
        "loop.revindex0", "loop.previtem", "loop.nextitem", "loop.cycle('a', 'b')", "loop.depth",
        "loop.changed({e})", "loop.nosuch"]


SLICES = ["[1:]", "[:2]", "[::-1]", "[:-1]", "[::2]", "[{i}:{i}]", "[{i}:]", "[-2:]"]
TEXT_METHODS = [m for m in METHODS[:METHODS.index("items()")] if m.split("(")[0] in (
    "strip", "lstrip", "rstrip", "upper", "lower", "title", "capitalize", "swapcase", "casefold", "replace")
] + ["zfill({i})", "center({i}, '*')", "ljust({i}, '.')", "rjust({i})", "removeprefix('{c}')",
     "removesuffix('{c}')", "expandtabs(4)", "join(['x', 'y'])", "join({t})", "partition('{c}')[0]",
     "split('{c}')[0]", "split('{c}')[-1]", "center({i})"]
TEXT_FILTERS = ["upper", "lower", "title", "capitalize", "trim", "replace('{c}', '{w}')", "indent({i})",
                "indent(2, true)", "truncate(8)", "truncate(5, true, '.')", "center({i})", "escape", "e",
                "safe", "urlencode", "trim('{c}')", "default('{w}', true)", "reverse", "tojson",
                "indent('{w}', true, true)", "string", "first", "last", "forceescape", "list | join('-')"]
LIST_FILTERS = ["map('string')", "map('upper')", "select", "reject", "unique", "reverse", "batch(2)",
                "slice(2)", "select('string')", "reject('none')", "map('default', '{w}', true)",
                "map('tojson')", "select('number')", "batch(3, '{w}')", "select('in', {l})", "map('trim')",
                "sort(attribute='a')", "map('string') | sort", "map('length')", "select('number') | sort"]
MESSAGE_FILTERS = ["map(attribute='role')", "map(attribute='content')", "selectattr('x')",
                   "rejectattr('tool_calls')", "selectattr('role', 'equalto', 'user')", "sort(attribute='role')",
                   "selectattr('content', 'string')", "rejectattr('x', 'defined')", "groupby('role')",
                   "map(attribute='x.a', default='{w}')", "unique(attribute='role')",
                   "selectattr('role', 'in', ['user', 'tool'])", "map(attribute='role') | map('upper')"]
SAFE_TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping",
              "sequence", "iterable", "true", "false", "callable", "lower", "upper", "equalto {t}", "eq({e})",
              "ne({n})", "in({l})", "sameas true", "escaped"]
NUMBER_PATTERNS = ["0", "1", "2", "3", "7", "10", "-1", "2.5", "0.1", "1e3", "1.0", "100", "1e-7",
    "12345.678", "0x1F", "1_000", "1e20", "-0.0"]
TEXT_PATTERNS = ["s", "m.role", "(m.content | string)", "messages[0].role", "a", "b", "c"]
TEXT_PATTERNS_2 = ["({e} | tojson)", "({l} | join({w}))", "({n} | string)", "({t} * {n})",
    "({t} if {b} else {t})", "({F} % {e})", "({F} | format({e}, {e}))",
    "{B}.format({e}, x={e})", "({l} | join(', ', attribute='role'))"]
NUMBER_EXPRESSION_PATTERNS = ["({l} | length)", "({t} | length)", "({t} | wordcount)", "({e} | int)",
    "({t} | int(3))", "({t} | float)", "{t}.find('{c}')", "{t}.count('a')",
    "([1, 2.5, {n}] | sum)", "([3, {n}] | max)", "({n} | abs)"]
NUMBER_EXPRESSION_PATTERNS_2 = ["({n} | round)", "({n} | round(1))", "({n} | round(2, 'ceil'))",
    "({n} | round(0, 'floor'))", "({n} | int)", "-{n}", "+{n}"]
SEQUENCE_PATTERNS = ["messages", "l", "e", "[1, 2, 3]", "['b', 'A', 'c']", "(1, 'x')", "range(4)"]
SEQUENCE_PATTERNS_2 = ["{t}.split()", "{t}.split('{c}')", "{t}.splitlines()", "{t}.rsplit('{c}', 1)",
    "{t}.partition('{c}')", "({t} | list)", "(d.items() | list)",
    "({t} | batch(2) | list)", "(range({i}) | list)"]
SEQUENCE_PATTERNS_3 = ["(d | dictsort)", "(d.keys() | list)", "(d.values() | list)", "(d | list)",
    "([{e}] + [{e}, {e}])", "([{e}] * 2)", "({l} if {b} else {l})"]
TRUTH_PATTERNS = ["{t}.startswith('{w}')", "{t}.endswith(('a', '{w}'))", "{t}.isdigit()",
    "{t}.isalpha()", "{t}.isupper()", "{t}.islower()", "{t}.istitle()",
    "{t}.isspace()", "{t}.isalnum()", "({n} is odd)", "(1 < {n} < 9)"]
MAPPING_PATTERNS = ["d", "m", "{}", "{'a': {e}, 'x': {e}}", "dict(a={e})", "messages[0]",
    "{1: {e}, 'b': {n}, none: {t}}", "dict([('k', {e})])",
    "dict(a={e}, **d)", "dict(**messages[0])"]
ANY_PATTERNS = ["d.get('{a}')", "d.get('{a}', {e})", "m.get('{a}')", "m['{a}']", "d.{a}",
    "d['{a}']", "({l} | first)", "({l} | last)", "{l}[0]", "{l}[-1]",
    "(missing | default({e}))", "(none | d({e}, true))", "(m.{a} or {e})",
    "({b} and {e})", "missing", "({e} if {b})", "({l} | min)", "m.{a}",
    "(messages | groupby('role') | map('first') | list)",
    "strftime_now('%d %b %Y %H:%M %j %a')", "(d | items | list)"]
