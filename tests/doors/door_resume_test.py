#!/usr/bin/env python3
"""Answers that are resumed over HTTP: a stream that is cut after any of its events goes on as if it
had not been cut, at the same gateway, at another one, and after a restart of the coordinator."""

import json
import os
import signal
import unittest

from door_case import CHAT, DoorCase
from door_fixture import Doors, sse_events
from door_main import main

PATH = "/trireme/v1/stream"
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]
THOUGHT = (
    "<think>\nWhich city is meant? Bonn.\n</think>\n\nLet me look.\n"
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Bonn", "days": 3}}\n</tool_call>'
)
PLAIN = "The galley has three banks of oars, and each of them is long."
USAGE = {"stream_options": {"include_usage": True}}
STREAMS = {
    "chat": ("/v1/chat/completions", {**CHAT, **USAGE, "tools": TOOLS}, THOUGHT),
    "completion": (
        "/v1/completions",
        {"model": "demo", "prompt": "Say it.", "n": 2, "max_tokens": 64, "echo": True, **USAGE},
        PLAIN,
    ),
    "prompts": (
        "/v1/completions",
        {"model": "demo", "prompt": ["Say it.", "Say more."], "max_tokens": 64, "logprobs": 1},
        PLAIN,
    ),
    "responses": (
        "/v1/responses",
        {
            "model": "demo",
            "input": "Say it.",
            "instructions": "Be brief.",
            "tools": [{"type": "function", "name": "get_weather", "parameters": {}}],
        },
        THOUGHT,
    ),
    "messages": (
        "/v1/messages",
        {
            **CHAT,
            "max_tokens": 200,
            "tools": [{"name": "get_weather", "input_schema": {"type": "object"}}],
        },
        THOUGHT,
    ),
}
IDS = ("id", "item_id", "call_id")
VARYING = ("cached_tokens", "input_tokens", "cache_read_input_tokens", "created", "created_at")
DELTAS = ("content", "reasoning_content", "reasoning", "text", "delta", "arguments", "thinking")
DELTAS += ("partial_json",)


class Stream:
    """A stream that has begun: its events one by one, as blocks of text."""

    def __init__(self, doors, method, path, body=None, headers=None):
        self.connection = doors.connection()
        headers = {"Content-Type": "application/json", **(headers or {})}
        self.connection.request(method, path, body and json.dumps(body), headers)
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()
        self.token = self.response.headers["Trireme-Resume"]

    def events(self, count=None):
        found = []
        while count is None or len(found) < count:
            block = b""
            while not block.endswith(b"\n\n"):
                line = self.response.readline()
                if not line:
                    assert not block, block
                    return found
                block += line
            if not block.startswith(b":"):
                found.append(block.decode())
        return found

    def cut(self):
        self.connection.close()


def begin(doors, name):
    path, body, said = STREAMS[name]
    doors.rank.say({"text": said})
    return Stream(doors, "POST", path, {**body, "stream": True}, {"Trireme-Resume": "1"})


def resume(doors, token, last_id=None):
    headers = {"Trireme-Resume": token, **({"Last-Event-ID": last_id} if last_id else {})}
    return Stream(doors, "GET", PATH, headers=headers)


def id_of(event):
    assert event.startswith("id: "), event
    return event[4 : event.index("\n")]


def shape_of(value, ids, key=None):
    """(value without deltas and what varies, {path: text of a delta})."""
    deltas = {}

    def walk(value, path):
        name = path.rsplit(".", 1)[-1]
        if isinstance(value, dict):
            return {key: walk(part, f"{path}.{key}") for key, part in value.items()}
        if isinstance(value, list):
            return [walk(part, f"{path}.{index}") for index, part in enumerate(value)]
        if name in IDS and isinstance(value, str):
            return ids.setdefault(value, f"ID{len(ids)}")
        if name in VARYING:
            return 0
        if name in DELTAS and isinstance(value, str):
            deltas[path] = value
            return ""
        return value

    return walk(value, ""), deltas


