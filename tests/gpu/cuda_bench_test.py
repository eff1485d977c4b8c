#!/usr/bin/env python3
"""The CUDA op benchmarks run every op once on an emulated device and print a full line for each.

cuda_bench_test.py PROGRAM
"""

import json
import os
import re
import subprocess
import sys

OPS = {
    "read",
    "linear",
    "linear_tuned",
    "linear_add_norm",
    "linear_then_add_norm",
    "attention_decode",
    "attention_prefill",
    "add_norm",
    "qkv_finish",
    "draw_shard",
}
# How a matmul is computed; the second line after the timing of both.
KERNELS = {
    "linear": r"^(stream|tile) kernel, .*; cuBLASLt is not loaded$",
    "linear_tuned": r"^cuBLASLt algorithm |; cuBLASLt (is slower|would add a launch)$",
}
POSITIVE = ("us_median", "us_least", "bytes", "floor_us", "share", "rounds", "turns", "sets")


def main(program):
    command = [program, "--tiny", "--rounds", "2"]
    environment = os.environ | {"TRIREME_EMULATION_CUBLASLT": "130100"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    if done.returncode != 0:
        print(f"FAILED: status {done.returncode}: {done.stderr}")
        return 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    faults = [
        f"{line['op']} {line['shape']}: {field} is {line[field]}"
        for line in lines
        for field in POSITIVE
        if not line[field] > 0
    ]
    for line in lines:
        if line["op"] in KERNELS and not re.search(KERNELS[line["op"]], line.get("algorithm", "")):
            faults.append(f"{line['op']} {line['shape']}: algorithm is {line.get('algorithm')}")
    faults += [f"no line for {op}" for op in sorted(OPS - {line["op"] for line in lines})]
    faults += [f"a line for {op}, unknown here" for op in {line["op"] for line in lines} - OPS]
    print("\n".join(f"FAILED: {fault}" for fault in faults) or f"{len(lines)} lines")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
