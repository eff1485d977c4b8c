"""A cluster of the demo model under `trireme up`, as the scripts beside this file measure it."""

import json
import os
import signal
import subprocess
import tempfile

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TRIREME = os.environ.get("TRIREME", os.path.join(SOURCE, "build", "bin", "trireme"))


class RunningCluster:
    """Ready when made; ends with the block."""

    def __init__(self, *flags, environment=None):
        self.state = tempfile.TemporaryDirectory(prefix="trireme-bench-")
        command = [TRIREME, "up", "--model", os.path.join(SOURCE, "models", "demo"), "--json"]
        command += ["--port", "0", "--state", self.state.name, "--no-http", *flags]
        variables = {**os.environ, **(environment or {})}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=variables, text=True
        )
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "ready":
                self.endpoint = event["endpoint"]
                return
        raise RuntimeError("the cluster did not start")

    def bench(self, *flags):
        """The figures of one point of `bench serve`; requests may have failed."""
        command = [TRIREME, "bench", "serve", "--endpoint", self.endpoint, "--json", *flags]
        result = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, text=True
        )
        if not result.stdout:
            raise RuntimeError(result.stderr)
        return json.loads(result.stdout.splitlines()[-1])

    def coordinator(self):
        """The process id of its coordinator."""
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(children, encoding="ascii") as file:
            for child in file.read().split():
                with open(f"/proc/{child}/comm", encoding="ascii") as comm:
                    if comm.read().startswith("trireme-coordin"):
                        return int(child)
        raise RuntimeError("the cluster has no coordinator")

    def coordinator_cpu_s(self):
        """Processor time that its coordinator has used."""
        with open(f"/proc/{self.coordinator()}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)
        self.state.cleanup()


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return f"{os.cpu_count()} cores of {line.split(':', 1)[1].strip()}"
    return f"{os.cpu_count()} cores"
