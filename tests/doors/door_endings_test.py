#!/usr/bin/env python3
"""How streams end: clients that leave, and a gateway, a coordinator or a group that dies in the
middle of an answer. Nothing hangs, and nothing is held for a reader who is gone."""

import http.client
import json
import os
import signal
import socket
import struct
import time
import unittest

from door_case import CHAT
from door_fixture import Doors, sse_events
from door_leaving import gone_lines, leave_many
from door_main import main

CANCEL_S = 0.1  # a client that leaves costs the cluster nothing after this
ENDLESS = {"words": 64, "loop": True, "step_us": 5000}
LONG = {**CHAT, "stream": True, "max_tokens": 900}
HEADERS = {"Content-Type": "application/json"}


def stream_of(doors, body, path="/v1/chat/completions"):
    """A connection with an answer that has begun, and its response."""
    connection = doors.connection()
    connection.request("POST", path, json.dumps(body), HEADERS)
    raw = connection.sock
    response = connection.getresponse()
    assert response.status == 200, response.read()
    return raw, response


def content_of(events):
    values = [json.loads(data) for _, data in events if data != "[DONE]"]
    deltas = [value["choices"][0]["delta"] for value in values if value.get("choices")]
    return "".join(delta.get("content") or "" for delta in deltas)


def text_of(events):
    """The text of a stream in any of the four forms."""
    text = ""
    for name, data in events:
        value = {} if data == "[DONE]" else json.loads(data)
        choice = (value.get("choices") or [{}])[0]
        text += choice.get("text") or choice.get("delta", {}).get("content") or ""
        if name == "response.output_text.delta":
            text += value["delta"]
        elif name == "content_block_delta":
            text += value["delta"]["text"]
    return text


def rest_of(response):
    """What comes until the connection ends, however it ends."""
    data = b""
    try:
        while True:
            more = response.read1(65536)
            if not more:
                return data
            data += more
    except (OSError, http.client.HTTPException):
        return data


class LeavingTest(unittest.TestCase):
    def test_a_client_that_leaves_frees_its_slot_at_once(self):
        with Doors(rank=["--step-us", "2000"]) as doors:
            doors.rank.say(ENDLESS)
            for streamed in (True, False):
                for resets in (True, False):
                    with self.subTest(streamed=streamed, resets=resets):
                        self.leave(doors, streamed, resets)
            doors.wait_for_log(lambda lines: len(gone_lines(lines)) == 4)

    def leave(self, doors, streamed, resets):
        connection = doors.connection()
        body = json.dumps({**LONG, "stream": streamed})
        connection.request("POST", "/v1/chat/completions", body, HEADERS)
        raw = connection.sock
        doors.rank.tell("drawn 5")
        doors.rank.event("drawn")
        if resets:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        left = time.monotonic()
        connection.close()
        raw.close()
        doors.wait_idle()
        self.assertLess(time.monotonic() - left, 1)  # the time is measured below, by plans

    def test_an_answer_with_an_idempotency_key_runs_on_and_is_found(self):
        with Doors() as doors:
            doors.rank.say({"words": 60, "step_us": 5000})
            headers = {**HEADERS, "Idempotency-Key": "voyage"}
            connection = doors.connection()
            body = json.dumps({**LONG, "stream": False})
            connection.request("POST", "/v1/chat/completions", body, headers)
            doors.rank.tell("drawn 5")
            doors.rank.event("drawn")
            connection.close()
            doors.wait_for_log(lambda lines: len(gone_lines(lines)) == 1)
            answer = doors.request("POST", "/v1/chat/completions", body, headers)
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.json()["usage"]["completion_tokens"], 61)
            self.assertEqual(doors.rank.tell("report")["drawn"] // 61, 1)

    def test_hundreds_of_clients_leave_at_random_phases(self):
        """door_load.py does the same with 10,000."""
        count = 600
        found = leave_many(count)
        failures = found["figures"]["failures"]
        self.assertEqual(sum(failures.values()), count, failures)
        self.assertLessEqual(set(failures), {"left", "left early"})
        self.assertEqual(found["left"], count)
        self.assertGreater(len(found["cancel_s"]), count // 4)
        self.assertLess(found["cancel_s"][-1], CANCEL_S, found["cancel_s"][-10:])
        ids = found["ids"]
        self.assertEqual(len(set(ids)), len(ids))
        self.assertLessEqual(found["opened"], len(ids))
        self.assertLessEqual(len(ids), failures["left"] + 1)  # and the steady one


class DyingTest(unittest.TestCase):
    def test_a_gateway_that_dies_leaves_nothing_running(self):
        with Doors() as doors:
            doors.rank.say(ENDLESS)
            _, response = stream_of(doors, LONG)
            self.assertTrue(response.read1(65536))
            doors.gateway.kill()
            self.assertNotIn(b"[DONE]", rest_of(response))
            doors.wait_idle()
            doors.start_gateway()
            doors.wait_ready()

    def test_a_coordinator_that_dies_is_replaced_unseen(self):
        script = {"text": " ".join(f"word{i}" for i in range(60)), "step_us": 5000}
        ends = dict.fromkeys(LONG_BODIES, "[DONE]")
        ends |= {"/v1/responses": "response.completed", "/v1/messages": "message_stop"}
        with Doors() as doors:
            doors.rank.say(script)
            streams = {path: stream_of(doors, LONG_BODIES[path], path)[1] for path in LONG_BODIES}
            begun = {path: response.read1(65536) for path, response in streams.items()}
            doors.coordinator.kill()
            doors.wait_ready(503)
            doors.restart_coordinator()
            doors.start_rank(["--script", doors.write_script(script)])
            for path, response in streams.items():
                events = sse_events(begun[path] + rest_of(response))
                self.assertEqual(text_of(events), script["text"], path)
                self.assertEqual(events[-1][0] or events[-1][1], ends[path])

    def test_a_group_that_dies_is_replaced_unseen(self):
        said = "One two three four five six seven eight nine ten."
        with Doors() as doors:
            doors.rank.say({"text": said, "act": "die", "at": 5, "match": "Say it"})
            _, response = stream_of(doors, LONG)
            doors.coordinator.event("group_lost")
            doors.start_rank(["--script", doors.write_script({"text": said, "match": "Say it"})])
            events = sse_events(rest_of(response))
            self.assertEqual(events[-1][1], "[DONE]")
            self.assertEqual(content_of(events), said)

    def test_a_group_that_stands_still_makes_the_door_unready(self):
        with Doors() as doors:
            doors.rank.say({**ENDLESS, "act": "stall", "at": 5})
            _, response = stream_of(doors, LONG)
            doors.rank.event("stalled")
            doors.wait_ready(503)
            self.assertEqual(doors.request("GET", "/live").status, 200)
            response.close()

    def test_a_gateway_that_is_asked_to_end_finishes_its_streams(self):
        with Doors() as doors:
            doors.rank.say({"words": 100, "step_us": 5000})
            _, response = stream_of(doors, LONG)
            kept = doors.connection()
            kept.connect()
            os.kill(doors.gateway.process.pid, signal.SIGTERM)
            events = sse_events(rest_of(response))
            self.assertEqual(events[-1][1], "[DONE]")
            self.assertEqual(doors.gateway.wait(), 0)
            kept.close()


LONG_BODIES = {
    "/v1/chat/completions": LONG,
    "/v1/completions": {"model": "demo", "prompt": "Say it.", "max_tokens": 900, "stream": True},
    "/v1/responses": {"model": "demo", "input": "Say it.", "stream": True},
    "/v1/messages": {**LONG},
}


if __name__ == "__main__":
    main()
