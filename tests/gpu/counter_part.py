"""The part of run_all.py that reads the counters of the hot kernels, by Nsight Compute."""

import csv
import io
import os

import gpu_machine
from figure_parts import MAX_PACKED_BYTES
from shell import FAILED, NOT_REACHED, PASSED, SKIPPED, STUB, Check

SECTIONS = (
    "SpeedOfLight",
    "MemoryWorkloadAnalysis",
    "WarpStateStats",
    "SchedulerStats",
    "Occupancy",
    "LaunchStats",
)
# Op and shape of a case of trireme-cuda-bench, and the kernel that is read in it; by their share
# of a step.
KERNELS = (
    ("attention_decode", "1x1+1023 ", "decode_kernel"),
    ("attention_prefill", "1x8192+0 ", "prefill_kernel"),
    ("linear", "gate_up 1x", "linear_stream"),
    ("linear", "gate_up 8192x", "linear_tile"),
    ("linear", "gate_up 128x", "linear_tile"),
    ("linear_add_norm", "1x4096x14336", "linear_stream"),
    ("attention_decode", "128x1+2047 ", "decode_kernel"),
    ("linear", "qkv 1x", "linear_stream"),
    ("linear", "down 32x", "linear_(stream|tile)"),
    ("qkv_finish", "1x8192+0 ", "qkv_finish_chunks"),
    ("add_norm", "8192x", "norm_rows"),
    ("draw_shard", "128x", "draw_part"),
)
SECONDS_PER_KERNEL = 40
# Nsight Compute's words where a user may not read counters.
NO_RIGHTS = "ERR_NVGPUCTRPERM"


def counter_command(run, ncu, kernel, log_file):
    """The second launch of the kernel: the first may still find cold caches and low clocks.

    The bundle's libraries are for the benchmark only, not for ncu.
    """
    op, shape, name = kernel
    command = [ncu, "--clock-control", "none", "--csv", "--page", "details"]
    for section in SECTIONS:
        command += ["--section", section]
    command += ["--kernel-name", f"regex:{name}", "--launch-skip", "1", "--launch-count", "1"]
    command += ["--target-processes", "all", "--log-file", log_file]
    command += [os.path.join(run.bundle, "with_bundle.sh"), "trireme-cuda-bench", "--rounds", "1"]
    if run.is_dry:
        return [*command, "--tiny", "--only", op]
    return [*command, "--only", op, "--exact", "--shape", shape]


def text_of(path):
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            return file.read()
    except OSError:
        return ""


def rows_of(text):
    """The lines of a CSV of Nsight Compute, the head first; its own messages begin with =."""
    rows = csv.reader(io.StringIO(text, newline=""))
    return [row for row in rows if len(row) > 5 and not row[0].startswith("=")]


def read_counters(run, ncu, index, kernel):
    """(check, rows) of one kernel."""
    name = f"{kernel[0]} {kernel[1].strip()}"
    path = os.path.join(run.scratch, f"ncu{index}.csv")
    command = counter_command(run, ncu, kernel, path)
    outcome = run.shell.run(command, SECONDS_PER_KERNEL, bundled=False)
    log = text_of(path)
    rows = rows_of(log)
    check = outcome.as_check(name)
    if check.state == NOT_REACHED:
        return check, []
    if not rows:
        if NO_RIGHTS in outcome.text + outcome.errors + log:
            return Check(name, SKIPPED, "this user may not read the GPU's counters"), []
        return Check(name, FAILED, f"no counters; {outcome.last_words()}"), []
    if run.is_dry and check.state == PASSED:
        check = Check(name, STUB, "a stub of ncu has run the benchmark and made up a counter")
    return check, rows


def part_counters(run):
    """Speed of light, memory, stalls, schedulers and occupancy of twelve kernels, in ncu.csv."""
    ncu = gpu_machine.find_tool("ncu")
    if ncu is None:
        return [Check("ncu", SKIPPED, "Nsight Compute is not installed")]
    checks, head, size = [], None, 0
    with open(os.path.join(run.out, "ncu.csv"), "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for index, kernel in enumerate(KERNELS):
            check, rows = read_counters(run, ncu, index, kernel)
            checks.append(check)
            if rows and head is None:
                head = rows[0]
                writer.writerow(["case", *head])
            for row in rows[1:]:
                size += sum(len(cell) + 3 for cell in row)
                if size < MAX_PACKED_BYTES:
                    writer.writerow([check.name, *row])
            file.flush()
            if check.state == SKIPPED and not rows:
                break  # the others lack the same rights
    return checks
