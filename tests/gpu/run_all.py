#!/usr/bin/env python3
"""The parts of tests/gpu/run_all.sh: each has a time limit, and its failure is reported, not fatal.

run_all.py --bundle BUNDLE --out FOLDER [--profile] [--dry-run] [--only PART,...]
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time

import gpu_machine
from check_parts import (
    part_invariant,
    part_nccl,
    part_ops,
    part_ops_short,
    part_sanitizer,
    part_serve,
    part_verify,
)
from counter_part import part_counters
from figure_parts import (
    part_benches,
    part_probe,
    part_read,
    part_step,
    part_timeline,
    part_torch,
)
from shell import (
    FAILED,
    NO_DEVICE,
    NOT_REACHED,
    PASSED,
    SKIPPED,
    STATES,
    STUB,
    Check,
    Shell,
)

TOTAL_SECONDS = 530  # under 9 minutes
MAX_FILES = 8  # of a call; a remote GPU machine may give back no more
MAX_FILE_BYTES = 16 << 20

PARTS = {
    "probe": part_probe,
    "read": part_read,
    "ops_short": part_ops_short,
    "ops": part_ops,
    "benches": part_benches,
    "step": part_step,
    "timeline": part_timeline,
    "counters": part_counters,
    "torch": part_torch,
    "verify": part_verify,
    "invariant": part_invariant,
    "sanitizer": part_sanitizer,
    "serve": part_serve,
    "nccl": part_nccl,
}
# Maximum seconds per part, in the order of their worth: what a first call must bring home comes
# first. The sum is at most TOTAL_SECONDS.
PROFILE = {
    "probe": 20,
    "read": 10,
    "ops_short": 45,
    "benches": 60,
    "step": 60,
    "timeline": 75,
    "counters": 95,
    "torch": 40,
    "verify": 70,
    "invariant": 20,
    "serve": 15,
    "sanitizer": 20,
}
TESTS = {
    "probe": 20,
    "ops": 130,
    "verify": 180,
    "nccl": 40,
    "invariant": 40,
    "serve": 50,
    "sanitizer": 70,
}
# The files that a run may leave in its folder.
FILES = {
    "results.json",
    "run_all.log",
    "clocks.csv",
    "kernels_step.csv.gz",
    "kernels_tp2.csv.gz",
    "ncu.csv",
    "torch.json",
}


class Run:
    """The state and the results of one run."""

    def __init__(self, options, log, scratch):
        self.bundle, self.out = os.path.abspath(options.bundle), os.path.abspath(options.out)
        self.scratch = scratch  # files that do not come back
        self.is_dry = options.dry_run
        self.shell = Shell(self.bundle, log, TOTAL_SECONDS)
        self.clocks = gpu_machine.ClockSamples(os.path.join(self.out, "clocks.csv"))
        self.others = set()  # processes of other users of the GPU
        self.figures = {}
        self.parts = []
        self.machine = {}
        self.num_gpus = 1
        self.has_device = True

    def look_at_machine(self):
        gpus = gpu_machine.query_gpus(self.shell)
        with open(os.path.join(self.bundle, "revision"), encoding="utf-8") as file:
            revision = file.read().strip()
        self.num_gpus = max(1, len(gpus))
        self.machine = {
            "gpus": gpus,
            "cores": os.cpu_count(),
            "libraries": os.environ.get("TRIREME_FOUND", "").split("\n"),
            "revision": revision,
            "command": " ".join(sys.argv),
            "dry_run": self.is_dry,
        }

    def start_sampling(self):
        self.others = gpu_machine.compute_pids(self.shell)
        self.clocks.start()
        if self.clocks.process is not None:
            self.shell.spared.add(self.clocks.process.pid)
        else:
            print(f"clocks are not sampled: {self.clocks.words}", flush=True)

    def run_part(self, name, limit, slot_end):
        begin, begin_time = time.monotonic(), time.time()
        self.part_seconds = limit
        self.shell.begin_part(limit, slot_end)
        try:
            checks = PARTS[name](self)
        except Exception as error:  # an exception fails this part only
            checks = [Check(name, FAILED, f"{type(error).__name__}: {error}")]
        self.shell.end_part()
        left = gpu_machine.wait_until_free(self.shell, self.others)
        if left:
            words = f"processes {sorted(left)} still use the GPU, and are none of this run's"
            checks.append(Check("the GPU is free", FAILED, words))
        state = state_of([check.state for check in checks])
        self.parts.append(
            {
                "part": name,
                "state": state,
                "seconds": round(time.monotonic() - begin, 1),
                "limit": limit,
                "clocks": self.clocks.summary(begin_time, time.time()),
                "checks": [check.as_json() for check in checks],
            }
        )
        seconds = self.parts[-1]["seconds"]
        print(f"{name}: {state}, {len(checks)} checks, {seconds:.0f} of {limit} s", flush=True)
        for check in checks:
            if check.state != PASSED:
                print(f"  {check.state} {check.name}: {check.words}", flush=True)
        if self.has_device:
            self.write()

    # Called after every part, so that an interrupted run leaves its results so far.
    def write(self):
        results = {"machine": self.machine, "parts": self.parts, "figures": self.figures}
        self.write_json("results.json", results)

    def write_json(self, name, value):
        path = os.path.join(self.out, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
        os.replace(path + ".new", path)


def state_of(states):
    """The worst of a part's checks; a skip counts only if there is nothing else."""
    order = (FAILED, NOT_REACHED, STUB, PASSED, SKIPPED)
    return min(states, key=order.index, default=SKIPPED)


