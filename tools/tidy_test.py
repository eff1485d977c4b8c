#!/usr/bin/env python3
"""Every rule of tidy.py goes red on a violation and stays green on its neighbour."""

import os
import tempfile
import unittest

import tidy
from cpp_scan import Scan, split_comments
from source_tree import SourceTree

LISTED = "trireme_library(a SOURCES a.cc)\n"
UNFINISHED = "TO" + "DO"
RULES = tidy.RULES


def folder_page(*rows):
    return "| folder | holds | may include |\n|---|---|---|\n" + "".join(
        f"| `{folder}/` | things | {words} |\n" for folder, words in rows
    )



def long_function(lines, above=""):
    body = "".join(f"  call({i});\n" for i in range(lines - 2))
    return f"{above}void work(int a = 3) {{\n{body}}}\n"


# rule -> (the trees that are wrong, the trees that are right); a tree is {path: text}.
CASES = {
    "floors": (
        [
            {"model/a.cc": '#include "worker/b.h"\n'},
            {"kernels/cpu/a.cc": '#include "model/b.h"\n'},
            {"coordinator/a.h": '#include "kernels/b.h"\n'},
            {"clients/cli/a.cc": '#include "coordinator/b.h"\n'},
            {"base/a.cc": '#include "model/b.h"\n'},
            {"base/a.cc": '#include "b.h"\n', "base/b.h": ""},
        ],
        [
            {"worker/a.cc": '#include "kernels/b.h"\n#include "proto/x.pb.h"\n'},
            {"tests/worker/a.cc": '#include "coordinator/b.h"\n'},
            {"base/a.cc": '#include "absl/status/status.h"\n'},
        ],
    ),
    "rationed_headers": (
        [
            {"worker/a.cc": "#include <mpi.h>\n"},
            {"kernels/cpu/a.cc": "#include <cuda_runtime.h>\n"},
            {"base/a.cc": "#include <toml++/toml.h>\n"},
            {"base/status.h": "#include <spdlog/spdlog.h>\n"},
            {"coordinator/a.h": "#include <zmq.hpp>\n"},
            {
                "coordinator/doors/a.cc": "#include <zmq.hpp>\n",
                "coordinator/doors/b.cc": "#include <zmq.h>\n",
            },
            {"worker/comm/a.cc": "#include <nccl.h>\n", "worker/comm/b.cc": "#include <nccl.h>\n"},
            {"model/a.cc": "#include <thread>\n"},
        ],
        [
            {"worker/comm/a.h": "#include <mpi.h>\n", "worker/main.cc": "#include <mpi.h>\n"},
            {
                "coordinator/doors/a.cc": "#include <zmq.hpp>\n",
                "worker/control/b.cc": "#include <zmq.hpp>\n",
            },
            {"tests/a.cc": "#include <zmq.hpp>\n"},
            {"base/config_file.cc": "#include <toml++/toml.h>\n"},
            {"clients/a.cc": '#include "coordinator/zmq.h"\n'},
        ],
    ),
    "include_cycles": (
        [
            {"base/a.h": '#include "base/b.h"\n', "base/b.h": '#include "base/a.h"\n'},
            {
                "base/a.h": '#include "model/b.h"\n',
                "base/b.h": "",
                "model/b.h": "",
                "model/c.h": '#include "base/b.h"\n',
            },
            {  # folders inside a folder
                "worker/a/a.h": '#include "worker/b/b.h"\n',
                "worker/a/c.h": "",
                "worker/b/b.h": "",
                "worker/b/d.h": '#include "worker/a/c.h"\n',
            },
            {  # a folder and one inside it
                "worker/a.h": '#include "worker/b/b.h"\n',
                "worker/c.h": "",
                "worker/b/b.h": "",
                "worker/b/d.h": '#include "worker/c.h"\n',
            },
        ],
        [
            {"base/a.h": '#include "base/b.h"\n', "base/b.h": "", "base/c.cc": ""},
            {
                "worker/a.h": '#include "worker/b/b.h"\n',
                "worker/b/b.h": '#include "worker/c/c.h"\n',
                "worker/c/c.h": "",
            },
        ],
    ),
    "one_home": (
        [
            {"worker/a.cc": 'if (isa == "avx2") return;\n'},
            {"launch/a.cc": 'std::ifstream file("/sys/fs/cgroup/cpu.max");\n'},
            {"worker/a.cc": "set(socket, ZMQ_HEARTBEAT_IVL, 1000);\n"},
            {"worker/a.h": "int32_t max_batched_tokens = 512;\n"},
            {"proto/a.h": "int32_t page_tokens = 32;\n"},
        ],
        [
            {"base/cpu_tiers.h": 'constexpr auto kTier = "avx2";\n'},
            {"base/host_info.cc": 'std::ifstream file("/sys/fs/cgroup/cpu.max");\n'},
            {"worker/a.cc": "set(socket, ZMQ_HEARTBEAT_IVL, kHeartbeatMs);\n"},
            {"worker/a.cc": 'int a = 0;  // not "avx2"\n'},
            {"tests/a.cc": 'hello.isa = "avx2";\n'},
            {"proto/a.h": "int32_t page_tokens = 0;\n"},
        ],
    ),
    "emulation_in_production": (
        [
            {"kernels/cuda/a.h": '#include "kernels/emulation/b.h"\n'},
            {"worker/a.cc": '#include "kernels/emulation/b.h"\n'},
        ],
        [
            {"kernels/emulation/a.h": '#include "kernels/emulation/b.h"\n'},
            {"tests/a.cc": '#include "kernels/emulation/b.h"\n'},
        ],
    ),
    "listed_sources": (
        [
            {"base/a.cc": "", "base/CMakeLists.txt": "trireme_library(b SOURCES aa.cc b.cc)\n"},
            {"base/a.cc": "", "base/CMakeLists.txt": "# a.cc\n"},
            {"tests/base/a.cc": "", "tests/base/CMakeLists.txt": "trireme_test(base/b)"},
        ],
        [
            {"base/a.cc": "", "base/CMakeLists.txt": LISTED},
            {"kernels/cpu/a.cc": "", "kernels/CMakeLists.txt": "f(k SOURCES cpu/a.cc)"},
            {"kernels/cuda/a.cu": "", "kernels/cuda/sources.cmake": "set(sources a.cu)"},
            {"tests/base/a.cc": "", "tests/base/CMakeLists.txt": "trireme_test(base/a)\n"},
            {
                "tests/cluster/a.cc": "",
                "tests/worker/CMakeLists.txt": "f(${PROJECT_SOURCE_DIR}/tests/cluster/a.cc)\n",
            },
        ],
    ),
    "cmake_functions": (
        [
            {"base/CMakeLists.txt": "file(GLOB sources *.cc)\n"},
            {"base/CMakeLists.txt": "function(mine)\nendfunction()\n"},
        ],
        [{"cmake/targets.cmake": "function(mine)\nendfunction()\n"}],
    ),
    "link_floors": (
        [
            {
                "model/CMakeLists.txt": "trireme_library(m SOURCES a.cc LINK w)\n",
                "worker/CMakeLists.txt": "trireme_library(w SOURCES a.cc)\n",
            }
        ],
        [
            {
                "model/CMakeLists.txt": "trireme_library(m SOURCES a.cc LINK b)\n",
                "base/CMakeLists.txt": "trireme_library(b SOURCES a.cc)\n",
            }
        ],
    ),
    "file_length": (
        [{"base/a.cc": "\n" * 501}, {"tools/a.py": "\n" * 501}],
        [
            {"base/a.cc": "\n" * 500},
            {"base/a.cc": "// The ids. tidy: table\n" + "\n" * 600},
        ],
    ),
    "line_length": (
        [{"base/a.cc": "x" * 101 + "\n"}, {"CMakeLists.txt": "x" * 101 + "\n"}],
        [{"base/a.cc": "é" * 100 + "\n"}, {"docs/a.md": "x" * 200}],
    ),
    "function_length": (
        [{"base/a.cc": long_function(121)}, {"tests/a.cc": "TEST(A, B) {" + "\n" * 120 + "}\n"}],
        [
            {"base/a.cc": long_function(120)},
            {"base/a.cc": long_function(200, "// Rows. tidy: table\n")},
            {"base/a.cc": "constexpr int kRows[] = {\n" + "1,\n" * 200 + "};\n"},
            {"base/a.cc": "namespace a {\n" + long_function(60) * 4 + "}\n"},
            {"base/a.h": "class A {\n public:\n" + long_function(60) * 4 + "};\n"},
        ],
    ),
    "pragma_once": (
        [{"base/a.h": "// Purpose.\n"}],
        [{"base/a.h": "// Purpose.\n#pragma once\n"}],
    ),
    "header_purpose": (
        [{"base/a.h": "#pragma once\n"}],
        [{"base/a.h": "// Purpose.\n#pragma once\n"}],
    ),
    "environment": (
        [{"worker/a.cc": 'auto x = std::getenv("HOME");\n'}],
        [
            {"base/environment.cc": 'auto x = std::getenv("HOME");\n'},
            {"worker/a.cc": '// getenv is rationed\nauto x = "getenv";\n'},
        ],
    ),
    "unfinished": (
        [{"base/a.cc": f"// {UNFINISHED}: later\n"}, {"docs/a.md": UNFINISHED}],
        [{"base/a.cc": "// MASTODONS\n"}],
    ),
    "commented_out_code": (
        [
            {"base/a.cc": "// int x = 3;\n"},
            {"base/a.cc": "// call(1, 2);\n"},
            {"base/a.cc": "// x.y += 3;\n"},
            {"base/a.cc": "//#include <vector>\n"},
            {"base/a.cc": "// if (x) {\n"},
            {"base/a.cc": "/* return 3; */\n"},
        ],
        [
            {"base/a.cc": "// Returns what is left; the caller owns it.\n"},
            {"base/a.cc": "// An example in a contract:\n//   FlagSet flags(1);\n"},
            {"base/a.cc": "// a + b = c, for every c\n"},
            {"base/a.cc": '// The head of a list that goes on;\nauto text = "// x = 3;";\n'},
        ],
    ),
    "dangerous_calls": (
        [
            {"worker/a.cc": 'void f() { system("ls"); }\n'},
            {"worker/a.cc": 'void f() { std::system("ls"); }\n'},
            {"worker/a.cc": 'auto h = dlopen("x", 0);\n'},
            {"worker/a.cc": "int x = rand();\n"},
        ],
        [
            {"worker/a.cc": "void f() { operating_system(3); door.system(3); }\n"},
            {"tests/a.cc": 'void f() { system("ls"); }\n'},
        ],
    ),
    "mutable_globals": (
        [
            {"base/a.cc": "int counter = 0;\n"},
            {"base/a.cc": "namespace a {\nstd::vector<int> seen;\n}\n"},
            {"base/a.cc": "static std::mutex mutex{};\n"},
            {"base/a.cc": "void f() {\n  static int calls = 0;\n}\n"},
            {"base/a.cc": "thread_local int depth;\n"},
            {"base/a.cc": "std::atomic<int> count{0};\n"},
        ],
        [
            {"base/a.cc": "constexpr int kMax = int{1} << int{2};\nconst A kName = {};\n"},
            {"base/a.cc": "int f(int a, int b = 3);\nusing A = int;\nstruct B;\nenum C { x };\n"},
            {"base/a.cc": "class A {\n  int member = 0;\n};\nint A::f() {\n  int b = 3;\n}\n"},
            {"base/a.cc": "A::A() : a_{1}, b_{2} {\n  int x = 3;\n}\nA::B A::c() { return {}; }\n"},
            {"base/a.cc": "void f() {\n  static const int kTable[] = {1};\n}\n"},
            {"kernels/emulation/a.cc": "thread_local int device = 0;\n"},
            {"tests/a.cc": "int allocations = 0;\n"},
        ],
    ),
    "error_pages": (
        [
            {
                "clients/cli/explain/error_pages.cc": '"TRI-ARGS-001"',
                "base/a.cc": 'x("TRI-ARGS-001"); y("TRI-ARGS-002");\n',
            },
            {
                "clients/cli/explain/error_pages.cc": '"TRI-ARGS-001"',
                "base/a.cc": "// TRI-ARGS-001\n",
            },
        ],
        [
            {"base/a.cc": 'x("TRI-ARGS-002");\n'},
            {
                "clients/cli/explain/error_pages.cc": '"TRI-ARGS-001"',
                "clients/cli/error_pages_net.cc": '"TRI-NET-001"',
                "base/a.cc": 'x("TRI-ARGS-001"); y("TRI-NET-001");\n',
                "tests/a.cc": '"TRI-TEST-001"',
            },
        ],
    ),
    "machine_paths": (
        [{"docs/a.md": "see /ro" + "ot/x\n"}, {"launch/a.sh": "cp ../sha" + "red/x .\n"}],
        [{"docs/a.md": "see build/work/x and $PWD/work/\n"}],
    ),
    "stale_paths": (
        [
            {"base/a.h": "// See docs/none.md.\n"},
            {"docs/a.md": "the sums of `base/none.{h,cc}`\n"},
            {"docs/a.md": "in models/none/README.md\n"},
            {"tools/a.sh": "# as tests/none/ does\n"},
            {"base/CMakeLists.txt": "f(a)  # see ba" + "se/none.cc\n"},
            {"proto/a.proto": "// kept by proto/none.h\n"},
        ],
        [
            {"base/a.h": "// See base/a.h, base/a and `base/`.\n"},
            {"base/a.h": "", "base/a.cc": "", "docs/a.md": "base/a.{h,cc}, base/*.h, base/a*\n"},
            {"docs/a.md": "docs/FILE.md, tests/FOLDER/NAME_test.cc, build/base/x, a/base/x\n"},
            {"proto/a.h": "// Of proto/steps.pb.h.\n"},
            {"base/a.cc": 'auto x = "base/none.h";\n'},
            {"base/a.cc": "// https://example.com/docs/none.html\n"},
        ],
    ),
    "outside_references": (
        [
            {"base/a.h": "// Order: closed, opened (des" + "ign 3.6).\n"},
            {"base/a.h": "// A rule of the CPU (des" + "ign: leaves).\n"},
            {"base/a.h": "// One line of the con" + "tract's object.\n"},
            {"docs/a.md": "as hou" + "se.md says\n"},
            {"tools/a.py": "# docs/architecture.md and the sty" + "le\n"},
        ],
        [
            {"base/a.h": "// Implements the contract in base/b.h by design; an op's contract.\n"},
            {"docs/a.md": "Death tests need the style `threadsafe`; the design is simple.\n"},
        ],
    ),
    "folder_table": (
        [
            {"base/a.h": ""},
            {"base/a.h": "", "docs/architecture.md": folder_page(("docs", ""))},
            {
                "base/a.h": "",
                "docs/architecture.md": folder_page(("base", "model"), ("docs", "")),
            },
            {
                "base/a/a.h": "",
                "docs/architecture.md": folder_page(("base", ""), ("docs", "")),
            },
            {"docs/architecture.md": folder_page(("docs", ""), ("base", ""))},
        ],
        [
            {
                "model/a/a.h": "",
                "model/include/a/a.h": "",
                "tools/deep/a.py": "",
                "docs/architecture.md": folder_page(
                    ("model", "base"), ("model/a", ""), ("docs", ""), ("tools", "")
                ),
            },
        ],
    ),
    "comment_openings": (
        [
            {"base/a.h": "// What a step needs.\n"},
            {"base/a.h": "// Purpose.\n//\n// Whoever waits is not named.\n"},
            {"base/a.cc": "int x = 3;  // Who sits here\n"},
            {"tools/a.sh": "x=3\n# Whatever is left.\n"},
        ],
        [
            {"base/a.h": "// The buffers that a step needs, and\n// what it leaves.\n"},
            {"base/a.h": "// Whole rows only.\n"},
            {"docs/a.md": "What works\n"},
        ],
    ),
}


