"""The rules of tidy.py about folders: allowed includes and links, CMake lists."""

import itertools
import re

from source_tree import FOLDERS

# Folder -> the folders that it may include besides itself; docs/architecture.md repeats it.
FLOORS = {
    "base": (),
    "model": ("base",),
    "kernels": ("base",),
    "proto": ("base", "model"),
    "worker": ("base", "model", "kernels", "proto"),
    "coordinator": ("base", "model", "proto"),
    "launch": ("base", "model"),
    "clients": ("base", "model", "proto", "launch"),
    "tests": FOLDERS,
    "benchmarks": FOLDERS + ("tests",),  # for its fakes
}

# Third-party header -> files that may include it. Tests and benchmarks may include any.
RATIONED = (
    (r"mpi\.h$", r"worker/comm/|worker/main\.cc$"),
    (r"nccl", r"worker/comm/\w+\.cc$"),
    (r"zmq", r"(coordinator/doors|worker/control|clients/cpp)/\w+\.cc$"),
    (r"(cuda|cublas|cub/|thrust/|cooperative_groups)", r"kernels/(cuda|emulation)/|worker/comm/"),
    (r"toml\+\+", r"base/config_file\.cc$"),
    (r"spdlog", r"base/log\.cc$"),
    (r"google/protobuf", r"proto/"),
    (r"nlohmann/json\.hpp", r".*\.cc$|model/json_reader\.h$"),
    (r"pcre2", r"model/tokenizer/\w+\.cc$"),
    (r"utf8proc", r"model/(tokenizer|chat/jinja/values)/\w+\.cc$"),
    (r"(sodium|hwloc)", r".*\.cc$"),
    (r"boost/", r"clients/gateway/"),
    (r"(thread|mutex|condition_variable|future|sys/socket\.h)$", r"(?!model/|proto/)"),
)
ONE_FILE_PER_SIDE = (r"nccl", r"zmq")  # at most one file per top-level folder


def floors(tree, report):
    for file in tree.cpp(*FLOORS):
        allowed = FLOORS[file.folder] + (file.folder,)
        for line, path, quoted in file.includes:
            folder = path.split("/")[0]
            if folder in FLOORS and folder not in allowed:
                report(file.path, line, f"{file.folder}/ may not include {folder}/")
            beside = file.path[: -len(file.name)] + path
            if quoted and tree.get(beside):
                report(file.path, line, f'write "{beside}": include paths start at the root')


def rationed_headers(tree, report):
    users = {}
    for file in tree.cpp(*FOLDERS):
        for line, path, quoted in file.includes:
            if quoted and path.split("/")[0] in FLOORS:
                continue
            for header, home in RATIONED:
                if not re.match(header, path):
                    continue
                if not re.match(home, file.path):
                    report(file.path, line, f"<{path}> may be included only in {home}")
                if header in ONE_FILE_PER_SIDE:
                    users.setdefault((header, file.folder), set()).add(file.path)
    for (header, folder), paths in sorted(users.items()):
        for path in sorted(paths)[1:]:
            report(path, 1, f"only one file of {folder}/ may include {header}: {min(paths)}")


def cycle_from(graph, start):
    """A path from `start` back to it, as a list of nodes, or None."""
    paths = [[start]]
    seen = set()
    while paths:
        path = paths.pop()
        for after in sorted(graph.get(path[-1], ())):
            if after == start:
                return path + [start]
            if after not in seen:
                seen.add(after)
                paths.append(path + [after])
    return None


def folders_above(path):
    """The folders of a file, from the top one down: a/b/c.h -> a, a/b."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]


def folder_edge(here, there):
    """The pair of sibling folders, or of a folder and one inside it, that an include connects."""
    for a, b in itertools.zip_longest(folders_above(here), folders_above(there)):
        if a != b:
            return (a or folders_above(here)[-1], b or folders_above(there)[-1])
    return None


def include_cycles(tree, report):
    """No cycle of files, and none of folders at any depth."""
    graphs = ({}, {})
    for file in tree.cpp(*FOLDERS):
        for _, path, quoted in file.includes:
            if not quoted or tree.get(path) is None:
                continue
            pairs = ((file.path, path), folder_edge(file.path, path))
            for graph, pair in zip(graphs, pairs):
                if pair and pair[0] != pair[1]:
                    graph.setdefault(pair[0], set()).add(pair[1])
    for graph in graphs:
        told = set()
        for start in sorted(graph):
            cycle = None if start in told else cycle_from(graph, start)
            if cycle:
                told.update(cycle)
                report(start, 1, "includes form a cycle: " + " -> ".join(cycle))


def emulation_in_production(tree, report):
    """Production code does not include the emulation, which is a test double."""
    for file in tree.cpp(*FOLDERS):
        if file.path.startswith("kernels/emulation/"):
            continue
        for line, path, _ in file.includes:
            if path.startswith("kernels/emulation/"):
                report(file.path, line, "production code does not include the emulation")


def cmake_text(file):
    return "\n".join(line.split("#")[0] for line in file.lines)


def sources_listed_in(cmake):
    """The source paths, from the root, that the words of a CMake list can refer to."""
    here = cmake.path[: -len(cmake.name)]
    for word in re.split(r"[\s()\"]+", cmake_text(cmake)):
        yield here + word
        yield word.replace("${PROJECT_SOURCE_DIR}/", "")
        yield f"{cmake.folder}/{word}.cc"  # trireme_test(folder/x_test)


def listed_sources(tree, report):
    listed = set()
    for file in tree:
        if file.name == "CMakeLists.txt" or file.name == "sources.cmake":
            listed.update(sources_listed_in(file))
    for file in tree.cpp(*FOLDERS, "tests", "benchmarks"):
        if not file.is_header and file.path not in listed:
            report(file.path, 1, "is in no CMakeLists.txt; list it or delete it")


def cmake_functions(tree, report):
    for file in tree:
        if file.name != "CMakeLists.txt" and not file.path.endswith(".cmake"):
            continue
        for number, line in enumerate(cmake_text(file).split("\n"), 1):
            if re.match(r"\s*file\s*\(\s*GLOB", line):
                report(file.path, number, "sources are listed, not globbed")
            if file.path != "cmake/targets.cmake" and re.match(r"\s*(function|macro)\s*\(", line):
                report(file.path, number, "CMake functions live in cmake/targets.cmake")


LINK_CALL = (
    r"\b(trireme_library|trireme_program|add_library|target_link_libraries)\s*\((\w+)([^()]*)\)"
)


def link_floors(tree, report):
    """target_link_libraries repeats the table of include floors."""
    calls = []
    home = {}
    for file in tree:
        if file.name != "CMakeLists.txt" or file.folder not in FLOORS:
            continue
        text = cmake_text(file)
        for match in re.finditer(LINK_CALL, text):
            line = text.count("\n", 0, match.start()) + 1
            calls.append((file, line, match.group(2), match.group(3).split()))
            if match.group(1) != "target_link_libraries":
                home[match.group(2)] = file.folder
    for file, line, target, words in calls:
        allowed = FLOORS[file.folder] + (file.folder,)
        for word in words:
            if word in home and home[word] not in allowed:
                words_of = f"{target} of {file.folder}/ may not link {word} of {home[word]}/"
                report(file.path, line, words_of)


RULES = (
    floors,
    rationed_headers,
    include_cycles,
    emulation_in_production,
    listed_sources,
    cmake_functions,
    link_floors,
)
