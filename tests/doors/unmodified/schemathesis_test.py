#!/usr/bin/env python3
"""schemathesis on the /openapi.json that the door serves: no answer is a 500."""

import os
import subprocess
import sys
import tempfile

import client_case  # noqa: F401
from client_case import ClientCase, KEY
from door_main import main

SECONDS = 50
SEED = 20260101
CHECK = '''
import schemathesis

@schemathesis.check
def no_fault_of_ours(ctx, response, case):
    """501, 503 and 504 are in the contract; 529 is the overload of the Messages API."""
    assert response.status_code < 500 or response.status_code in (501, 503, 504, 529), response.text
'''


class SchemathesisTest(ClientCase):
    def test_no_answer_is_a_fault_of_ours(self):
        self.say({"words": 3})
        schema = self.doors.url + "/openapi.json"
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "door_checks.py"), "w", encoding="utf-8") as file:
                file.write(CHECK)
            command = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", schema]
            command += ["--checks", "no_fault_of_ours", "--seed", str(SEED), "--no-color"]
            command += ["-H", f"Authorization: Bearer {KEY}", "--max-time", str(SECONDS)]
            command += ["--request-timeout", "20", "--phases", "examples,coverage,fuzzing"]
            command += ["--exclude-path-regex", "/trireme/v1/(events|stream)"]
            done = subprocess.run(
                command,
                cwd=folder,
                env={**os.environ, "SCHEMATHESIS_HOOKS": "door_checks", "PYTHONPATH": folder},
                capture_output=True,
                text=True,
                timeout=SECONDS * 3,
                check=False,
            )
        print(done.stdout[-3000:])
        self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-2000:])
        self.assertRegex(done.stdout, r"\d+ generated")
        self.assertIsNone(self.doors.gateway.process.poll())


if __name__ == "__main__":
    main()
