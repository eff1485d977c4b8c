"""What run_all.py asks and reads of the machine: its tools, GPUs, clocks, and who uses the GPU."""

import csv
import datetime
import glob
import os
import shutil
import statistics
import subprocess
import time

SAMPLE_MS = 200
FREE_SECONDS = 20  # for the memory of ended processes to be given back
IDENTITY = "name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit,temperature.gpu"
SAMPLED = "timestamp,index,clocks.sm,clocks.mem,power.draw,temperature.gpu,utilization.gpu,"
# The name of the last column depends on the driver.
REASONS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")
REASON_NAMES = {
    0x1: "idle",
    0x2: "application clocks",
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "thermal (software)",
    0x40: "thermal (hardware)",
    0x80: "power brake",
    0x100: "display clocks",
}
TOOL_FOLDERS = (
    "/usr/local/cuda*/bin",
    "/usr/local/cuda*/compute-sanitizer",
    "/usr/local/cuda*/nsight-compute*",
    "/opt/nvidia/nsight-compute/*",
)


def find_tool(name):
    folders = [os.environ.get("PATH", "")]
    for pattern in TOOL_FOLDERS:
        folders += sorted(glob.glob(pattern), reverse=True)
    return shutil.which(name, path=os.pathsep.join(folders))


def ask_driver(shell, query, seconds):
    """The lines of an answer of nvidia-smi; none without it."""
    found = find_tool("nvidia-smi")
    if found is None:
        return []
    command = [found, query, "--format=csv,noheader"]
    return shell.run(command, seconds, bundled=False).text.strip().split("\n")


def query_gpus(shell):
    names = IDENTITY.split(",")
    rows = ask_driver(shell, f"--query-gpu={IDENTITY}", 15)
    return [dict(zip(names, row.split(", "))) for row in rows if ", " in row]


def hold_devices():
    """Opens the device files, so that the driver keeps its state between processes.

    Without a holder the driver sets a GPU up anew for each process: one to three seconds.
    """
    held = []
    for path in sorted(glob.glob("/dev/nvidia[0-9]*")):
        try:
            held.append(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        except OSError:
            continue
    return held


def compute_pids(shell):
    lines = ask_driver(shell, "--query-compute-apps=pid", 10)
    return {int(line) for line in lines if line.strip().isdigit()}


def wait_until_free(shell, others):
    """Waits until no process but `others` uses a GPU. Returns the ids that remain."""
    deadline = time.monotonic() + FREE_SECONDS
    while True:
        left = compute_pids(shell) - others
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.5)


class ClockSamples:
    """Clocks, power and throttle reasons in a file, while it runs."""

    def __init__(self, path):
        self.path, self.process, self.words = path, None, ""

    def start(self):
        found = find_tool("nvidia-smi")
        if found is None:
            self.words = "nvidia-smi was not found"
            return
        for reasons in REASONS:
            command = [found, f"--query-gpu={SAMPLED}{reasons}", "--format=csv,nounits"]
            with open(self.path, "w", encoding="utf-8") as file:
                self.process = subprocess.Popen(
                    [*command, f"--loop-ms={SAMPLE_MS}"],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.DEVNULL,
                )
            try:
                self.process.wait(timeout=1.0)  # an unknown column ends it at once
            except subprocess.TimeoutExpired:
                return
        self.process = None
        self.words = "nvidia-smi does not sample here"

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def rows(self):
        """Samples as (time, SM MHz, memory MHz, W, reasons), of all GPUs."""
        if not os.path.exists(self.path):
            return
        with open(self.path, encoding="utf-8", errors="replace", newline="") as file:
            for row in csv.reader(file, skipinitialspace=True):
                try:
                    at = datetime.datetime.strptime(row[0], "%Y/%m/%d %H:%M:%S.%f").timestamp()
                    yield at, float(row[2]), float(row[3]), float(row[4]), int(row[7], 16)
                except (IndexError, ValueError):
                    continue  # the head, or a line that was cut

    def summary(self, begin, end):
        """Of the samples between two times of time.time()."""
        rows = [row for row in self.rows() if begin <= row[0] <= end]
        if not rows:
            return None
        active = 0
        for row in rows:
            active |= row[4]
        return {
            "samples": len(rows),
            "sm_mhz": [min(row[1] for row in rows), max(row[1] for row in rows)],
            "sm_mhz_median": statistics.median(row[1] for row in rows),
            "memory_mhz": [min(row[2] for row in rows), max(row[2] for row in rows)],
            "watts_max": max(row[3] for row in rows),
            "reasons": [name for bit, name in REASON_NAMES.items() if active & bit],
        }
