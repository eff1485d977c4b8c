#!/usr/bin/env python3
"""Every example of docs/http.md and docs/chat.md does what the page says, on the demo model with a
scripted rank. Python examples need the clients that they import, else they are skipped by name."""

import importlib.util
import json
import os
import re
import subprocess
import sys

from door_case import DoorCase
from door_fixture import SOURCE, bin_path, build_folder
from door_main import main

PAGE_URL = re.compile(r"https?://(127\.0\.0\.1|localhost):8000")
CURL = 'curl() { command curl -sS --fail-with-body --max-time 20 "$@"; }\n'
REFUSED = 22  # exit status of curl for a status of 400 and more


def blocks_of(page):
    """[(language, line, text)] of the fenced blocks of a page."""
    with open(os.path.join(SOURCE, "docs", page), encoding="utf-8") as file:
        text = file.read()
    found = []
    for block in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        found.append((block.group(1), text.count("\n", 0, block.start()) + 1, block.group(2)))
    return found


def section(page, heading):
    """The text under a heading, up to the next one."""
    with open(os.path.join(SOURCE, "docs", page), encoding="utf-8") as file:
        text = file.read()
    found = re.search(rf"^#+ {heading}\n(.*?)(?=^#+ |\Z)", text, re.M | re.S)
    assert found, f"docs/{page} has no section {heading}"
    return found.group(1)


class DocsTest(DoorCase):
    def run_here(self, command, text, status=0):
        environment = {
            **os.environ,
            "PATH": os.path.join(build_folder(), "bin") + ":" + os.environ["PATH"],
        }
        done = subprocess.run(
            command,
            input=PAGE_URL.sub(self.doors.url, text),
            capture_output=True,
            text=True,
            timeout=60,
            cwd=SOURCE,
            env=environment,
            check=False,
        )
        self.assertEqual(done.returncode, status, text + done.stdout + done.stderr)
        return done.stdout

    def test_each_call_of_curl_is_answered(self):
        examples = [b for b in blocks_of("http.md") if b[0] == "sh" and "curl" in b[2]]
        self.assertTrue(examples)
        for _, line, text in examples:
            with self.subTest(line=line):
                status = REFUSED if text in section("http.md", "Errors") else 0
                said = self.run_here(["bash", "-e"], f"BASE={self.doors.url}\n{CURL}{text}", status)
                self.assertNotEqual(said, "")

    def test_each_python_example_runs(self):
        missing = set()
        for language, line, text in blocks_of("http.md"):
            if language != "python":
                continue
            modules = re.findall(r"^(?:from|import) (\w+)", text, re.M)
            absent = [name for name in modules if importlib.util.find_spec(name) is None]
            missing.update(absent)
            if not absent:
                with self.subTest(line=line):
                    self.run_here([sys.executable, "-"], text)
        if missing:
            self.skipTest("these clients are not installed: " + ", ".join(sorted(missing)))

    def test_each_json_block_is_json(self):
        for page in ("http.md", "chat.md"):
            for language, line, text in blocks_of(page):
                if language == "json":
                    with self.subTest(page=page, line=line):
                        json.loads(text)

    def test_the_worked_example_of_an_answer(self):
        text = section("chat.md", "Worked example")
        said = re.search(r"^```\n(.*?)\n```$", text, re.M | re.S).group(1)
        content = re.search(r"^\| content \| `(.*)` \|$", text, re.M).group(1)
        call = re.search(r"^\| tool call 0, `(\w+)`.*\| `(.*)` \|$", text, re.M)
        tool = {"type": "function", "function": {"name": call.group(1), "parameters": {}}}
        body = {"model": "demo", "messages": [{"role": "user", "content": "x"}], "tools": [tool]}
        self.doors.rank.say({"text": said})
        message = self.doors.post("/v1/chat/completions", body).json()["choices"][0]["message"]
        self.assertEqual(message["content"], content)
        self.assertEqual(message["tool_calls"][0]["function"]["arguments"], call.group(2))
        self.doors.rank.say(*self.script)

    def test_the_dialect_that_models_show_prints(self):
        text = section("chat.md", "How answers are read")
        shown = re.search(r"^```\n(content: .*?)\n```$", text, re.M | re.S).group(1)
        command = [bin_path("trireme"), "models", "show", os.path.join(SOURCE, "models", "demo")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        for line in shown.split("\n"):
            self.assertIn(line, done.stdout)


if __name__ == "__main__":
    main()
