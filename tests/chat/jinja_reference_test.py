#!/usr/bin/env python3
"""Renders generated templates with the engine and with the reference and compares the outcomes.

jinja_reference_test.py JINJA_LINES [TEMPLATES [SEED]]: exit 77 if Jinja is not installed.
"""

import json
import re
import subprocess
import sys
import threading
import warnings

try:
    import jinja2  # noqa: F401
except ImportError:
    print("python3-jinja2 is not installed")
    sys.exit(77)

import jinja_generator
import jinja_reference

CONVERSATIONS = 5  # per template
NOW = "2024-07-05T09:04:07"
# Texts of objects that hold an address or that only Python has.
UNCOMPARED = re.compile(
    r"(?i:0x[0-9a-f]{6,}|<(generator|built-in|bound|function|class|Macro|reversed))|"
    r"LoopContext|iterator|b'|Undefined\b.*object|<Cycler|<Joiner|TemplateReference|0-x-"
)
# Refusals of this engine, in its own words: numbers that it does not compute, methods that make
# bytes or search values that it does not have, and rare syntax. Limits are marked as such.
REFUSED = re.compile(
    r"an integer beyond 64 bits(: larger ones take no part in arithmetic)?|"
    r"integers beyond 64 bits cannot be compared|"
    r"a negative number with a fractional power is complex|"
    r"this method of '\w+' is not supported|"
    r"str\.encode\(\), str\.translate\(\) and str\.maketrans\(\) are not supported|"
    r"a slice among several subscripts is not supported"
)
# The reference folds constants, and takes a slice that fails there for undefined: it is then asked
# again without that.
FOLDED = re.compile(r"'\w+' object is not subscriptable|unhashable type: 'slice'")


def pairs(templates, seed):
    for index in range(templates):
        generator = jinja_generator.Generator(seed + index)
        template = generator.template()
        for _ in range(CONVERSATIONS):
            yield template, generator.variables()


def same(expected, found):
    if "text" in expected or "text" in found:
        return expected.get("text") == found.get("text")
    return expected["error"]["type"] == found["error"]["type"]


def is_refused(found):
    return "error" in found and (
        found["limit"] or REFUSED.fullmatch(found["error"]["message"]) is not None
    )


def is_folded(plain, template, variables, found):
    if "text" in found or not FOLDED.fullmatch(found["error"]["message"]):
        return False
    return same(jinja_reference.renderer(plain, template)(variables), found)


def main(arguments):
    warnings.simplefilter("ignore")
    program = arguments[0]
    templates = int(arguments[1]) if len(arguments) > 1 else 4000
    seed = int(arguments[2]) if len(arguments) > 2 else 1
    made = jinja_reference.environment(NOW)
    plain = jinja_reference.environment(NOW, optimized=False)
    engine = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    cases = list(pairs(templates, seed))

    def feed():
        for template, variables in cases:
            line = json.dumps({"template": template, "variables": variables, "now": NOW})
            engine.stdin.write(line.encode() + b"\n")
        engine.stdin.close()

    writer = threading.Thread(target=feed)
    writer.start()
    counts = {"same": 0, "texts": 0, "refused": 0, "folded": 0, "uncompared": 0, "different": 0}
    render = None
    for index, (template, variables) in enumerate(cases):
        if index % CONVERSATIONS == 0:
            render = jinja_reference.renderer(made, template)
        line = engine.stdout.readline()
        if not line:
            print(f"the engine ended at {template!r} with {json.dumps(variables)}")
            return 1
        found = json.loads(line)
        expected = render(variables)
        if same(expected, found):
            counts["same"] += 1
            counts["texts"] += "text" in expected
        elif is_refused(found):
            counts["refused"] += 1
        elif is_folded(plain, template, variables, found):
            counts["folded"] += 1
        elif UNCOMPARED.search(json.dumps(expected)):
            counts["uncompared"] += 1
        else:
            counts["different"] += 1
            if counts["different"] <= 20:
                print(f"template: {template!r}\nvariables: {json.dumps(variables)}")
                print(f"expected: {expected}\nfound:    {found}\n")
    writer.join()
    engine.wait()
    print(f"{len(cases)} pairs: {counts}")
    enough = counts["texts"] > len(cases) // 4 and counts["same"] > len(cases) * 9 // 10
    return 0 if counts["different"] == 0 and engine.returncode == 0 and enough else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
