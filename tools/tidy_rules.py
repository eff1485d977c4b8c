"""The rules of tidy.py about files: sizes, headers, error ids, forbidden calls and globals."""

import re

from source_tree import FOLDERS

MAX_FILE_LINES = 500
MAX_COLUMNS = 100
WARN_FUNCTION_LINES = 70
MAX_FUNCTION_LINES = 120
CRASH_HANDLER = "worker/control/crash_notice.cc"
ERROR_ID = re.compile(r"\bTRI-[A-Z]+-\d{3}\b")


def file_length(tree, report):
    for file in tree:
        if file.path.endswith(".md") or file.is_exempt:
            continue
        if len(file.lines) > MAX_FILE_LINES:
            words = f"{len(file.lines)} lines, at most {MAX_FILE_LINES}; split it by subject"
            report(file.path, 1, words)


def line_length(tree, report):
    for file in tree:
        if file.path.endswith(".md") or file.is_exempt:
            continue
        for number, line in enumerate(file.lines, 1):
            if len(line) > MAX_COLUMNS:
                report(file.path, number, f"{len(line)} columns, at most {MAX_COLUMNS}")


def function_length(tree, report):
    for file in tree.cpp():
        if file.is_exempt:
            continue
        for function in file.scan.functions:
            if function.length <= WARN_FUNCTION_LINES or file.marked_above(function.head_line):
                continue
            words = f"{function.name} has {function.length} lines, aim at {WARN_FUNCTION_LINES}"
            is_error = function.length > MAX_FUNCTION_LINES
            report(file.path, function.head_line, words, warning=not is_error)


def pragma_once(tree, report):
    for file in tree.cpp():
        if file.is_header and len(re.findall(r"(?m)^#pragma once$", file.text)) != 1:
            report(file.path, 1, "a header has one `#pragma once`")


def header_purpose(tree, report):
    words = "a header opens with a comment: purpose, owner or thread, invariant"
    for file in tree.cpp(*FOLDERS):
        if file.is_header and not file.text.startswith("//"):
            report(file.path, 1, words)


def environment(tree, report):
    for file in tree.cpp():
        if file.path == "base/environment.cc":
            continue
        for line, _ in file.matches(r"\b(secure_)?getenv\b"):
            words = "only base/environment.cc calls getenv(): use environment()"
            report(file.path, line, words)


def unfinished(tree, report):
    words = "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"))
    for file in tree:
        for number, line in enumerate(file.lines, 1):
            if re.search(rf"\b({words})\b", line):
                report(file.path, number, "unfinished work is not committed")


def looks_like_code(text):
    """Whether a comment line is code. Examples are indented by three spaces or more."""
    if text.startswith("   "):
        return False
    text = text.strip()
    if re.match(r"#\s*(include|if|ifdef|ifndef|endif|define|pragma)\b", text):
        return True
    if re.match(r"(if|for|while|switch) \(.*(\{|;)$", text) or re.match(r"\} ?(else.*)?\{?$", text):
        return True
    if not text.endswith(";"):
        return False
    starts = (
        r"(return|break|continue|throw|delete|using|const|constexpr|auto|static|int|bool|float"
        r"|double|void|size_t|std::\S+)\b(?!,)"
    )
    call = r"[\w:.>-]+(\(.*\)|\[.*\].*|\s*[-+*/|&]?=\s.*|\+\+|--);$"
    return bool(re.match(starts, text)) or bool(re.match(call, text))


def commented_out_code(tree, report):
    for file in tree.cpp():
        for comment in file.comments:
            if looks_like_code(comment.text):
                report(file.path, comment.line, "commented-out code is deleted, not kept")


def dangerous_calls(tree, report):
    names = "dlopen|dlmopen|popen|system|strcpy|strcat|sprintf|vsprintf|gets|alloca|rand|srand"
    for file in tree.cpp(*FOLDERS):
        for line, match in file.matches(rf"(?<![\w.>])(?:std::|::)?\b({names})\s*\("):
            report(file.path, line, f"{match.group(1)}() is not used in this project")


def mutable_globals(tree, report):
    """None, because ranks can be threads of one process.

    Exempt are the emulation, since a CUDA runtime has state per process, and the handler of fatal
    signals, which cannot be passed anything.
    """
    skip = re.compile(
        r"^(using|typedef|template|class|struct|enum|union|friend|static_assert|extern|namespace"
        r"|return|CHECK\w*|REGISTER\w*)\b|\b(const|constexpr)\b|\boperator\b"
    )
    shape = re.compile(
        r"^(static |inline |thread_local )*[\w:<>,&*\s]+[\s*&]\w+(\[.*?\])*\s*(=|\{|;)"
    )
    local = (
        r"(?m)^\s+(?:static|inline static|static inline)\s+(?!const|constexpr|inline|_)"
        r"[\w:<>,&* ]+?[ *&]\w+(?:\[[^\]]*\])?\s*(=|;|\{)"
    )
    for file in tree.cpp(*FOLDERS):
        if file.path.startswith("kernels/emulation/") or file.path == CRASH_HANDLER:
            continue
        for statement in file.scan.statements:
            if not skip.search(statement.text) and shape.match(statement.text):
                report(file.path, statement.line, f"mutable global: {statement.text[:60]}")
        for line, _ in file.matches(r"\bthread_local\b"):
            report(file.path, line, "thread-local state is a hidden argument; pass it")
        for line, match in file.matches(local):
            if not re.search(r"\bconst(expr)?\b", match.group(0)):
                report(file.path, line, "a mutable static is a hidden global; pass it")


def error_pages(tree, report):
    """Every id in the sources has a page, and every page an id in the sources."""
    pages = [f for f in tree.cpp("clients") if re.match(r"error_pages\w*\.cc$", f.name)]
    if not pages:
        words = "does not exist: ids are not checked"
        report("clients/cli/explain/error_pages.cc", 1, words, warning=True)
        return
    explained = {name for page in pages for name in ERROR_ID.findall(page.text)}
    used = {}
    for file in tree.cpp(*FOLDERS):
        if file in pages:
            continue
        for number, line in enumerate(file.lines, 1):
            for name in ERROR_ID.findall(line.split("//")[0]):
                used.setdefault(name, (file.path, number))
    for name in sorted(set(used) - explained):
        report(*used[name], f"{name} has no page in {pages[0].path} or a file beside it")
    for name in sorted(explained - set(used)):
        report(pages[0].path, 1, f"{name} has a page, but no source uses it")


def machine_paths(tree, report):
    for file in tree:
        for number, line in enumerate(file.lines, 1):
            if re.search(r"(?<![\w.$}])/(work|root|home/\w+)/|\.\./shar" + "ed", line):
                report(file.path, number, "a path of one machine")


RULES = (
    file_length,
    line_length,
    function_length,
    pragma_once,
    header_purpose,
    environment,
    unfinished,
    commented_out_code,
    dangerous_calls,
    mutable_globals,
    error_pages,
    machine_paths,
)
