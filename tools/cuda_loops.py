"""The hot loops of the CUDA kernels: what their machine code may cost (tests/data/cuda_loops.csv).

A loop is found by its kernel and its contents, for instance the innermost loop with HMMA and
LDGSTS, and has per architecture

    instructions  of a warp in one iteration, along the cheapest path with all products and copies
    per hmma      instructions per product of the tensor cores
    per ldgsts    instructions per asynchronous copy
    calls         CALLs anywhere in the loop
    awaited       loads that the iteration which issued them waits for (cuda_sass.py: Graph.awaited)

Loops inside a page run as often as a page has products and copies, which its shape tells. None of
the values may rise.

cuda_loops.py
    Exits with 0 where cuobjdump and nvdisasm are found, with 1 elsewhere.
"""

import csv
import glob
import os
import re
import shutil
import subprocess
import sys

import cuda_sass

TABLE = "tests/data/cuda_loops.csv"
FIELDS = ("instructions", "per hmma", "per ldgsts", "calls", "awaited")
AIM_COLUMNS = ("aim", "later aim")
PRODUCT, COPY = "HMMA", "LDGSTS"


class NamedLoop:
    """A loop of the kernels of a source whose names match `kernel`, which may capture a number."""

    def __init__(self, name, source, kernel, find, iteration=None, wanted=(), heads=lambda _: 1):
        self.name = name
        self.source = source
        self.kernel = re.compile(kernel)
        self.find = find  # Graph to Loop; None measures the whole kernel
        self.iteration = iteration  # number of the kernel's name to its (products, copies)
        self.wanted = wanted  # operations of which the path has max, or with "-" min
        self.heads = heads  # number of the kernel's name to what the instructions are divided by


def has(graph, loop, *kinds):
    found = {instruction.kind for instruction in graph.instructions(loop)}
    return found.issuperset(kinds)


def innermost_with(*kinds):
    def find(graph):
        for loop in graph.loops:  # inner ones first
            if has(graph, loop, *kinds):
                return loop
        return None

    return find


def outermost_with(kind):
    def find(graph):
        loops = [loop for loop in graph.loops if has(graph, loop, kind)]
        return loops[-1] if loops else None

    return find


# Per page of 64 tokens: scores and values are 2 x 8 x dim / 16 products of 16 x 8 x 16 for 16 rows
# of q; a warp of decode copies the page alone, the four of prefill share it and take 32 rows each,
# 16 at width 256.
def decode_page(dim):
    return dim, dim // 2


def prefill_page(dim):
    return (2 * dim if dim <= 128 else dim), dim // 8


