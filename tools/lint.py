#!/usr/bin/env python3
"""Runs clang-tidy over the .cc files of the project (not the tests), one process per core.

lint.py [--build FOLDER] [--seconds N] [--no-analyzer] [FILE...]
    A clean file is not checked again until it, a header of the project that it includes, or
    .clang-tidy changes. Files left when the time is up are skipped by name. Each file counts as
    one test. --no-analyzer leaves out the checks clang-analyzer-*, which take two thirds of the
    time.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
import time

FOLDERS = ("base", "model", "kernels", "proto", "worker", "coordinator", "launch", "clients")
# clang does not know all g++ flags, and compiler warnings are checked by g++.
EXTRA = ("--extra-arg=-Wno-unknown-warning-option", "--extra-arg=-Wno-error")


def sources_of(root, build):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        paths = {os.path.relpath(entry["file"], root) for entry in json.load(file)}
    return sorted(path for path in paths if path.split("/")[0] in FOLDERS and path.endswith(".cc"))


def digest_of(paths):
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            digest.update(path.encode() + b"\0" + file.read())
    return digest.hexdigest()


def headers_of(path, seen):
    """The project's headers that a file includes, directly or indirectly."""
    with open(path, encoding="utf-8") as file:
        for name in re.findall(r'(?m)^#include "([^"]+)"', file.read()):
            if name not in seen and os.path.exists(name):
                seen.add(name)
                headers_of(name, seen)
    return seen


def lint(path, build, deadline, clean, checks):
    key = digest_of([path, ".clang-tidy", *sorted(headers_of(path, set()))])
    mark = os.path.join(clean, key + ("-no-analyzer" if checks else ""))
    left = deadline - time.monotonic()
    if os.path.exists(mark):
        return path, "passed", ""
    if left <= 0:
        return path, "skipped", ""
    command = ["clang-tidy", "--quiet", "-p", build, *EXTRA, *checks, path]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=left)
    except subprocess.TimeoutExpired:
        return path, "skipped", ""
    if done.returncode != 0:
        return path, "failed", done.stdout
    with open(mark, "w", encoding="utf-8"):
        return path, "passed", ""


def main(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--seconds", type=int, default=480)
    parser.add_argument("--no-analyzer", action="store_true")
    parser.add_argument("--totals")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args(arguments)
    files = options.files or sources_of(os.getcwd(), options.build)
    clean = os.path.join(options.build, "lint-clean")
    os.makedirs(clean, exist_ok=True)
    deadline = time.monotonic() + options.seconds
    checks = ["--checks=-clang-analyzer-*"] if options.no_analyzer else []
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(lint, path, options.build, deadline, clean, checks) for path in files]
        for job in concurrent.futures.as_completed(jobs):
            path, result, words = job.result()
            counts[result] += 1
            if result == "skipped":
                print(f"skipped clang-tidy {path}: over the budget of {options.seconds} s")
            elif result == "failed":
                print(f"FAILED clang-tidy {path}\n{words}", flush=True)
    line = "{passed} passed, {failed} failed, {skipped} skipped".format(**counts)
    print(f"lint: {line}")
    if options.totals:
        with open(options.totals, "a", encoding="utf-8") as file:
            file.write("{passed} {failed} {skipped} lint\n".format(**counts))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
