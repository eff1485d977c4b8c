#!/usr/bin/env python3
"""Tool calls and reasoning through the door, for templates of several kinds: the model says exactly
the text that the template would write, in tokens, bytes and random pieces, streamed and not."""

import glob
import json
import os
import re
import sys
import unittest

from door_case import in_form_of
from door_fixture import SOURCE, TEMPLATES, Doors, chunks_of
from door_main import main

try:
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment
except ImportError:
    print("skipped: python3-jinja2 is not installed for", sys.executable)
    sys.exit(77)

USER = {"role": "user", "content": "How is the weather?"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "Tells it.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            },
        },
    }
    for name in ("get_weather", "get_tides")
]
VARIABLES = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
CALLS = [
    ("get_weather", {"city": "Oslo \u2013 \u00d8st", "days": 3}),
    ("get_tides", {"city": 'a "quoted" {brace}'}),
]
SPLITS = ("tokens", "bytes", "random:1")
RANK = ("--step-us", "100")


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def renderer(path):
    """render(messages, **options) as the reference renders."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )

    def tojson(value, indent=None):
        return json.dumps(value, ensure_ascii=False, indent=indent)

    def raise_exception(words):
        raise ValueError(words)

    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda _: "date"
    with open(path, encoding="utf-8") as file:
        template = environment.from_string(file.read())
    return lambda messages, **options: template.render(
        messages=messages, tools=TOOLS, **VARIABLES, **options
    )


def said_by(render, message):
    """The text that the model says for this message of the assistant, without the turn's end; None
    where the template cannot show it."""
    try:
        before = render([USER], add_generation_prompt=True)
        whole = render([USER, message], add_generation_prompt=False)
        ending = render([USER, {"role": "assistant", "content": "XYZ"}]).split("XYZ")[1]
    except (ValueError, TypeError):
        return None
    if not whole.startswith(before):
        return None
    said = whole[len(before) :]
    for at in [0, *(found.start() for found in re.finditer("<", ending))]:
        if ending[at:] and said.endswith(ending[at:]):
            return said[: -len(ending[at:])]
    return said


def message_with(calls):
    listed = [
        {
            "id": f"call{n:05}",
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        for n, (name, arguments) in enumerate(calls)
    ]
    return {"role": "assistant", "content": "", "tool_calls": listed}


def answer_of(doors, body):
    """(content, reasoning, calls, finish reason) of an answer, or its error id."""
    answer = doors.post("/v1/chat/completions", body)
    if answer.status != 200:
        return in_form_of(answer, "")[2][:12]
    if not body.get("stream"):
        choice = answer.json()["choices"][0]
        message = choice["message"]
        calls = [
            (call["function"]["name"], call["function"]["arguments"])
            for call in message.get("tool_calls") or []
        ]
        return (
            message["content"] or "",
            message.get("reasoning_content") or "",
            calls,
            choice["finish_reason"],
        )
    content, reasoning, calls, reason = "", "", {}, None
    for chunk in chunks_of(answer):
        choice = chunk["choices"][0]
        delta = choice["delta"]
        content += delta.get("content") or ""
        reasoning += delta.get("reasoning_content") or ""
        for call in delta.get("tool_calls") or []:
            name, text = calls.get(call["index"], ("", ""))
            function = call["function"]
            calls[call["index"]] = (name or function["name"], text + function["arguments"])
        reason = choice["finish_reason"] or reason
    return content, reasoning, [calls[index] for index in sorted(calls)], reason


class DialectTest(unittest.TestCase):
    def templates(self):
        data = os.path.join(SOURCE, "tests", "data")
        folders = (TEMPLATES, os.path.join(data, "chat"), os.path.join(data, "chat_templates"))
        return sorted(path for folder in folders for path in glob.glob(folder + "/*.jinja"))

    def check(self, doors, text, body, expected):
        """The same parts however the text comes."""
        for split in SPLITS:
            doors.rank.say({"text": text, "split": split})
            for streamed in (False, True):
                found = answer_of(doors, {**body, "stream": streamed})
                if isinstance(found, str):
                    return found
                content, reasoning, calls, reason = found
                read = [(name, json.loads(arguments)) for name, arguments in calls]
                self.assertEqual(
                    (content.strip(), reasoning, read, reason), expected, (split, text)
                )
        return None

    def test_calls_come_back_as_the_template_writes_them(self):
        tried = {}
        for path in self.templates():
            name = os.path.relpath(path, os.path.join(SOURCE, "tests"))
            with self.subTest(template=name):
                one = said_by(renderer(path), message_with(CALLS[:1]))
                two = said_by(renderer(path), message_with(CALLS))
                if one is None or CALLS[0][0] not in one:
                    continue
                with Doors(template=path, rank=RANK) as doors:
                    body = {"model": "demo", "messages": [USER], "tools": TOOLS}
                    expected = ("", "", CALLS[:1], "tool_calls")
                    tried[name] = self.check(doors, one, body, expected) or "one"
                    if tried[name] == "one" and CALLS[1][0] in (two or ""):
                        expected = ("", "", CALLS, "tool_calls")
                        tried[name] = self.check(doors, two, body, expected) or "two"
        print(tried)
        refused = {name: words for name, words in tried.items() if words.startswith("TRI-")}
        self.assertEqual(refused, {})
        self.assertGreaterEqual(len(tried), 8, tried)

    def test_reasoning_comes_back_as_the_template_writes_it(self):
        tried = []
        for path in self.templates():
            message = {"role": "assistant", "content": "It rains."}
            message |= dict.fromkeys(("reasoning_content", "thinking", "reasoning"), "Grey sky.")
            text = said_by(renderer(path), message)
            if text is None or "Grey sky." not in text:
                continue
            tried.append(os.path.basename(path))
            with self.subTest(template=tried[-1]), Doors(template=path, rank=RANK) as doors:
                body = {"model": "demo", "messages": [USER]}
                expected = ("It rains.", "Grey sky.", [], "stop")
                refused = self.check(doors, text, body, expected)
                if refused == "TRI-CHAT-007":  # a template for chats with tools alone
                    refused = self.check(doors, text, {**body, "tools": TOOLS}, expected)
                self.assertIsNone(refused)
        self.assertGreaterEqual(len(tried), 2, tried)


if __name__ == "__main__":
    main()
