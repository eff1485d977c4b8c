"""Reads the files of libkernel_trace.so: steps, nodes, gaps and the overlap of ranks.

A step of a rank begins with the kernel `take`, on the stream of that rank's lane. Windows, in
microseconds of the monotonic clock, come from `bench step`.
"""

import glob
import gzip
import statistics

FIRST_KERNEL = "take"
TOP_KERNELS = 12
MAX_GAP_US = 1000  # a longer gap is a pause between measurements


class Kernel:
    __slots__ = ("start_us", "end_us", "lane", "graph", "name")

    def __init__(self, start_us, end_us, lane, graph, name):
        self.start_us, self.end_us = start_us, end_us
        self.lane, self.graph, self.name = lane, graph, name


def short_name(text):
    """The function of "void trireme::(anonymous namespace)::linear_tile<...>": linear_tile."""
    depth, plain = 0, ""
    for letter in text:
        depth += letter == "<"
        if depth == 0:
            plain += letter
        depth -= letter == ">"
    return plain.split("::")[-1].split(" ")[-1]


def read(files):
    """All kernels of the files (one per process), by start; and how many records were dropped."""
    kernels, dropped = [], 0
    for process, path in enumerate(sorted(files)):
        names = {}
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                fields = line.rstrip("\n").split(",", 2)
                if fields[0] == "name" and len(fields) == 3:
                    names[fields[1]] = short_name(fields[2])
                elif fields[0] == "dropped":
                    dropped += int(fields[1])  # since the line before
                elif fields[0] == "kernel":
                    row = line.rstrip("\n").split(",")
                    if len(row) != 12:
                        continue  # cut by the end of its process
                    lane = (process, row[3], row[4])
                    times = (int(row[1]) / 1000, int(row[2]) / 1000)
                    kernels.append(Kernel(*times, lane, row[5] != "0", names.get(row[11], "?")))
    kernels.sort(key=lambda kernel: kernel.start_us)
    return kernels, dropped


def union_us(kernels):
    """The time in which at least one of the kernels ran. They are in order of start."""
    total, end = 0.0, float("-inf")
    for kernel in kernels:
        total += max(0.0, kernel.end_us - max(kernel.start_us, end))
        end = max(end, kernel.end_us)
    return total


def steps_of(kernels):
    """The kernels of one lane as steps; what comes before the first `take` is none."""
    steps = []
    for kernel in kernels:
        if kernel.name == FIRST_KERNEL:
            steps.append([])
        if steps:
            steps[-1].append(kernel)
    return steps


def gaps_of(step):
    found, end = [], step[0].end_us
    for kernel in step[1:]:
        found.append(max(0.0, kernel.start_us - end))
        end = max(end, kernel.end_us)
    return [gap for gap in found if gap < MAX_GAP_US]


def lanes_of(kernels):
    lanes = {}
    for kernel in kernels:
        lanes.setdefault(kernel.lane, []).append(kernel)
    return {
        lane: mine
        for lane, mine in lanes.items()
        if any(kernel.name == FIRST_KERNEL for kernel in mine)
    }


def top_kernels(steps):
    by_name = {}
    for step in steps:
        for kernel in step:
            by_name.setdefault(kernel.name, []).append(kernel.end_us - kernel.start_us)
    rows = [
        {
            "name": name,
            "per_step": round(len(times) / len(steps), 2),
            "us_mean": round(statistics.fmean(times), 2),
            "us_per_step": round(sum(times) / len(steps), 1),
        }
        for name, times in by_name.items()
    ]
    return sorted(rows, key=lambda row: -row["us_per_step"])[:TOP_KERNELS]


def overlap_of(lanes):
    """The share of the time with any kernel in which kernels of two lanes or more ran."""
    events = []
    for mine in lanes:
        end = float("-inf")
        for kernel in mine:  # the union of the lane's own kernels
            start = max(kernel.start_us, end)
            end = max(end, kernel.end_us)
            if end > start:
                events += [(start, 1), (end, -1)]
    events.sort()
    running, any_us, several_us = 0, 0.0, 0.0
    for (at, change), (after, _) in zip(events, events[1:]):
        running += change
        any_us += (after - at) * (running >= 1)
        several_us += (after - at) * (running >= 2)
    return several_us / any_us if any_us else 0.0


def summarize(kernels, begin_us, end_us):
    """The steps of a window: of its first lane, and the overlap of all its lanes."""
    lanes = lanes_of([k for k in kernels if begin_us <= k.start_us < end_us])
    if not lanes:
        return None
    steps = steps_of(next(iter(lanes.values())))
    starts = [step[0].start_us for step in steps] + [end_us]
    whole = [after - at for at, after in zip(starts, starts[1:])]
    busy = [union_us(step) for step in steps]
    gaps = [gap for step in steps for gap in gaps_of(step)]
    return {
        "steps": len(steps),
        "nodes": statistics.median(len(step) for step in steps),
        "in_graph": round(sum(k.graph for s in steps for k in s) / sum(map(len, steps)), 3),
        "step_us": round(statistics.median(whole), 1),
        "kernels_us": round(statistics.median(busy), 1),
        "step_less_kernels_us": round(
            statistics.median(a - b for a, b in zip(whole, busy)), 1
        ),
        "gap_us_median": round(statistics.median(gaps), 2) if gaps else None,
        "gap_us_p90": round(sorted(gaps)[len(gaps) * 9 // 10], 2) if gaps else None,
        "ranks": len(lanes),
        "overlap_of_ranks": round(overlap_of(lanes.values()), 3),
        "kernels": top_kernels(steps),
    }


def files_of(prefix):
    return sorted(glob.glob(glob.escape(prefix) + ".[0-9]*"))


def pack(files, path, max_bytes):
    """All files in one, compressed to at most `max_bytes`. False: the last lines did not fit."""
    room = max_bytes - (1 << 17)  # of what zlib still holds back
    with open(path, "wb") as target, gzip.open(target, "wt", encoding="utf-8") as packed:
        for name in files:
            packed.write(f"process,{name.rsplit('.', 1)[1]}\n")
            with open(name, encoding="utf-8", errors="replace") as file:
                for line in file:
                    if target.tell() > room:
                        return False
                    packed.write(line)
    return True
