"""The rules of tidy.py about comments and documents: paths, references, the folder table."""

import glob
import os
import re

from floor_rules import FLOORS
from source_tree import FOLDERS, ROOMS

TOP_FOLDERS = ROOMS + ("models",)
PATH = re.compile(
    r"(?<![\w./$}<~-])((?:" + "|".join(map(re.escape, TOP_FOLDERS)) + r")/[\w./*{},-]*)"
)
PLACEHOLDER = re.compile(r"(^|[/_])(?!README|CONTRIBUTING|CHANGELOG|LICENSE)[A-Z]{2,}(?=$|[/._])")


def alternatives(path):
    """a.{h,cc} -> a.h, a.cc."""
    match = re.search(r"\{([^{}]*)\}", path)
    if not match:
        return [path]
    head, tail = path[: match.start()], path[match.end() :]
    words = match.group(1).split(",")
    return [found for word in words for found in alternatives(head + word + tail)]


def exists(root, path):
    """A file or folder, or a name without its ending: base/log stands for base/log.{h,cc}."""
    where = os.path.join(glob.escape(root), path.rstrip("/"))
    return bool(glob.glob(where) or glob.glob(where + ".*"))


def stale_paths(tree, report):
    """Paths in comments and documents exist. In capitals a name is a placeholder: docs/FILE.md."""
    for file in tree:
        for comment in file.all_comments:
            for match in PATH.finditer(comment.text):
                path = re.sub(r"[.,]*$", "", match.group(1))
                is_generated = ".pb." in path or path.split("/")[1:2] == [""]
                if is_generated or PLACEHOLDER.search(path):
                    continue
                for each in alternatives(path):
                    if not exists(tree.root, each):
                        report(file.path, comment.line, f"{each} does not exist")


OUTSIDE = re.compile(
    r"\bdesign,? (?:part |section )?[\d\"]|\(design\b|\bdesign:"
    r"|\b(?:design|house|style|contract)\.md\b"
    r"|\bthe (?:house )?style\b(?=[:;,.)]|\s*$)"
    r"|\bthe contract\b(?! (?:in|of) )",
    re.IGNORECASE,
)


def outside_references(tree, report):
    """Code and documents refer only to documents of the repository."""
    for file in tree:
        for comment in file.all_comments:
            match = OUTSIDE.search(comment.text)
            if match:
                words = f'"{match.group(0).strip()}" names no document of the repository'
                report(file.path, comment.line, words)


FOLDER_PAGE = "docs/architecture.md"
ROW = re.compile(r"^\| `([\w./]+)/` \|.*\| ([\w, ]*)\|$")


def folders_of(tree):
    """The top-level folders, and those inside the floors. An include/ mirrors a tree: one row."""
    found = set()
    for file in tree:
        parts = file.path.split("/")[:-1]
        depth = len(parts) if file.folder in FOLDERS else 1
        for count in range(1, min(depth, len(parts)) + 1):
            if "include" not in parts[:count]:
                found.add("/".join(parts[:count]))
    return found


def folder_table(tree, report):
    """The folder table of docs/architecture.md equals the tree and the floors."""
    page = tree.get(FOLDER_PAGE)
    rows = {}
    for number, line in enumerate(page.lines if page else [], 1):
        match = ROW.match(line)
        if match:
            words = {word.strip() for word in match.group(2).split(",")} - {""}
            rows[match.group(1)] = (number, words)
    for folder in sorted(folders_of(tree) - set(rows)):
        report(FOLDER_PAGE, 1, f"{folder}/ is in the tree and in no row of the folder table")
    for folder, (number, words) in rows.items():
        if not os.path.isdir(os.path.join(tree.root, folder)):
            report(FOLDER_PAGE, number, f"{folder}/ does not exist")
        if folder in FLOORS and words != set(FLOORS[folder]):
            allowed = ", ".join(FLOORS[folder]) or "nothing"
            report(FOLDER_PAGE, number, f"{folder}/ may include {allowed} (tools/floor_rules.py)")


RIDDLE = re.compile(r"\s*(What|Who|Whoever|Whatever|Whichever)\b(?!.*\?\s*$)")


def comment_openings(tree, report):
    """A comment is a noun phrase or a sentence: it does not open with a relative clause."""
    for file in tree:
        if file.path.endswith(".md"):
            continue
        before = None
        for comment in file.all_comments:
            opens = before is None or before.line != comment.line - 1 or not before.text.strip()
            match = RIDDLE.match(comment.text) if opens else None
            if match:
                words = f'a comment does not open with "{match.group(1)}": name the thing'
                report(file.path, comment.line, words)
            before = comment


RULES = (stale_paths, outside_references, folder_table, comment_openings)
