#!/usr/bin/env python3
"""Each row of the error table and of the table of limits of docs/http.md, from outside."""

import json
import socket
import unittest

from door_case import CHAT, DoorCase, in_form_of
from door_fixture import Doors, http_answer
from door_main import main

MESSAGES = {**CHAT, "max_tokens": 16}


def nested(depth):
    return b'{"model": "demo", "messages": ' + b"[" * depth + b"]" * depth + b"}"


class BadRequestTest(DoorCase):
    options = {"template": "tools.jinja"}

    def test_bad_json_fields_and_values(self):
        for body in (b"", b"{", b"[]", b'"x"', b"{}", b'{"messages": 7}', b"\xff\xfe{}"):
            self.refuse(body, 400, "invalid_request_error")
        for field, value in (
            ("temperature", "hot"),
            ("temperature", -1),
            ("top_p", 2),
            ("n", 0),
            ("max_tokens", 0),
            ("stop", 5),
            ("logit_bias", {"x": 1}),
            ("tools", {}),
            ("tool_choice", "sometimes"),
            ("stream", "yes"),
            ("messages", []),
            ("messages", [{"role": "user"}]),
        ):
            with self.subTest(field=field, value=value):
                answer = self.refuse({**CHAT, field: value}, 400, "invalid_request_error")
                self.assertIn(field, in_form_of(answer, "")[3] or "")
                self.assertEqual(answer.headers["x-should-retry"], "false")

    def test_what_changes_the_meaning_is_refused_by_name(self):
        for field, value in (
            ("response_format", {"type": "json_object"}),
            (
                "response_format",
                {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
            ),
            ("structured_outputs", {"json": {}}),
            ("modalities", ["text", "audio"]),
            ("audio", {"voice": "x", "format": "wav"}),
            ("web_search_options", {}),
            ("functions", [{"name": "f"}]),
            ("function_call", "auto"),
        ):
            with self.subTest(field=field):
                answer = self.refuse({**CHAT, field: value}, 400, "invalid_request_error")
                self.assertIn(field, answer.json()["error"]["param"])
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
        messages = [{"role": "user", "content": [image]}]
        self.refuse({**CHAT, "messages": messages}, 400, "invalid_request_error")

    def test_what_only_tunes_is_ignored_and_named(self):
        body = {**CHAT, "user": "me", "store": True, "service_tier": "auto", "no_such_field": 1}
        answer = self.doors.post("/v1/chat/completions", body)
        self.assertEqual(answer.status, 200)
        for field in ("user", "store", "service_tier", "no_such_field"):
            self.assertIn(field, answer.headers["trireme-warnings"])
        body = {name: None for name in ("stop", "seed", "tools", "user", "logprobs", "max_tokens")}
        self.assertEqual(self.doors.post("/v1/chat/completions", {**CHAT, **body}).status, 200)

    def test_the_template_refuses_in_its_own_words(self):
        messages = [{"role": "user", "content": "Refuse me."}]
        body = {**CHAT, "messages": messages}
        answer = self.refuse(body, 400, "invalid_request_error")
        self.assertIn("This model will not have it", answer.json()["error"]["message"])

    def test_a_prompt_that_is_too_long_tells_both_numbers(self):
        messages = [{"role": "user", "content": "word " * 3000}]
        code = "context_length_exceeded"
        answer = self.refuse({**CHAT, "messages": messages}, 400, "invalid_request_error", code)
        self.assertIn("1024", answer.json()["error"]["message"])
        self.assertRegex(answer.json()["error"]["message"], r" 6\d\d\d ")
        path = "/v1/messages"
        body = {**MESSAGES, "messages": messages}
        self.refuse(body, 400, "invalid_request_error", path=path)

    def test_unknown_paths_models_and_methods(self):
        answer = self.refuse(
            {**CHAT, "model": "other"}, 404, "invalid_request_error", "model_not_found"
        )
        self.assertIn("demo", answer.json()["error"]["message"])
        body = {**MESSAGES, "model": "other"}
        self.refuse(body, 404, "not_found_error", path="/v1/messages")
        self.assertEqual(self.doors.request("GET", "/v1/models/other").status, 404)
        self.refuse(CHAT, 404, "invalid_request_error", path="/v1/no/such")
        answer = self.doors.request("GET", "/v1/chat/completions")
        self.assertEqual((answer.status, answer.headers["Allow"]), (405, "POST, OPTIONS"))
        self.assertEqual(self.doors.request("DELETE", "/v1/models").status, 405)

    def test_reserved_routes_are_not_implemented(self):
        for path in (
            "/v1/embeddings",
            "/v1/rerank",
            "/v2/models/demo/infer",
            "/v1/models/demo:predict",
        ):
            answer = self.doors.post(path, {"model": "demo", "input": "x"})
            self.assertEqual(
                (answer.status, answer.json()["error"]["id"]), (501, "TRI-HTTP-012"), path
            )
        for path in (
            "/metrics",
            "/trireme/v1/status",
            "/trireme/v1/events",
            "/",
        ):
            self.assertEqual(self.doors.request("GET", path).status, 501, path)

    def test_media_types_and_encodings_that_are_not_read(self):
        for headers in (
            {"Content-Type": "text/xml"},
            {"Content-Type": "multipart/form-data; boundary=x"},
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        ):
            self.refuse(json.dumps(CHAT), 415, "invalid_request_error", headers=headers)

    def test_an_idempotency_key_names_one_request(self):
        headers = {"Idempotency-Key": "voyage-1"}
        first = self.doors.post("/v1/chat/completions", CHAT, headers).json()
        again = self.doors.post("/v1/chat/completions", CHAT, headers).json()
        self.assertEqual(first["id"], again["id"])
        self.assertEqual(first["choices"], again["choices"])
        other = {**CHAT, "max_tokens": 3}
        code = "idempotency_key_reused"
        self.refuse(other, 422, "invalid_request_error", code, headers=headers)

    def test_a_failure_of_ours_is_a_500(self):
        self.doors.rank.say({"words": 20, "act": "fail", "at": 3})
        try:
            self.refuse(CHAT, 500, "server_error")
            self.refuse(MESSAGES, 500, "api_error", path="/v1/messages")
        finally:
            self.doors.rank.say(*self.script)

    def test_a_strict_door_names_the_nearest_field(self):
        with Doors(gateway=["--strict-api"]) as doors:
            answer = doors.post("/v1/chat/completions", {**CHAT, "temprature": 1})
            self.assertEqual(answer.status, 400)
            self.assertIn("temperature", answer.json()["error"]["message"])


class LoadedDoorTest(unittest.TestCase):
    def test_a_full_queue_is_429_and_529(self):
        options = {"rank": ["--max-num-seqs", "1"], "coordinator": ["--max-waiting-requests", "1"]}
        with Doors(**options) as doors:
            doors.rank.tell("stall")
            bodies = [{**CHAT, "stream": True, "max_tokens": 5} for _ in range(2)]
            open_ones = [stream_of(doors, body) for body in bodies]
            refused = doors.post("/v1/chat/completions", CHAT)
            self.assertEqual(refused.status, 429)
            self.assertEqual(in_form_of(refused, "")[:2], ("rate_limit_error", "overloaded"))
            self.assertLessEqual(1, int(refused.headers["Retry-After"]))
            self.assertLessEqual(int(refused.headers["Retry-After"]), 60)
            self.assertGreater(int(refused.headers["retry-after-ms"]), 0)
            refused = doors.post("/v1/messages", MESSAGES)
            self.assertEqual(refused.status, 529)
            self.assertEqual(in_form_of(refused, "/v1/messages")[0], "overloaded_error")
            doors.rank.tell("go")
            for stream in open_ones:
                self.assertTrue(stream.read().endswith(b"data: [DONE]\n\n"))

    def test_a_deadline_is_504_or_an_error_event(self):
        with Doors() as doors:
            doors.rank.tell("stall")
            headers = {"X-Request-Timeout-Ms": "200"}
            refused = doors.post("/v1/chat/completions", CHAT, headers)
            self.assertEqual((refused.status, in_form_of(refused, "")[0]), (504, "timeout_error"))
            refused = doors.post("/v1/messages", MESSAGES, headers)
            self.assertEqual(refused.status, 504)
            streamed = doors.post("/v1/chat/completions", {**CHAT, "stream": True}, headers)
            self.assertEqual(streamed.status, 200)
            events = [data for _, data in streamed.events()]
            self.assertEqual(json.loads(events[-2])["error"]["type"], "timeout_error")
            self.assertEqual(events[-1], "[DONE]")

    def test_a_draining_and_an_absent_coordinator_are_503(self):
        with Doors() as doors:
            doors.rank.say({"words": 50, "loop": True})
            stream = stream_of(doors, {**CHAT, "stream": True, "max_tokens": 900})
            doors.rank.tell("stall")
            doors.coordinator.write("drain")
            doors.coordinator.event("draining")
            doors.wait_ready(503)
            refused = doors.post("/v1/chat/completions", CHAT)
            self.assertEqual((refused.status, in_form_of(refused, "")[1]), (503, "draining"))
            doors.rank.tell("go")
            self.assertTrue(stream.read().endswith(b"data: [DONE]\n\n"))
            doors.coordinator.wait()
            # A request that is sent before the gateway has seen it waits for the next coordinator.
            doors.wait_until(lambda: b"unreachable" in doors.request("GET", "/ready").body)
            refused = doors.post("/v1/chat/completions", CHAT)
            self.assertEqual((refused.status, in_form_of(refused, "")[1]), (503, "unreachable"))


def stream_of(doors, body):
    """An HTTP response whose status line has come and whose body has not been read."""
    connection = doors.connection()
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    response = connection.getresponse()
    assert response.status == 200, response.read()
    return response


class LimitsTest(DoorCase):
    def talk(self, request):
        """The answer to raw bytes: (status, whether the connection was closed after it)."""
        with socket.create_connection(
            (self.doors.gateway.host, self.doors.gateway.port), 20
        ) as raw:
            raw.sendall(request)
            return http_answer(raw)

    def head(self, *lines, method="GET", path="/live"):
        fixed = [f"{method} {path} HTTP/1.1", f"Host: {self.doors.gateway.host}"]
        return "\r\n".join([*fixed, *lines, "", ""]).encode()

    def test_a_head_has_its_bounds(self):
        self.assertEqual(self.talk(self.head())[0], 200)
        self.assertEqual(self.talk(self.head(path="/live?" + "a" * 7000))[0], 200)
        self.assertIn(self.talk(self.head(path="/live?" + "a" * 9000))[0], (413, 414))
        many = [f"X-{number}: 1" for number in range(120)]
        self.assertIn(self.talk(self.head(*many))[0], (413, 431))
        self.assertIn(self.talk(self.head("X-Long: " + "a" * 17000))[0], (413, 431))

    def test_a_body_has_its_bounds(self):
        large = self.head("Content-Length: 33554433", method="POST", path="/tokenize")
        self.assertEqual(self.talk(large), (413, True))
        chunked = self.head("Transfer-Encoding: chunked", method="POST", path="/tokenize")
        self.assertEqual(self.talk(chunked + b"2000001\r\n")[0], 413)

    def test_two_lengths_are_refused_and_closed(self):
        for lines in (
            ("Content-Length: 5", "Content-Length: 6"),
            ("Content-Length: 5", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked", "Content-Length: 5"),
            ("Content-Length: 5, 6",),
            ("Content-Length: +5",),
            ("Content-Length: -5",),
            ("Transfer-Encoding: gzip, chunked",),
        ):
            with self.subTest(lines=lines):
                answer = self.talk(self.head(*lines, method="POST", path="/tokenize") + b"hello")
                self.assertEqual(answer, (501 if "gzip" in lines[0] else 400, True))

    def test_json_has_its_bounds(self):
        for depth in (65, 100_000):
            answer = self.doors.post(
                "/v1/chat/completions", nested(depth), {"Content-Type": "application/json"}
            )
            self.assertEqual(answer.status, 400)
        one = CHAT["messages"][0]
        self.refuse({**CHAT, "messages": [one] * 4097}, 400, "invalid_request_error")
        tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
        self.refuse({**CHAT, "tools": [tool] * 1025}, 400, "invalid_request_error")
        prompts = {"model": "demo", "prompt": ["a"] * 65}
        self.refuse(prompts, 400, "invalid_request_error", path="/v1/completions")

    def test_one_connection_too_many_is_refused_and_the_others_stay(self):
        address = (self.doors.gateway.host, self.doors.gateway.port)
        sockets = [socket.create_connection(address, 20) for _ in range(4096)]
        try:
            late = socket.create_connection(address, 20)
            late.sendall(self.head())
            self.assertIn(http_answer(late)[0], (None, 429, 503))
            late.close()
            for one in sockets[::512]:
                one.sendall(self.head())
                self.assertEqual(http_answer(one)[0], 200)
        finally:
            for one in sockets:
                one.close()
        self.doors.wait_ready()

    def test_one_stream_too_many_is_refused(self):
        self.doors.rank.tell("stall")
        body = json.dumps({**CHAT, "stream": True, "max_tokens": 2}).encode()
        lines = ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        request = self.head(*lines, method="POST", path="/v1/chat/completions") + body
        address = (self.doors.gateway.host, self.doors.gateway.port)
        sockets = [socket.create_connection(address, 20) for _ in range(2048)]
        try:
            for one in sockets:
                one.sendall(request)
            for one in sockets:
                self.assertTrue(one.recv(15).startswith(b"HTTP/1.1 200"))
            refused = self.doors.post("/v1/chat/completions", CHAT)
            self.check_refusal(refused, "", 429, "rate_limit_error", "overloaded")
        finally:
            for one in sockets:
                one.close()
            self.doors.rank.tell("go")
        self.assertEqual(self.doors.post("/v1/chat/completions", CHAT).status, 200)


if __name__ == "__main__":
    main()
