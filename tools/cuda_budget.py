#!/usr/bin/env python3
"""Checks every CUDA kernel against its budget of registers and shared memory, and the hot loops
against the budget of their machine code, per architecture.

cuda_budget.py BUILD [--table FILE] [--loops FILE] [--write] [--totals FILE]
    BUILD is a folder built with TRIREME_CUDA=ON, with the `ptxas -v` report beside each object
    (cmake/compile_cuda.sh). Failures: a kernel that spills, has a stack frame, takes more registers
    or static shared memory than its line of the table, or has no line; a line without a kernel;
    more than 24 instances of the attention kernels; a loop with a value above its line
    (cuda_loops.py). --write replaces both tables.
    Each kernel, each loop and architecture counts as one test.

The loops are read by cuobjdump and nvdisasm, which are looked for in PATH, the toolkit and Python
environments (packages nvidia-cuda-cuobjdump and nvidia-cuda-nvdisasm; VIRTUAL_ENV and
TRIREME_PYTHON name an environment). Without them the loops count as skipped.

Registers and machine code depend on the nvcc release: with another release than the table's they
are not compared, and the last lines report that.
"""

import argparse
import os
import re
import subprocess
import sys

import cuda_loops

ARCHITECTURES = ("sm_80", "sm_90a")
FIELDS = ("registers", "shared_bytes")
TABLE = "tests/data/cuda_budgets.csv"
MAX_ATTENTION_INSTANCES = 24
ATTENTION_SOURCES = ("attention_decode.cu", "attention_prefill.cu")

COMPILING = re.compile(r"Compiling entry function '(\S+)' for '(\w+)'")
FRAME = re.compile(
    r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
)
USED = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+) bytes smem")


def parse_log(text):
    """{(architecture, mangled kernel): {registers, shared_bytes, stack_bytes, spill_bytes}}"""
    kernels = {}
    current = None
    for line in text.split("\n"):
        if found := COMPILING.search(line):
            current = kernels.setdefault((found.group(2), found.group(1)), {})
        elif current is None:
            continue
        elif found := FRAME.search(line):
            stack, stores, loads = (int(number) for number in found.groups())
            current.update(stack_bytes=stack, spill_bytes=stores + loads)
        elif found := USED.search(line):
            shared = SHARED.search(line)
            current.update(
                registers=int(found.group(1)), shared_bytes=int(shared.group(1)) if shared else 0
            )
            current = None
    return kernels


def readable(mangled):
    """Names as in the source, without namespaces and parameters: `add_norm<Bf16, 4>`."""
    if not mangled:
        return []
    done = subprocess.run(
        ["c++filt"], input="\n".join(mangled), capture_output=True, text=True, check=True
    )
    names = []
    for name in done.stdout.split("\n")[: len(mangled)]:
        name = re.sub(r"\((anonymous namespace|[\w:]+)\)(::)?", "", name)
        name = re.sub(r"\btrireme::(cuda::)?|^void ", "", name)
        names.append(re.sub(r"\(.*$", "", name))
    return names


def read_build(folder):
    """{(source, kernel): {architecture: counts}}; counts also have the mangled name and the object
    file."""
    built = {}
    for place, _, files in sorted(os.walk(folder)):
        for file in sorted(files):
            if not file.endswith(".cu.o.ptxas"):
                continue
            with open(os.path.join(place, file), encoding="utf-8") as log:
                kernels = parse_log(log.read())
            source = file[: -len(".o.ptxas")]
            names = readable([mangled for _, mangled in kernels])
            of_object = os.path.join(place, file[: -len(".ptxas")])
            for name, ((architecture, mangled), counts) in zip(names, kernels.items()):
                per_kernel = built.setdefault((source, name), {})
                if architecture in per_kernel:
                    raise SystemExit(f"{source}: two kernels are called {name}")
                per_kernel[architecture] = {**counts, "mangled": mangled, "object": of_object}
    return built