def folded(events):
    """A stream as a client reads it: per choice its events, runs of deltas joined."""
    ids, choices, numbers = {}, {}, []
    for (name, data) in sse_events("".join(events).encode()):
        if data == "[DONE]":
            choices.setdefault("end", []).append((name, data, {}))
            continue
        value = json.loads(data)
        if "sequence_number" in value:
            numbers.append(value.pop("sequence_number"))
        tokens = value.get("choices") or [{}]
        run = choices.setdefault(tokens[0].get("index", "all"), [])
        for logprobs in (choice.get("logprobs") for choice in tokens):
            if logprobs:  # the lists of a run of tokens, as one text each
                for list_name in list(logprobs):
                    logprobs[list_name] = {"text": json.dumps(logprobs[list_name])[1:-1] + ", "}
        shape, deltas = shape_of(value, ids)
        if run and run[-1][:2] == (name, shape) and run[-1][2].keys() == deltas.keys():
            for path, text in deltas.items():
                run[-1][2][path] += text
        else:
            run.append((name, shape, deltas))
    assert numbers == list(range(len(numbers))), numbers
    return choices


class ResumeTest(DoorCase):
    options = {"rank": ["--step-us", "300"], "template": "tools.jinja"}

    def whole(self, name):
        """An undisturbed stream, and its folded form. The one before it filled the cache."""
        begin(self.doors, name).events()
        stream = begin(self.doors, name)
        events = stream.events()
        self.assertEqual(len({id_of(event) for event in events}), len(events))
        return stream.token, events, folded(events)

    def check_every_cut(self, name, rest_after):
        """`rest_after(k)`: the first k events of a stream and the rest; None: it has fewer."""
        _, _, expected = self.whole(name)
        count = 0
        while True:
            parts = rest_after(count + 1)
            if parts is None:
                break
            count += 1
            self.assertEqual(folded(parts[0] + parts[1]), expected, f"{name}, cut after {count}")
        self.assertGreater(count, 10)

    def test_the_streams_have_parts_of_each_kind(self):
        for name, words in (
            ("chat", ("reasoning_content", '"delta":{"content":"', "tool_calls", '"usage":{')),
            ("responses", ("reasoning_text", "output_text", "function_call_arguments")),
            ("messages", ("thinking_delta", "text_delta", "input_json_delta")),
        ):
            text = "".join(self.whole(name)[1])
            for word in words:
                self.assertIn(word, text, name)

    def test_a_stream_that_is_read_again_after_each_of_its_events(self):
        for name in STREAMS:
            with self.subTest(name):
                token, events, expected = self.whole(name)
                for index in range(len(events)):
                    rest = resume(self.doors, token, id_of(events[index])).events()
                    joined = events[: index + 1] + rest
                    self.assertEqual(folded(joined), expected, f"{name}, after {index + 1}")
                again = resume(self.doors, token)
                self.assertEqual(again.token, token)
                self.assertEqual(folded(again.events()), expected)

    def test_a_stream_that_is_cut_while_it_runs(self):
        def rest_after(count, name):
            stream = begin(self.doors, name)
            first = stream.events(count)
            stream.cut()
            if len(first) < count:
                return None
            return first, resume(self.doors, stream.token, id_of(first[-1])).events()

        for name in STREAMS:
            with self.subTest(name):
                self.check_every_cut(name, lambda count: rest_after(count, name))

    def test_it_may_be_cut_again_and_again(self):
        for name in STREAMS:
            with self.subTest(name):
                _, _, expected = self.whole(name)
                stream = begin(self.doors, name)
                events = []
                while True:
                    found = stream.events(2)
                    events += found
                    if len(found) < 2:
                        break
                    stream.cut()
                    stream = resume(self.doors, stream.token, id_of(events[-1]))
                self.assertEqual(folded(events), expected)

    def test_another_reader_takes_the_answer_over(self):
        self.doors.rank.say({"words": 64, "loop": True, "step_us": 5000})
        body = {**CHAT, "stream": True, "max_tokens": 200}
        first = Stream(
            self.doors, "POST", "/v1/chat/completions", body, {"Trireme-Resume": "1"}
        )
        events = first.events(3)
        second = resume(self.doors, first.token, id_of(events[-1]))
        self.assertTrue(second.events(3))
        last = first.events()
        self.assertIn("TRI-REQ-039", last[-2])
        self.assertEqual(last[-1], "data: [DONE]\n\n")
        third = resume(self.doors, first.token)
        self.assertEqual(third.events()[-1].split("\n")[1], "data: [DONE]")

    def test_a_key_and_a_token_name_one_answer(self):
        path, body, said = STREAMS["chat"]
        self.doors.rank.say({"text": said})
        body = {**body, "stream": True}
        headers = {"Trireme-Resume": "1", "Idempotency-Key": "voyage-7"}
        first = Stream(self.doors, "POST", path, body, headers)
        events = first.events()
        again = Stream(self.doors, "POST", path, body, headers)
        self.assertEqual(again.token, first.token)
        begun = [found[0].split("\n")[1] for found in (events, again.events())]
        self.assertEqual(begun[1], begun[0], "the time of its beginning, too")
        resume(self.doors, first.token).events()
        once_more = Stream(self.doors, "POST", path, body, headers)
        self.assertEqual(once_more.token, first.token)
        other = Stream(self.doors, "POST", path, {**body, "stream_options": {}}, headers)
        self.assertIsNone(other.token, "it was begun in another form")
        self.assertFalse(other.events()[0].startswith("id:"))

    def test_what_is_refused(self):
        def refuse(status, error_id, headers):
            answer = self.doors.request("GET", PATH, headers=headers)
            self.check_refusal(answer, PATH, status, "invalid_request_error")
            self.assertIn(error_id, answer.json()["error"]["message"])
            self.assertNotIn(headers.get("Trireme-Resume", "AAAA"), answer.body.decode())

        token = begin(self.doors, "chat").token
        unknown = "A" * 22
        refuse(404, "TRI-REQ-037", {"Trireme-Resume": unknown})
        for headers in ({}, {"Trireme-Resume": "AAAA"}, {"Trireme-Resume": token + "A"}):
            refuse(400, "TRI-HTTP-034", headers)
        for last_id in ("1", "0,0;0-1.1/9", "0;0-100000.1/9", "99999;0-e.1/9"):
            refuse(400, "TRI-HTTP-034", {"Trireme-Resume": token, "Last-Event-ID": last_id})
        body = {**CHAT, "stream": True}
        for value, more, error_id in (
            ("yes", {}, "TRI-HTTP-034"),
            ("1", {"stream": False}, "TRI-HTTP-035"),
        ):
            answer = self.refuse(
                {**body, **more}, 400, "invalid_request_error", headers={"Trireme-Resume": value}
            )
            self.assertIn(error_id, answer.json()["error"]["message"])
        self.assertTrue(resume(self.doors, token).events(), "none of these ended it")

    def test_the_token_stands_in_no_log(self):
        stream = begin(self.doors, "chat")
        stream.events(1)
        stream.cut()
        events = resume(self.doors, stream.token).events()
        texts = ["".join(events)]
        for name in ("gateway.log", "coordinator.log"):
            with open(os.path.join(self.doors.folder, name), encoding="utf-8") as file:
                texts.append(file.read())
        for text in texts:
            self.assertNotIn(stream.token, text)