def errors_of(files, rule):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            where = os.path.join(root, path)
            os.makedirs(os.path.dirname(where), exist_ok=True)
            with open(where, "w", encoding="utf-8") as file:
                file.write(text)
        return tidy.check(SourceTree(root), [rule])[0]


class EveryRule(unittest.TestCase):
    def test_has_cases(self):
        self.assertEqual({rule.__name__ for rule in RULES}, set(CASES))

    def test_goes_red_on_each_violation(self):
        for rule in RULES:
            for files in CASES[rule.__name__][0]:
                with self.subTest(rule=rule.__name__, files=files):
                    self.assertNotEqual(errors_of(files, rule), [])

    def test_stays_green_on_its_neighbours(self):
        for rule in RULES:
            for files in CASES[rule.__name__][1]:
                with self.subTest(rule=rule.__name__, files=files):
                    self.assertEqual(errors_of(files, rule), [])


class Scanner(unittest.TestCase):
    def test_blanks_literals_and_comments_and_keeps_lines(self):
        text = 'a = "//x"; // "y"\nb = R"(}\n})"; c = 1\'000; d = \'"\'; /* {\n */ e'
        code, comments = split_comments(text)
        self.assertEqual(code.count("\n"), text.count("\n"))
        self.assertNotIn("}", code)
        self.assertIn("1'000", code)
        self.assertEqual([c.line for c in comments], [1, 3, 4])

    def test_measures_functions_by_their_braces(self):
        code = "A::A(int b)\n    : a_{b},\n      c_(1) {\n  x();\n  if (y) {\n  }\n}\n"
        lengths = {f.name: f.length for f in Scan(code).functions if f.length > 1}
        self.assertEqual(lengths, {"A::A": 5})


if __name__ == "__main__":
    unittest.main()
