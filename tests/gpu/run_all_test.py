#!/usr/bin/env python3
"""run_all.py on a bundle of fake programs: limits hold, nothing is left behind, and no failure
ends the run."""

import io
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from contextlib import redirect_stdout

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import check_parts  # noqa: E402
import gpu_machine  # noqa: E402
import run_all  # noqa: E402
import shell  # noqa: E402

WITH_BUNDLE = '#!/bin/sh\ncd "$(dirname "$0")" && PATH="$PWD/bin:$PATH" exec "$@"\n'
# The probe asks `trireme doctor` as well: line of a fake trireme that answers it at once.
UNLESS_BENCH = "case \"$*\" in *bench*) ;; *) exit 0 ;; esac"
BENCH_LINE = {"kind": "decode", "batch": 32, "tokens": 64, "seconds_median": 0.02}


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class RunAllTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.bundle = folder.name
        self.out = os.path.join(folder.name, "results")
        self.put("revision", "abc\n")
        self.put("with_bundle.sh", WITH_BUNDLE)
        self.put("bin/trireme-cuda-bench", "#!/bin/sh\nexit 0\n")
        self.put("bin/trireme", "#!/bin/sh\nexit 0\n")
        for limits in (run_all.TESTS, run_all.PROFILE):
            self.addCleanup(limits.update, dict(limits))
        self.path = os.environ["PATH"]
        self.addCleanup(os.environ.update, {"PATH": self.path})

    def put(self, name, text):
        path = os.path.join(self.bundle, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)

    def set_limits(self, seconds):
        for name in ("probe", "serve"):
            run_all.TESTS[name] = run_all.PROFILE[name] = seconds

    def put_tool(self, name, text):
        """A tool of the machine, found first."""
        self.put(f"tools/{name}", text)
        os.environ["PATH"] = os.path.join(self.bundle, "tools") + ":" + self.path

    def run_parts(self, parts):
        output = io.StringIO()
        with redirect_stdout(output):
            status = run_all.main(["--bundle", self.bundle, "--out", self.out, "--only", parts])
        self.output = output.getvalue()
        return status

    def results(self):
        with open(os.path.join(self.out, "results.json"), encoding="utf-8") as file:
            return json.load(file)

    def states(self):
        return {part["part"]: part["state"] for part in self.results()["parts"]}

    def checks(self, name):
        return next(part["checks"] for part in self.results()["parts"] if part["part"] == name)