DECODE, PREFILL = "attention_decode.cu", "attention_prefill.cu"
DECODE_KERNEL, PREFILL_KERNEL = r"decode_kernel<Bf16, (\d+)>", r"prefill_kernel<Bf16, (\d+)>"
BOTH = (PRODUCT, COPY)
QKV, HEAD = "qkv_finish.cu", ("-MUFU", "STG", "SHFL", "STS")
# One of the two types stands for both: they differ in the type of HMMA and of conversions only.
LOOPS = (
    NamedLoop("page", DECODE, DECODE_KERNEL, innermost_with(*BOTH), decode_page, BOTH),
    NamedLoop("unit", DECODE, DECODE_KERNEL, outermost_with(PRODUCT)),
    NamedLoop("page", PREFILL, PREFILL_KERNEL, innermost_with(*BOTH), prefill_page, BOTH),
    NamedLoop("unit", PREFILL, PREFILL_KERNEL, outermost_with(PRODUCT)),
    NamedLoop("stage", "linear_tile.cu", "linear_tile<Bf16, ", innermost_with(*BOTH), None, BOTH),
    NamedLoop("strip", "linear_stream.cu", "linear_stream<Bf16, ", innermost_with(PRODUCT, "LDG"),
              None, (PRODUCT, "LDG")),
    # The whole kernel: a head without norm (which has the MUFUs), every loop once.
    NamedLoop("head", QKV, r"qkv_finish_pairs<Bf16>", None, None, HEAD),
    # 16 bytes a lane, four heads a lane; the number is that of the lanes of a head.
    NamedLoop("head", QKV, r"qkv_finish_chunks<Bf16, (\d+)>", None, None, HEAD,
              lambda lanes: 32 // lanes * 4),
)
# Instructions wanted on sm_90a: now, later.
AIMS = {
    (DECODE, "page", "decode_kernel<Bf16, 128>"): (1010, 900),
    (PREFILL, "page", "prefill_kernel<Bf16, 128>"): (1070, 1000),
    (QKV, "head", "qkv_finish_chunks<Bf16, 16>"): (90,),
}


class Fault(Exception):
    """A named loop cannot be measured."""


def iterations_inside(named, graph, loop, number):
    """{head of a loop inside: its iterations}, and the units of the kernel's shape of an
    iteration."""
    operations = graph.path(loop, named.wanted, lambda _: 1)
    if operations is None:
        raise Fault("no path leads through the loop")
    if named.iteration is None or number is None:
        return {}, 1
    iterations, units = {}, set()
    for kind, wanted in zip((PRODUCT, COPY), named.iteration(number)):
        inner = [part for part in loop.inner if has(graph, part, kind)]
        paths = [graph.path(part, named.wanted, lambda _: 1) or {} for part in inner]
        inside = sum(each.get(kind, 0) for each in paths)
        outside = operations[kind] - inside
        if inside:
            times, rest = divmod(wanted - outside, inside)
            iterations.update({part.head: times for part in inner})
        else:
            times, rest = divmod(outside, wanted)
            units.add(times)
        if rest or times < 1:
            raise Fault(f"{outside} {kind} and {inside} in inner loops do not make {wanted}")
    if len(units) > 1 or (iterations and units - {1}):
        raise Fault(f"products and copies are of different numbers of pages: {operations}")
    return iterations, units.pop() if units else 1


def measure(named, kernel, instructions):
    """{field: value} of a named loop; raises Fault."""
    graph = cuda_sass.Graph(instructions)
    loop = named.find(graph) if named.find else None
    if named.find and loop is None:
        raise Fault("the kernel has no such loop")
    inside = graph.instructions(loop) if loop else instructions
    values = dict.fromkeys(FIELDS, "")
    values["calls"] = sum(instruction.is_call for instruction in inside)
    if not named.wanted:
        return values
    found = named.kernel.search(kernel)
    number = int(found.group(1)) if named.kernel.groups else None
    iterations, units = iterations_inside(named, graph, loop, number)
    operations = graph.path(loop, named.wanted, lambda part: iterations.get(part.head, 1))
    total = sum(operations.values())
    values["instructions"] = -(-total // (units * named.heads(number)))
    for field, kind in (("per hmma", PRODUCT), ("per ldgsts", COPY)):
        if operations[kind]:
            values[field] = round(total / operations[kind], 2)
    if loop:
        values["awaited"] = len(graph.awaited(loop))
    return values


def folders_of_tools(environment):
    """Where cuobjdump and nvdisasm may be: PATH, the toolkit, Python environments."""
    yield from environment.get("PATH", "").split(os.pathsep)
    for compiler in (environment.get("TRIREME_NVCC"), shutil.which("nvcc")):
        if compiler:
            yield os.path.dirname(os.path.realpath(compiler))
    if root := environment.get("CUDAToolkit_ROOT"):
        yield os.path.join(root, "bin")
    yield from sorted(glob.glob("/usr/local/cuda*/bin"), reverse=True)
    sites = list(sys.path)
    if python := environment.get("TRIREME_PYTHON"):
        command = [python, "-c", "import sys; print(*sys.path, sep='\\n')"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        sites = done.stdout.split("\n") + sites
    if folder := environment.get("VIRTUAL_ENV"):
        sites += glob.glob(os.path.join(folder, "lib/python3*/site-packages"))
    for site in sites:
        if site:
            yield from sorted(glob.glob(os.path.join(glob.escape(site), "nvidia/*/bin")))


def find_tools(environment, places=None):
    """PATH with which cuobjdump finds nvdisasm, or None where one of them is in none of the places
    (folders_of_tools())."""
    places = folders_of_tools(environment) if places is None else places
    path = os.pathsep.join(folder for folder in places if folder)
    found = [shutil.which(tool, path=path) for tool in ("cuobjdump", "nvdisasm")]
    if None in found:
        return None
    return os.pathsep.join([*map(os.path.dirname, found), environment.get("PATH", "")])


def disassemble(tools, object_file, architecture, kernels):
    """{mangled kernel: instructions} of the named kernels of an object."""
    command = ["cuobjdump", "-sass", "-arch", architecture, "-fun", ",".join(kernels), object_file]
    environment = {**os.environ, "PATH": tools}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} {object_file}: {done.stderr.strip()}")
    return cuda_sass.parse(done.stdout)


def read_build(tools, built, architectures):
    """{(source, loop, kernel): {architecture: values, or the words of a Fault}}; `built` is
    cuda_budget.read_build()'s."""
    loops = {}
    for architecture in architectures:
        wanted = {}  # {object file: [(mangled, source, kernel, named loop)]}
        for (source, kernel), counts in built.items():
            for named in LOOPS:
                if (
                    named.source == source
                    and named.kernel.search(kernel)
                    and architecture in counts
                ):
                    entry = (counts[architecture]["mangled"], source, kernel, named)
                    wanted.setdefault(counts[architecture]["object"], []).append(entry)
        for place, entries in sorted(wanted.items()):
            names = sorted({entry[0] for entry in entries})
            code = disassemble(tools, place, architecture, names)
            for mangled, source, kernel, named in entries:
                values = values_of(named, kernel, code.get(mangled, []))
                loops.setdefault((source, named.name, kernel), {})[architecture] = values
    return loops


def values_of(named, kernel, instructions):
    try:
        return measure(named, kernel, instructions)
    except (Fault, ValueError) as fault:
        return str(fault)


def columns_of(architectures, fields):
    return [f"{architecture} {field}" for architecture in architectures for field in fields]


def number_of(text):
    return "" if text == "" else float(text) if "." in text else int(text)


def read_values(path, keys, fields, architectures):
    """(nvcc's release, {values of the columns `keys`: {architecture: values}})"""
    table = {}
    with open(path, encoding="utf-8", newline="") as file:
        release = file.readline().removeprefix("# nvcc").strip()
        for row in csv.DictReader(file):
            table[tuple(row[key] for key in keys)] = {
                architecture: {f: number_of(row[f"{architecture} {f}"]) for f in fields}
                for architecture in architectures
            }
    return release, table


def write_rows(path, release, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(f"# nvcc {release}\n")
        csv.writer(file, lineterminator="\n").writerows(rows)


def read_table(path, architectures):
    return read_values(path, ("source", "loop", "kernel"), FIELDS, architectures)


def write_table(path, release, loops, architectures):
    """Raises SystemExit where a loop could not be measured."""
    for key, values in loops.items():
        for architecture in architectures:
            if not isinstance(values.get(architecture), dict):
                words = values.get(architecture, "is not built")
                raise SystemExit(f"{architecture} {' '.join(key)}: {words}")
    rows = [["source", "loop", *columns_of(architectures, FIELDS), *AIM_COLUMNS, "kernel"]]
    for key, values in sorted(loops.items()):
        numbers = [values[arch][field] for arch in architectures for field in FIELDS]
        aims = (*AIMS.get(key, ()), "", "")[: len(AIM_COLUMNS)]
        rows.append([*key[:2], *numbers, *aims, key[2]])
    write_rows(path, release, rows)


def faults_of(values, budget):
    """The problems of one loop on one architecture, as messages."""
    if not isinstance(values, dict):
        return [values or "is not built"]
    if budget is None:
        return ["has no line in the table (--write makes one)"]
    faults = []
    for field in FIELDS:
        value, most = values[field], budget[field]
        if value != "" and (most == "" or value > most):
            has = most if most != "" else "none"
            faults.append(f"{field} are {value}, the table has {has}")
    return faults


def check(loops, table, architectures):
    """[(architecture, source, loop and kernel, faults)] of all loops in the build or the table."""
    return [
        (
            architecture,
            key[0],
            f"{key[1]} of {key[2]}",
            faults_of(loops.get(key, {}).get(architecture), table.get(key, {}).get(architecture)),
        )
        for architecture in architectures
        for key in sorted(set(loops) | set(table))
    ]


def above_aims(loops, architecture):
    """Lines on the loops that have not reached all their aims."""
    lines = []
    for key, aims in AIMS.items():
        reached = loops.get(key, {}).get(architecture)
        if isinstance(reached, dict) and reached["instructions"] > min(aims):
            words = ", later ".join(str(aim) for aim in aims)
            count = reached["instructions"]
            lines.append(
                f"{architecture} {key[1]} of {key[2]}: {count} instructions, the aim is {words}"
            )
    return lines


if __name__ == "__main__":
    sys.exit(0 if find_tools(os.environ) else 1)