def nvcc_release():
    command = [os.environ.get("TRIREME_NVCC", "nvcc"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.search(r"release ([\d.]+)", said).group(1)


def read_table(path):
    """(nvcc's release, {(source, kernel): {architecture: counts}})"""
    return cuda_loops.read_values(path, ("source", "kernel"), FIELDS, ARCHITECTURES)


def write_table(path, release, built):
    rows = [["source", *cuda_loops.columns_of(ARCHITECTURES, FIELDS), "kernel"]]
    for (source, kernel), counts in sorted(built.items()):
        numbers = [counts[arch][field] for arch in ARCHITECTURES for field in FIELDS]
        rows.append([source, *numbers, kernel])
    cuda_loops.write_rows(path, release, rows)


def faults_of(counts, budget, compares_registers):
    """The problems of one kernel on one architecture, as messages."""
    if counts is None:
        return ["is not built"]
    faults = []
    if counts.get("spill_bytes", 0):
        faults.append(f"spills {counts['spill_bytes']} bytes")
    if counts.get("stack_bytes", 0):
        faults.append(f"has a stack frame of {counts['stack_bytes']} bytes")
    if budget is None:
        return faults + ["has no line in the table (--write makes one)"]
    for field in FIELDS:
        if field == "registers" and not compares_registers:
            continue
        if counts[field] > budget[field]:
            faults.append(f"takes {counts[field]} {field}, its budget is {budget[field]}")
    return faults


def check(built, table, compares_registers=True):
    """[(architecture, source, kernel, faults)] of all kernels in the build or in the table."""
    lines = []
    for architecture in ARCHITECTURES:
        for key in sorted(set(built) | set(table)):
            counts = built.get(key, {}).get(architecture)
            budget = table.get(key, {}).get(architecture)
            lines.append((architecture, *key, faults_of(counts, budget, compares_registers)))
        instances = sum(
            1
            for (source, _), counts in built.items()
            if source in ATTENTION_SOURCES and architecture in counts
        )
        words = f"{instances} instances, at most {MAX_ATTENTION_INSTANCES} are allowed"
        faults = [words] if instances > MAX_ATTENTION_INSTANCES else []
        lines.append((architecture, "attention", "the table of instances", faults))
    return lines


def check_kernels(options, built, release):
    """Number of kernels that passed and failed; prints each failure."""
    if options.write:
        write_table(options.table, release, built)
    table_release, table = read_table(options.table)
    same_release = table_release == release
    lines = check(built, table, same_release)
    failed = print_failures(lines)
    if not same_release:
        print(f"registers are not compared: the table is of nvcc {table_release}, not {release}")
    return len(lines) - failed, failed, 0


def check_loops(options, built, release):
    """Number of loops that passed, failed and were skipped; prints each failure."""
    tools = cuda_loops.find_tools(os.environ)
    if not options.write or tools is None:
        table_release, table = cuda_loops.read_table(options.loops, ARCHITECTURES)
        why = ""
        if tools is None:
            why = "cuobjdump and nvdisasm are not in PATH, the toolkit or a Python environment"
        elif table_release != release:
            why = f"the table is of nvcc {table_release}, not {release}"
        if why:
            print(f"skipped the loops: {why}")
            return 0, 0, len(table) * len(ARCHITECTURES)
    loops = cuda_loops.read_build(tools, built, ARCHITECTURES)
    if options.write:
        cuda_loops.write_table(options.loops, release, loops, ARCHITECTURES)
        _, table = cuda_loops.read_table(options.loops, ARCHITECTURES)
    lines = cuda_loops.check(loops, table, ARCHITECTURES)
    failed = print_failures(lines)
    for line in cuda_loops.above_aims(loops, ARCHITECTURES[-1]):
        print(line)
    return len(lines) - failed, failed, 0


def print_failures(lines):
    failed = [line for line in lines if line[3]]
    for architecture, source, kernel, faults in failed:
        print(f"FAILED {architecture} {source} {kernel}: {'; '.join(faults)}")
    return len(failed)


def main(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--table", default=TABLE)
    parser.add_argument("--loops", default=cuda_loops.TABLE)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--totals")
    parser.add_argument("build")
    options = parser.parse_args(arguments)
    built = read_build(options.build)
    if not built:
        print(f"FAILED {options.build} holds no kernel: was it built with TRIREME_CUDA=ON?")
        return 1
    release = nvcc_release()
    status = 0
    for name, check in (("cuda budgets", check_kernels), ("cuda loops", check_loops)):
        passed, failed, skipped = check(options, built, release)
        status = 1 if failed else status
        if options.totals:
            with open(options.totals, "a", encoding="utf-8") as file:
                file.write(f"{passed} {failed} {skipped} {name}\n")
        print(f"{name}: {passed} passed, {failed} failed, {skipped} skipped")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