def print_figures(figures):
    for line in figures.get("ops", []):
        words = f"{line['op']:<18} {line['shape']:<34} {line['us_median']:>10.1f} us"
        print(f"{words}  floor {line['floor_us']:>9.1f}  {100 * line['share']:>5.1f}%")
    for line in figures.get("torch", []):
        print(f"torch {line['op']:<12} {line['shape']:<34} {line['us_median']:>10.1f} us")
    for line in figures.get("step", []):
        words = f"{line['kind']} batch {line['batch']}: {1000 * line['seconds_median']:.1f} ms"
        if "share" in line:
            words += f"  floor {1000 * line['floor_seconds']:.1f} ms  {100 * line['share']:.1f}%"
        print(words)
    for name in ("kernels_step", "kernels_tp2"):
        for line in figures.get(name, {}).get("windows", []):
            if line["steps"]:
                words = f"{name} {line['kind']} batch {line['batch']}: {line['nodes']:.0f} nodes,"
                words += f" {line['step_us']:.0f} us a step, {line['step_less_kernels_us']:.0f} us"
                words += f" without a kernel, {100 * line['overlap_of_ranks']:.0f}% overlap"
                print(words)


def print_budget(budget):
    words = ", ".join(f"{name} {seconds}" for name, seconds in budget.items())
    print(f"budget: {words} = {sum(budget.values())} of {TOTAL_SECONDS} s", flush=True)


def faults_of_files(out):
    """What a remote GPU machine may not give back."""
    names = sorted(os.listdir(out))
    faults = [f"{name} is not one of the files of a run" for name in names if name not in FILES]
    if len(names) > MAX_FILES:
        faults.append(f"{len(names)} files, at most {MAX_FILES}")
    for name in names:
        size = os.path.getsize(os.path.join(out, name))
        if size > MAX_FILE_BYTES:
            faults.append(f"{name} has {size} bytes, at most {MAX_FILE_BYTES}")
    return faults


def run_parts(run, budget):
    held = gpu_machine.hold_devices()
    slot_end = time.monotonic()
    try:
        for name, limit in budget.items():
            slot_end += limit
            run.run_part(name, limit, slot_end)
            if not run.has_device:
                return
            if name == "probe":
                run.start_sampling()
    finally:
        run.clocks.stop()
        for device in held:
            os.close(device)


def finish(run, budget, expected):
    """Prints figures, counts and what is wrong with the files. The exit status."""
    print_figures(run.figures)
    states = [part["state"] for part in run.parts]
    faults = faults_of_files(run.out)
    faults += [f"{name} was not written" for name in sorted(expected - set(os.listdir(run.out)))]
    if sum(budget.values()) > TOTAL_SECONDS:
        faults.append(f"the budget is over {TOTAL_SECONDS} s")
    for fault in faults:
        print(f"FAILED: {fault}")
    print(", ".join(f"{states.count(state)} {state}" for state in STATES))
    return 1 if FAILED in states or faults else 0


def main(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--profile", action="store_true", help="measure, and test in short")
    parser.add_argument("--dry-run", action="store_true", help="on an emulated device")
    parser.add_argument("--only", default="", help="parts, with commas: " + ",".join(PARTS))
    options = parser.parse_args(arguments)
    budget = dict(PROFILE if options.profile else TESTS)
    if options.only:
        limits = {**TESTS, **PROFILE}
        budget = {name: limits[name] for name in ("probe", *options.only.split(","))}
    print_budget(budget)
    os.makedirs(options.out, exist_ok=True)
    log_path = os.path.join(options.out, "run_all.log")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends what it has started
    with open(log_path, "w", encoding="utf-8") as log, tempfile.TemporaryDirectory() as scratch:
        run = Run(options, log, scratch)
        run_parts(run, budget)
        if not run.has_device:
            print("skipped: no CUDA device is here; nothing was tested or measured")
            return NO_DEVICE
        whole = options.dry_run and options.profile and not options.only
        return finish(run, budget, FILES if whole else set())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
