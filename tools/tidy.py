#!/usr/bin/env python3
"""Checks rules that the compiler cannot: the folder table of docs/architecture.md and CONTRIBUTING.md.

tidy.py [ROOT]   prints `path:line: rule: problem`; exit 1 if there is any.

A file is exempt from the rules of size if one of its first ten lines contains `tidy: table` or
`tidy: generated`; a function, if a comment directly above it contains `tidy: table`.
"""

import os
import sys

import fact_rules
import floor_rules
import text_rules
import tidy_rules
from source_tree import SourceTree

RULES = floor_rules.RULES + fact_rules.RULES + tidy_rules.RULES + text_rules.RULES


def check(tree, rules=RULES):
    """Returns (errors, warnings), each a list of (path, line, rule, words)."""
    errors, warnings = [], []
    for rule in rules:

        def report(path, line, words, warning=False):
            (warnings if warning else errors).append((path, line, rule.__name__, words))

        rule(tree, report)
    return errors, warnings


def main(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    tree = SourceTree(arguments[0] if arguments else os.path.dirname(here))
    errors, warnings = check(tree)
    for found, word in ((warnings, "warning: "), (errors, "")):
        for path, line, rule, words in found:
            print(f"{path}:{line}: {word}{rule}: {words}")
    files = sum(1 for _ in tree)
    print(f"tidy: {files} files, {len(errors)} errors, {len(warnings)} warnings")
    return 1 if errors or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
