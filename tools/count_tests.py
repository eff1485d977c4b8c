#!/usr/bin/env python3
"""Counts test cases: those of GTest programs one by one, every other ctest entry as one.

count_tests.py [--name NAME] [--totals FILE] RESULTS
    RESULTS holds entries.junit (ctest --output-junit) and ENTRY.xml (GTEST_OUTPUT) of each program.
    Lists failed and skipped tests, appends "passed failed skipped NAME" to FILE and ends with
    `N passed, N failed, N skipped`, after "NAME: " if there is a name.
count_tests.py --sum FILE...
    Adds the files; a missing or broken file counts as one failure.
Exit 1 if anything failed or nothing ran.
"""

import argparse
import os
import sys
import xml.etree.ElementTree as xml
from collections import Counter


def parse(path):
    """The root of an XML file, or None: a crashed program leaves no file or a truncated one."""
    try:
        return xml.parse(path).getroot()
    except (OSError, xml.ParseError):
        return None


def reason_of(text):
    """The last line that is not empty: GTest prints file and line before the reason."""
    lines = [line.strip() for line in (text or "").split("\n") if line.strip()]
    return lines[-1] if lines else "no reason given"


def count_program(entry, root, counts, skipped, failed):
    for case in root.iter("testcase"):
        name = f"{entry}: {case.get('classname')}.{case.get('name')}"
        skip = case.find("skipped")
        if case.find("failure") is not None:
            counts["failed"] += 1
            failed.append(name)
        elif skip is not None or case.get("result") == "skipped" or case.get("status") == "notrun":
            counts["skipped"] += 1
            words = skip.get("message") if skip is not None else "disabled"
            skipped.append((name, reason_of(words)))
        else:
            counts["passed"] += 1


def count_entry(entry, folder, counts, skipped, failed):
    name = entry.get("name")
    failures_before = counts["failed"]
    root = parse(os.path.join(folder, name + ".xml"))
    if root is not None:
        count_program(name, root, counts, skipped, failed)
    has_failed = entry.find("failure") is not None or entry.get("status") == "fail"
    if has_failed:
        if counts["failed"] == failures_before:
            counts["failed"] += 1
            failed.append(f"{name}: {entry.find('failure').get('message') or 'failed'}")
    elif root is None and (entry.find("skipped") is not None or entry.get("status") != "run"):
        counts["skipped"] += 1
        output = entry.find("system-out")
        skipped.append((name, reason_of(output.text if output is not None else "")))
    elif root is None:
        counts["passed"] += 1


def report(folder):
    counts, skipped, failed = Counter(), [], []
    entries = parse(os.path.join(folder, "entries.junit"))
    if entries is None:
        counts["failed"] += 1
        failed.append(f"{folder}/entries.junit cannot be read: ctest did not end")
    else:
        for entry in entries.iter("testcase"):
            count_entry(entry, folder, counts, skipped, failed)
    for name, reason in skipped:
        print(f"skipped {name}: {reason}")
    for name in failed:
        print(f"FAILED {name}")
    return counts


def sum_of(paths):
    counts = Counter()
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                numbers = [[int(word) for word in line.split()[:3]] for line in file]
            for passed, failed, skipped in numbers:
                counts.update(passed=passed, failed=failed, skipped=skipped)
        except (OSError, ValueError):
            print(f"FAILED {path} has no totals: its script did not end")
            counts["failed"] += 1
    return counts


def main(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="")
    parser.add_argument("--totals")
    parser.add_argument("--sum", nargs="+")
    parser.add_argument("results", nargs="?")
    options = parser.parse_args(arguments)
    counts = sum_of(options.sum) if options.sum else report(options.results)
    passed, failed, skipped = counts["passed"], counts["failed"], counts["skipped"]
    if options.totals:
        with open(options.totals, "a", encoding="utf-8") as file:
            file.write(f"{passed} {failed} {skipped} {options.name}\n")
    prefix = options.name + ": " if options.name else ""
    print(f"{prefix}{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
