"""The files that tidy.py checks, each read once."""

import os
import re
from functools import cached_property

from cpp_scan import Comment, Scan, split_comments

FOLDERS = ("base", "model", "kernels", "proto", "worker", "coordinator", "launch", "clients")
ROOMS = FOLDERS + ("tests", "benchmarks", "tools", "cmake", "docs", ".ci")
CPP = (".h", ".cc", ".cu", ".cuh")
MARK = re.compile(r"tidy: (table|generated)\b")


class SourceFile:
    def __init__(self, path, text):
        self.path = path  # relative to the root, with /
        self.text = text
        self.lines = text.split("\n")
        if self.lines and self.lines[-1] == "":
            self.lines.pop()

    @property
    def folder(self):
        return self.path.split("/")[0] if "/" in self.path else ""

    @property
    def name(self):
        return self.path.split("/")[-1]

    @property
    def is_cpp(self):
        return self.path.endswith(CPP)

    @property
    def is_header(self):
        return self.path.endswith((".h", ".cuh"))

    @cached_property
    def _parts(self):
        return split_comments(self.text)

    @property
    def code(self):
        return self._parts[0]

    @property
    def comments(self):
        return self._parts[1]

    @cached_property
    def all_comments(self):
        """The comments of any kind of file, by line; of a document every line."""
        if self.is_cpp or self.path.endswith(".proto"):
            return self.comments
        found = []
        for number, line in enumerate(self.lines, 1):
            match = re.search(r"(?:^|\s)#(?!!)(.*)", line)
            if self.path.endswith(".md"):
                found.append(Comment(number, line))
            elif match:
                found.append(Comment(number, match.group(1)))
        return found

    @cached_property
    def scan(self):
        return Scan(self.code)

    @cached_property
    def includes(self):
        """(line, path, True when written with quotes) of every #include."""
        found = []
        for number, line in enumerate(self.lines, 1):
            match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if match:
                found.append((number, match.group(2), match.group(1) == '"'))
        return found

    @property
    def is_exempt(self):
        """A table or a generated file, marked in one of its first ten lines."""
        return any(MARK.search(line) for line in self.lines[:10])

    def marked_above(self, line):
        """Whether one of the three lines above a function marks it as a table."""
        return any(MARK.search(text) for text in self.lines[max(0, line - 4) : line])

    def matches(self, pattern):
        """(line, match) of a pattern in the code, without comments and literals."""
        for match in re.finditer(pattern, self.code):
            yield self.code.count("\n", 0, match.start()) + 1, match


class SourceTree:
    def __init__(self, root):
        self.root = root
        self.files = {}
        for name in sorted(os.listdir(root)):
            path = os.path.join(root, name)
            if os.path.isdir(path) and name in ROOMS:
                self._read_folder(path)
            elif os.path.isfile(path) and wanted(name):
                self._read(path)

    def _read_folder(self, folder):
        for where, folders, names in os.walk(folder):
            folders[:] = sorted(f for f in folders if f not in ("data", "__pycache__"))
            for name in sorted(names):
                if wanted(name):
                    self._read(os.path.join(where, name))

    def _read(self, path):
        with open(path, encoding="utf-8") as file:
            relative = os.path.relpath(path, self.root).replace(os.sep, "/")
            self.files[relative] = SourceFile(relative, file.read())

    def __iter__(self):
        return iter(self.files.values())

    def get(self, path):
        return self.files.get(path)

    def cpp(self, *folders):
        """The C++ files, of these top folders if any are named."""
        return [f for f in self if f.is_cpp and (not folders or f.folder in folders)]


def wanted(name):
    known = CPP + (".py", ".sh", ".cmake", ".proto", ".md")
    return name.endswith(known) or name in ("CMakeLists.txt", "run")
