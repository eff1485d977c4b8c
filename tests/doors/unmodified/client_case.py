"""Shared by the tests of unmodified clients: a cluster with tools and API keys, a script for each
call, and the words of tools."""

import inspect
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from door_case import SAID, DoorCase  # noqa: E402
from door_fixture import Doors  # noqa: E402

KEY = "secret-of-alice"
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
TOOL = {"type": "function", "function": WEATHER}
OTHER_TOOL = {
    "type": "function",
    "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}},
}
RESULT = "7 degrees and rain"
AFTERWARDS = "It rains in Oslo, at 7 degrees."


def call_text(*cities):
    calls = [
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "%s"}}\n</tool_call>' % city
        for city in cities
    ]
    return "\n".join(calls)


# The rest of a call whose opening the server writes: as far as the tools of a request agree.
FORCED = (
    {
        "match": 'assistant\n<tool_call>\n{"name": "get_weather", "arguments":',
        "text": ' {"city": "Oslo"}}\n</tool_call>',
    },
    {
        "match": 'assistant\n<tool_call>\n{"name": "get',
        "text": '_weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
    },
)
WITH_RESULT = {"match": "<tool_response>", "text": AFTERWARDS}
THOUGHT = "The sky over Oslo is grey."
THINKING = f"<think>\n{THOUGHT}\n</think>\n\nIt rains."


class ClientCase(DoorCase):
    options = {"template": "tools.jinja"}
    rank_options = ()

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="trireme-keys-")
        keys = os.path.join(cls.folder, "keys")
        with open(keys, "w", encoding="utf-8") as file:
            file.write(f"alice {KEY}\n")
        os.chmod(keys, 0o600)
        cls.doors = Doors(template="tools.jinja", gateway=["--api-key-file", keys], positions=8192)

    def setUp(self):
        self.doors.rank.say({"text": SAID})

    def say(self, *answers):
        self.doors.rank.say(*answers)


def full_doors(keys=()):
    """One request runs, one waits, and the next is refused."""
    options = {"rank": ["--max-num-seqs", "1"], "coordinator": ["--max-waiting-requests", "1"]}
    return Doors(template="tools.jinja", gateway=list(keys), **options)


class Waiting:
    """A synchronous face of the asynchronous client, so that both run the same tests."""

    def __init__(self, target, loop):
        self._target, self._loop = target, loop

    def __getattr__(self, name):
        return Waiting(getattr(self._target, name), self._loop)

    def __call__(self, *arguments, **options):
        found = self._target(*arguments, **options)
        if inspect.isawaitable(found):
            found = self._loop.run_until_complete(found)
        return found

    def items(self, stream):
        async def collect():
            return [item async for item in stream]

        return self._loop.run_until_complete(collect())