class RestartTest(unittest.TestCase):
    """Of a stream that was cut after some of its events, in steps so that each place is met."""

    def check(self, doors, restart, stride):
        for name in STREAMS:
            with self.subTest(name):
                begin(doors, name).events()
                expected = folded(begin(doors, name).events())
                total = len(begin(doors, name).events())
                for count in range(1, total, stride):
                    stream = begin(doors, name)
                    first = stream.events(count)
                    restart(doors, name)
                    joined = first + resume(doors, stream.token, id_of(first[-1])).events()
                    self.assertEqual(folded(joined), expected, f"{name}, cut after {count}")

    def test_a_gateway_that_is_killed_is_replaced_by_another(self):
        def restart(doors, _name):
            os.kill(doors.gateway.process.pid, signal.SIGKILL)
            doors.gateway.wait()
            doors.start_gateway()
            doors.wait_ready()

        with Doors(rank=["--step-us", "2000"], template="tools.jinja") as doors:
            self.check(doors, restart, 5)

    def test_a_coordinator_that_is_killed_goes_on_from_its_journal(self):
        def restart(doors, name):
            doors.coordinator.kill()
            doors.rank.kill()
            doors.restart_coordinator()
            script = doors.write_script({"text": STREAMS[name][2]})
            doors.start_rank(["--script", script])
            doors.wait_ready()

        with Doors(rank=["--step-us", "2000"], template="tools.jinja") as doors:
            self.check(doors, restart, 13)


if __name__ == "__main__":
    main()
