"""A scanner of C++ for tidy.py: comments, string literals, braces. It needs no compiler."""

import re
from dataclasses import dataclass

TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/"""
    r"""|R"(?P<mark>[^()\s\\]{0,16})\(.*?\)(?P=mark)\""""
    r"""|"(?:\\.|[^"\\\n])*\"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'""",
    re.DOTALL,
)


@dataclass
class Comment:
    line: int
    text: str  # one line, without the marks


@dataclass
class Function:
    name: str
    head_line: int
    line: int  # of the opening brace
    length: int  # lines from the opening to the closing brace


@dataclass
class Statement:
    line: int
    text: str  # at namespace scope, up to the ; or {


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def split_comments(text):
    """Returns the code with comments and contents of literals blanked, and the comments."""
    comments = []

    def replace(match):
        found = match.group(0)
        line = text.count("\n", 0, match.start()) + 1
        if found.startswith("//"):
            comments.append(Comment(line, found[2:]))
            return blank(found)
        if found.startswith("/*"):
            for offset, part in enumerate(found[2:-2].split("\n")):
                comments.append(Comment(line + offset, part.lstrip().lstrip("*")))
            return blank(found)
        return found[0] + blank(found[1:-1]) + found[-1]

    return TOKEN.sub(replace, text), comments


def without_preprocessor(code):
    """Blanks directives with their continuation lines."""
    return re.sub(r"(?m)^[ \t]*#(?:[^\n\\]|\\[^\n]|\\\n)*", lambda m: blank(m.group(0)), code)


def without_brackets(text):
    """The text without the contents of (), so that the = of a default argument does not count."""
    while True:
        shorter = re.sub(r"\([^()]*\)", "", text)
        if shorter == text:
            return text
        text = shorter


def kind_of(head):
    """The kind of scope that the brace after `head` opens, at namespace or type scope."""
    head = re.sub(r"\b(public|private|protected)\s*:", " ", head).strip()
    if re.search(r"\bnamespace\b", head) or re.search(r'\bextern\s*"', head):
        return "namespace"
    bare = re.sub(r"^template\s*<.*?>\s*(?=class|struct|union)", "", head, flags=re.DOTALL)
    if re.match(r"(typedef\s+|static\s+|const\s+)*(class|struct|union|enum)\b", bare):
        return "type"
    flat = without_brackets(re.sub(r"\boperator\s*\S+?\s*(?=\()", "operator", head))
    if "(" not in head or re.search(r"(?<![=!<>])=(?!=)", flat):
        return "value"
    return "function"


def name_of(head):
    match = re.search(r"([~\w:]+)\s*\(([^()]*)", head)
    if not match:
        return "?"
    if match.group(1) in ("TEST", "TEST_F", "TEST_P", "BENCHMARK_F"):
        return f"{match.group(1)}({' '.join(match.group(2).split())})"
    return match.group(1)


class Scan:
    """The functions of a file, and the statements outside functions and types."""

    def __init__(self, code):
        self.functions = []
        self.statements = []
        self._stack = []  # (kind, head, head line, brace line)
        self._head = ""
        self._head_line = 1
        self._closed = None  # the scope closed last, while its statement may continue
        line = 1
        for piece in re.split(r"([{};\n])", without_preprocessor(code)):
            if piece == "\n":
                line += 1
            if piece in ("{", "}", ";"):
                self._step(piece, line)
            elif self._head.strip() or piece.strip():
                if not self._head.strip():
                    self._head_line = line
                self._head += piece

    def _inside(self, kind):
        return any(entry[0] == kind for entry in self._stack)

    def _step(self, mark, line):
        head, head_line = self._head, self._head_line
        self._head = ""
        if mark == "{":
            self._open(head, head_line, line)
        elif mark == ";":
            if not self._closed or self._closed[0] != "value":
                self._end(head + ";", head_line)
            self._closed = None
        elif self._stack:
            self._closed = self._stack.pop()
            kind, opened, opened_line, brace_line = self._closed
            if kind == "function":
                length = line - brace_line + 1
                self.functions.append(Function(name_of(opened), opened_line, brace_line, length))

    def _open(self, head, head_line, line):
        if self._inside("function"):
            kind = "block"
        elif self._inside("value"):
            kind = "value"
        elif self._closed and self._closed[0] == "value":
            kind = "value"  # int64_t{1} << int64_t{2}
        elif self._closed and self._closed[0] == "function" and re.match(r"\s*(,|$)", head):
            kind, head, head_line, _ = self._closed  # member initialisers: Foo() : a_{1}, b_{2} {
        else:
            kind = kind_of(head)
            if kind == "value":
                self._end(head + "{};", head_line)
        self._closed = None
        self._stack.append((kind, head, head_line, line))

    def _end(self, text, line):
        if all(entry[0] == "namespace" for entry in self._stack) and text.strip() != ";":
            self.statements.append(Statement(line, " ".join(text.split())))
