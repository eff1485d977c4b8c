#!/usr/bin/env python3
"""llama-benchy, unmodified: it finishes without a failure and counts tokens as the server does."""

import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading

import client_case  # noqa: F401
from client_case import KEY, ClientCase
from door_fixture import DEMO
from door_main import main

PROMPT_TOKENS = 64
ANSWER_TOKENS = 48
RUNS = 3
BOOK = ("The galley has three banks of oars, and the helmsman sings to the rowers. " * 400).encode()


class Shelf(http.server.BaseHTTPRequestHandler):
    """Serves the text that prompts are cut from; the benchmark would fetch a novel."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(BOOK)))
        self.end_headers()
        self.wfile.write(BOOK)

    def log_message(self, *_):
        pass


class BenchmarkTest(ClientCase):
    def test_it_finishes_and_counts_as_the_server_does(self):
        self.say({"words": ANSWER_TOKENS, "loop": True, "step_us": 2000})
        shelf = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
        threading.Thread(target=shelf.serve_forever, daemon=True).start()
        self.addCleanup(shelf.shutdown)
        with tempfile.TemporaryDirectory() as folder:
            result = os.path.join(folder, "result.json")
            command = [os.path.join(os.path.dirname(sys.executable), "llama-benchy")]
            command += ["--base-url", self.doors.url + "/v1", "--api-key", KEY, "--model", "demo"]
            command += ["--tokenizer", DEMO, "--pp", str(PROMPT_TOKENS), "--tg", str(ANSWER_TOKENS)]
            command += ["--exact-tg", "--runs", str(RUNS), "--no-cache", "--skip-coherence"]
            command += ["--concurrency", "2", "--exit-on-first-fail", "--format", "json"]
            command += ["--book-url", f"http://127.0.0.1:{shelf.server_port}/book.txt"]
            progress = os.path.join(folder, "progress.jsonl")
            command += ["--save-result", result, "--emit-progress", progress]
            environment = {**os.environ, "HOME": folder, "HF_HUB_OFFLINE": "1"}
            before = self.doors.status()
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=150,
                check=False,
            )
            print(done.stdout[-3000:], done.stderr[-3000:])
            self.assertEqual(done.returncode, 0)
            self.assertNotIn("No complete token_ids", done.stdout + done.stderr)
            with open(progress, encoding="utf-8") as file:
                events = [json.loads(line) for line in file]
        self.check(events, before, self.doors.status())

    def check(self, events, before, after):
        """Its count of every answer is exact, and none is more than the server said."""
        print(events[:3], events[-3:])
        counted = [event["total_tokens"] for event in events if "total_tokens" in event]
        self.assertGreaterEqual(len(counted), RUNS * 2)
        self.assertEqual(set(counted), {ANSWER_TOKENS})
        self.assertFalse([event for event in events if event.get("estimated")])
        said = after["output_tokens"] - before["output_tokens"]
        self.assertGreaterEqual(said, sum(counted))


if __name__ == "__main__":
    main()
