"""A program under test: its lines are read by a thread, and every wait has a deadline."""

import json
import os
import queue
import signal
import subprocess
import threading
import time

PATIENCE_S = 20.0


class Program:
    """Started in a process group of its own, which ends with the `with` block."""

    def __init__(self, arguments, environment=None):
        self.name = os.path.basename(arguments[0])
        self.lines = []  # all that it has written, stdout and stderr
        self._fresh = queue.Queue()
        self.process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self._fresh.put(self.lines[-1])
        self._fresh.put(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.process.stdin.close()

    def line(self, accepts, patience_s=PATIENCE_S):
        """The next line for which `accepts` gives a true value: that value."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                line = self._fresh.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(
                    f"{self.name} says nothing of the kind in {patience_s} s:\n{self.text()}"
                )
            if line is None:
                self._fresh.put(None)
                raise AssertionError(f"{self.name} has ended:\n{self.text()}")
            found = accepts(line)
            if found:
                return found

    def event(self, name, patience_s=PATIENCE_S):
        """The next line that is a JSON object with this `event`."""

        def accepts(line):
            if not line.startswith("{"):
                return None
            try:
                value = json.loads(line)
            except ValueError:
                return None
            return value if value.get("event") == name else None

        return self.line(accepts, patience_s)

    def write(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def text(self):
        return "\n".join(self.lines[-200:])

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def wait(self, patience_s=PATIENCE_S):
        """The exit status, after its last line was read; -N: by signal N."""
        try:
            status = self.process.wait(patience_s)
            self._reader.join(patience_s)
            return status
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end within {patience_s} s:\n{self.text()}")

    def kill(self):
        try:
            self.signal(signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def cpu_s(self):
        """CPU time of all its threads so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_bytes(self):
        """The largest resident memory so far."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return 0

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))
