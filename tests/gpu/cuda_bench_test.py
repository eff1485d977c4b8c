#!/usr/bin/env python3
"""The CUDA op benchmarks run every op once on an emulated device and print a full line for each;
with --only they build the inputs of these ops alone.

cuda_bench_test.py PROGRAM
"""

import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, "tools")
import cuda_budget  # noqa: E402
from counter_part import KERNELS  # noqa: E402

# Ops of one set of inputs.
GROUPS = (
    {"read"},
    {"linear", "linear_tuned"},
    {"linear_add_norm", "linear_then_add_norm"},
    {"attention_decode"},
    {"attention_prefill"},
    {"add_norm"},
    {"qkv_finish"},
    {"draw_shard"},
)
OPS = set().union(*GROUPS)
# How a matmul is computed; the second line after the timing of both.
ALGORITHMS = {
    "linear": r"^(stream|tile) kernel, .*; cuBLASLt is not loaded$",
    "linear_tuned": r"^cuBLASLt algorithm |; cuBLASLt (is slower|would add a launch)$",
}
POSITIVE = ("us_median", "us_least", "bytes", "floor_us", "share", "rounds", "turns", "sets")


def run(program, *flags):
    """The lines of a run, and the bytes of data that it has built."""
    command = [program, "--tiny", "--rounds", "2", *flags]
    environment = os.environ | {"TRIREME_EMULATION_CUBLASLT": "130100"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"{flags}: status {done.returncode}: {done.stderr}")
    words = done.stderr.split("\n")[0].split(" ")  # "3 cases, 4096 bytes of data"
    return [json.loads(line) for line in done.stdout.splitlines()], int(words[2])


def faults_of_lines(lines):
    faults = [
        f"{line['op']} {line['shape']}: {field} is {line[field]}"
        for line in lines
        for field in POSITIVE
        if not line[field] > 0
    ]
    for line in lines:
        op, algorithm = line["op"], line.get("algorithm", "")
        if op in ALGORITHMS and not re.search(ALGORITHMS[op], algorithm):
            faults.append(f"{op} {line['shape']}: algorithm is {algorithm}")
    faults += [f"no line for {op}" for op in sorted(OPS - {line["op"] for line in lines})]
    faults += [f"a line for {op}, unknown here" for op in {line["op"] for line in lines} - OPS]
    return faults


def faults_of_choice(program, lines, all_bytes):
    """Ops by themselves print their lines only, and together build what all build."""
    faults, sum_bytes = [], 0
    for group in GROUPS:
        for op in group:
            own, built = run(program, "--only", op, "--exact")
            if {line["op"] for line in own} != {op}:
                faults.append(f"--only {op} --exact measures {[line['op'] for line in own]}")
        sum_bytes += built
    if sum_bytes != all_bytes:
        faults.append(f"ops by themselves build {sum_bytes} bytes, together {all_bytes}")
    shape = next(line["shape"] for line in lines if line["op"] == "linear")
    own, _ = run(program, "--only", "linear", "--exact", "--shape", shape)
    if [line["shape"] for line in own] != [shape]:
        faults.append(f"--shape {shape} measures {[line['shape'] for line in own]}")
    return faults


def faults_of_counters(program):
    """Each kernel whose counters are read is in one case of the benchmarks, and exists."""
    done = subprocess.run([program, "--list"], capture_output=True, text=True, timeout=100)
    cases = done.stdout.splitlines()
    names = [kernel for _, kernel in cuda_budget.read_table(cuda_budget.TABLE)[1]]
    faults = []
    for op, shape, kernel in KERNELS:
        found = sum(line.startswith(f"{op}: {shape}") for line in cases)
        if found != 1:
            faults.append(f"{op} {shape} is {found} cases of the benchmarks")
        if not any(re.match(rf"({kernel})(<|$)", name) for name in names):
            faults.append(f"no kernel is called {kernel}")
    return faults


def main(program):
    lines, all_bytes = run(program)
    faults = faults_of_lines(lines) + faults_of_choice(program, lines, all_bytes)
    faults += faults_of_counters(program)
    print("\n".join(f"FAILED: {fault}" for fault in faults) or f"{len(lines)} lines")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