class Parts(RunAllTest):
    def test_without_a_device_nothing_runs_and_a_message_says_so(self):
        self.put("bin/trireme-cuda-bench", "#!/bin/sh\nexit 77\n")
        self.assertEqual(self.run_parts("ops"), 77)
        self.assertIn("no CUDA device is here", self.output)
        self.assertFalse(os.path.exists(os.path.join(self.out, "results.json")))

    def test_a_failed_part_is_reported_and_the_next_runs(self):
        self.put("tests/a_test", "#!/bin/sh\necho wrong sum; exit 1\n")
        self.put("tests/b_test", "#!/bin/sh\nexit 77\n")
        self.put("tests/c_test", "#!/bin/sh\nexit 0\n")
        self.assertEqual(self.run_parts("ops,serve"), 1)
        self.assertEqual(self.states(), {"probe": "passed", "ops": "failed", "serve": "passed"})
        checks = self.checks("ops")
        self.assertEqual([check["state"] for check in checks], ["failed", "skipped", "passed"])
        self.assertEqual(checks[0]["words"], "status 1: wrong sum")

    def test_an_exception_fails_only_its_part(self):
        self.put("bin/trireme", "#!/bin/sh\necho '{\"kind\": \"decode\"}'\n")
        self.assertEqual(self.run_parts("step,verify"), 1)
        self.assertIn("KeyError", self.checks("step")[0]["words"])

    def test_every_budget_is_in_order_and_fits(self):
        for budget in (run_all.PROFILE, run_all.TESTS):
            self.assertLessEqual(set(budget), set(run_all.PARTS))
            self.assertLessEqual(sum(budget.values()), 530)
        self.assertEqual(set(run_all.PROFILE) | set(run_all.TESTS), set(run_all.PARTS))
        worth = ["probe", "read", "ops_short", "benches", "step", "timeline", "counters", "torch"]
        self.assertEqual(list(run_all.PROFILE)[:9], [*worth, "verify"])

    def test_the_chosen_cases_are_tests(self):
        folder = os.path.join(os.path.dirname(__file__), "../kernels")
        chosen = [*check_parts.DRY_OPS, *(row[1:] for row in check_parts.SANITIZED)]
        for op, case in chosen:
            with open(os.path.join(folder, f"{op}_test.cc"), encoding="utf-8") as file:
                self.assertIn(f", {case})", file.read(), op)
        for op in check_parts.SHORT_OPS:
            self.assertTrue(os.path.exists(os.path.join(folder, f"{op}_test.cc")), op)

    def test_the_page_has_the_limits_of_every_part(self):
        page = os.path.join(os.path.dirname(__file__), "../../docs/gpu.md")
        found = {"--profile": {}, "tests": {}}
        with open(page, encoding="utf-8") as file:
            rows = [line.strip("|\n").split("|") for line in file if line.startswith("| ")]
        for row in rows:
            names = [name for name in row[0].strip().split(", ") if name in run_all.PARTS]
            for name in names:
                for call, seconds in zip(found, row[1:3]):
                    if seconds.strip() and (len(names) == 1 or name == names[call == "tests"]):
                        found[call][name] = int(seconds)
        self.assertEqual(found, {"--profile": run_all.PROFILE, "tests": run_all.TESTS})

    def test_a_figure_is_printed_with_its_floor(self):
        line = {**BENCH_LINE, "context": 2048}
        self.put("bin/trireme", f"#!/bin/sh\necho '{json.dumps(line)}'\n")
        self.assertEqual(self.run_parts("step"), 0)
        figure = self.results()["figures"]["step"][0]
        floor = 2 * (15.0e9 + 32 * 2048 * 131072) / 4.3e12
        self.assertAlmostEqual(figure["floor_seconds"], floor)
        self.assertAlmostEqual(figure["share"], floor / 0.02)

    def test_invariance_is_of_tokens_not_of_times(self):
        line = '{"id": "1", "text": "a%s", "total_ms": %d}\\n'
        self.put("bin/trireme", f"#!/bin/sh\nprintf '{line}' '' $$\n")
        self.assertEqual(self.run_parts("invariant"), 0)
        self.put("bin/trireme", f"#!/bin/sh\nprintf '{line}' $$ $$\n")
        self.assertEqual(self.run_parts("invariant"), 1)

    def test_one_golden_goes_through_every_partition_before_the_others(self):
        for model in ("a", "llama-gqa"):
            self.put(f"tests/data/golden/models/{model}/expected.safetensors", "")
        self.assertEqual(self.run_parts("verify"), 0)
        names = [check["name"] for check in self.checks("verify")]
        partitions = ("1x1", "2x1", "1x2", "2x2")
        self.assertEqual(names, [f"{m} {p}" for m in ("llama-gqa", "a") for p in partitions])


