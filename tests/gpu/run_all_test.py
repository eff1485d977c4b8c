#!/usr/bin/env python3
"""run_all.py on a bundle of fake programs: limits hold, and no failure ends the run."""

import io
import json
import os
import sys
import tempfile
import time
import unittest
from contextlib import redirect_stdout

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run_all  # noqa: E402

WITH_BUNDLE = '#!/bin/sh\ncd "$(dirname "$0")" && PATH="$PWD/bin:$PATH" exec "$@"\n'


class RunAll(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.bundle = folder.name
        self.out = os.path.join(folder.name, "results")
        self.put("revision", "abc\n")
        self.put("with_bundle.sh", WITH_BUNDLE)
        self.put("bin/trireme-cuda-bench", "#!/bin/sh\nexit 0\n")
        self.put("bin/trireme", "#!/bin/sh\nexit 0\n")
        self.limits = dict(run_all.LIMITS)
        self.addCleanup(lambda: run_all.LIMITS.update(self.limits))

    def put(self, name, text):
        path = os.path.join(self.bundle, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)

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
        self.assertEqual(self.states(), {"ops": "failed", "serve": "passed"})
        checks = self.results()["parts"][0]["checks"]
        self.assertEqual([check["state"] for check in checks], ["failed", "skipped", "passed"])
        self.assertEqual(checks[0]["words"], "status 1: wrong sum")

    def test_a_part_over_its_limit_is_killed_with_its_children(self):
        self.put("bin/trireme", "#!/bin/sh\nsleep 1000 & wait\n")
        run_all.LIMITS["serve"] = 0.5
        begin = time.monotonic()
        self.assertEqual(self.run_parts("serve"), 1)
        self.assertLess(time.monotonic() - begin, 20)
        self.assertEqual(self.results()["parts"][0]["checks"][0]["words"], "it timed out")

    def test_an_exception_fails_only_its_part(self):
        self.put("bin/trireme", "#!/bin/sh\necho '{\"kind\": \"decode\"}'\n")
        self.assertEqual(self.run_parts("step,verify"), 1)
        self.assertIn("KeyError", self.results()["parts"][0]["checks"][0]["words"])

    def test_every_part_has_a_limit_and_together_they_fit(self):
        self.assertEqual(set(run_all.LIMITS), set(run_all.PARTS))
        self.assertLessEqual(run_all.TOTAL_SECONDS, 9 * 60)

    def test_a_figure_is_printed_with_its_floor(self):
        line = {"kind": "decode", "batch": 32, "tokens": 64, "seconds_median": 0.02}
        line["context"] = 2048
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


if __name__ == "__main__":
    unittest.main(verbosity=1)