class Limits(RunAllTest):
    def test_a_part_out_of_time_is_not_reached_and_not_failed(self):
        self.put("bin/trireme", f"#!/bin/sh\n{UNLESS_BENCH}\nsleep 1000 & wait\n")
        self.set_limits(2.5)
        begin = time.monotonic()
        self.assertEqual(self.run_parts("serve"), 0)
        self.assertLess(time.monotonic() - begin, 20)
        self.assertEqual(self.states()["serve"], "not reached")
        self.assertEqual(self.checks("serve")[0]["words"], "not reached: out of time")
        self.assertIn("1 not reached", self.output)

    def test_a_command_that_hangs_within_its_part_has_failed(self):
        with open(os.path.join(self.bundle, "log"), "w", encoding="utf-8") as log:
            own = shell.Shell(self.bundle, log, 100)
            check = own.check("hang", ["sleep", "1000"], 0.5)
        self.assertEqual((check.state, check.words), ("failed", "not done within 0.5 s"))

    def test_a_hang_at_the_first_use_of_the_gpu_has_failed(self):
        self.put("bin/trireme-cuda-bench", "#!/bin/sh\nexec sleep 1000\n")
        self.assertEqual(self.run_parts("probe"), 1)
        self.assertEqual(self.states()["probe"], "failed")

    def test_nothing_of_a_command_survives_it_even_in_another_session(self):
        path = os.path.join(self.bundle, "pid")
        orphan = f"setsid sh -c 'echo $$ >{path}; exec sleep 1000' &"
        wait = f"until [ -s {path} ]; do :; done"
        for end, state in (("wait", "not reached"), ("exit 0", "passed")):
            self.put("bin/trireme", f"#!/bin/sh\n{UNLESS_BENCH}\n{orphan}\n{wait}\n{end}\n")
            self.set_limits(2.5)
            self.assertEqual(self.run_parts("serve"), 0)
            with open(path, encoding="utf-8") as file:
                pid = int(file.read())
            self.assertFalse(is_running(pid), end)
            self.assertEqual(self.states()["serve"], state)
            os.remove(path)

    def test_a_run_that_is_ended_ends_its_command(self):
        path = os.path.join(self.bundle, "pid")
        self.put("bin/trireme", f"#!/bin/sh\n{UNLESS_BENCH}\necho $$ >{path}; exec sleep 1000\n")
        command = [sys.executable, run_all.__file__, "--bundle", self.bundle, "--out", self.out]
        with subprocess.Popen([*command, "--only", "serve"], stdout=subprocess.DEVNULL) as process:
            while not (os.path.exists(path) and os.path.getsize(path)):
                self.assertIsNone(process.poll())
            process.terminate()
            process.wait(timeout=30)
        with open(path, encoding="utf-8") as file:
            self.assertFalse(is_running(int(file.read())))

    def test_a_part_ends_only_when_its_memory_is_free(self):
        """nvidia-smi shows a process twice after the part, then none."""
        count = os.path.join(self.bundle, "count")
        self.put_tool(
            "nvidia-smi",
            f"""#!/bin/sh
case "$*" in
  *compute-apps*) [ -e {self.bundle}/ran ] || exit 0
    echo x >>{count}; [ $(wc -l <{count}) -gt 2 ] || echo 4242 ;;
esac
""",
        )
        self.put("bin/trireme", f"#!/bin/sh\n{UNLESS_BENCH}\n: >{self.bundle}/ran\n")
        self.assertEqual(self.run_parts("serve"), 0)
        with open(count, encoding="utf-8") as file:
            self.assertEqual(len(file.readlines()), 3)

    def test_a_stranger_on_the_gpu_is_named_and_not_ended(self):
        self.addCleanup(setattr, gpu_machine, "FREE_SECONDS", gpu_machine.FREE_SECONDS)
        gpu_machine.FREE_SECONDS = 0.1
        self.put_tool(
            "nvidia-smi",
            f"#!/bin/sh\ncase \"$*\" in *compute-apps*) echo {os.getpid()} ;; esac\n",
        )
        self.assertEqual(self.run_parts("serve"), 1)
        self.assertEqual(self.checks("probe")[-1]["name"], "the GPU is free")
        self.assertEqual(len(self.checks("serve")), 1, "a process that was there before is none")


class Files(RunAllTest):
    def test_a_file_that_would_not_come_back_is_a_failure(self):
        self.assertEqual(self.run_parts("serve"), 0)
        for name, words in (("core", "core is not one"), ("torch.json", "at most 16777216")):
            path = os.path.join(self.out, name)
            with open(path, "wb") as file:
                file.truncate((16 << 20) + 1)
            self.assertEqual(self.run_parts("serve"), 1)
            self.assertIn(words, self.output)
            os.remove(path)

    def test_clocks_are_sampled_and_told_by_part(self):
        row = "0, 1755, 3201, 400.5, 50, 100, 0x0000000000000024"
        self.put_tool(
            "nvidia-smi",
            f"""#!/bin/bash
case "$*" in
  *clocks_event_reasons*) exit 2 ;;
  *--loop-ms=200*) while :; do
      echo "$(date '+%Y/%m/%d %H:%M:%S.%3N'), {row}"; sleep 0.05; done ;;
esac
""",
        )
        self.put("bin/trireme", f"#!/bin/sh\n{UNLESS_BENCH}\nsleep 0.5\n")
        self.assertEqual(self.run_parts("serve"), 0)
        clocks = self.results()["parts"][1]["clocks"]
        self.assertGreater(clocks["samples"], 1)
        self.assertEqual(clocks["sm_mhz"], [1755, 1755])
        self.assertEqual(clocks["reasons"], ["power cap", "thermal (software)"])


if __name__ == "__main__":
    unittest.main(verbosity=1)
