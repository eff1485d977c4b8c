#!/usr/bin/env python3
"""The HTTP door as curl and health checks see it: the bytes of a stream, heads, methods, versions
of HTTP, keep-alive, health, names of models, and whom it lets in."""

import json
import os
import re
import subprocess
import tempfile

from door_case import CHAT, SAID, DoorCase
from door_fixture import SOURCE, Doors, chunks_of
from door_main import main

GOLDEN = os.path.join(SOURCE, "tests", "doors", "golden")


def curl(doors, *arguments, data=None):
    """(status, head, body) of one curl call."""
    with tempfile.NamedTemporaryFile() as head:
        command = ["curl", "-sS", "--max-time", "20", "-D", head.name, *arguments]
        done = subprocess.run(command, input=data, capture_output=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr.decode()
        text = head.read().decode()
    return int(re.findall(r"^HTTP/\S+ (\d+)", text, re.M)[-1]), text, done.stdout


def masked(body):
    """A stream without what differs from run to run: ids, times, the fingerprint."""
    names = r'"(id|item_id)": ?"(chatcmpl-|cmpl-|resp_|msg_)[^"]*"'
    text = re.sub(names, r'"\1":"\2ID"', body.decode())
    text = re.sub(r'"(created|created_at)": ?\d+', r'"\1":0', text)
    return re.sub(r'"system_fingerprint": ?"fp_[0-9a-f]{12}"', '"system_fingerprint":"fp_0"', text)


def with_joined_deltas(stream):
    """A masked stream with each run of text deltas as one: how many tokens share an event depends
    on the time that passes between them. Sequence numbers, which count the events, become 0."""
    blocks = []
    for block in stream.split("\n\n"):
        block = re.sub(r'"sequence_number":\d+', '"sequence_number":0', block)
        text = re.search(r'"(?:content|text|delta)":"((?:[^"\\]|\\.)*)"', block)
        begin, end = text.span(1) if text else (len(block), len(block))
        around, value = (block[:begin], block[end:]), block[begin:end]
        if text and blocks and blocks[-1][0] == around:
            value = blocks.pop()[1] + value
        blocks.append((around, value))
    return "\n\n".join(head + value + tail for (head, tail), value in blocks)


class DoorTest(DoorCase):
    def curl(self, path, *arguments, data=None):
        return curl(self.doors, self.doors.url + path, *arguments, data=data)

    def post(self, path, body, *arguments):
        arguments = ("-H", "Content-Type: application/json", "--data-binary", "@-", *arguments)
        return self.curl(path, *arguments, data=json.dumps(body).encode())


class EchoTest(DoorTest):
    def test_the_prompt_alone_is_its_echo(self):
        body = {"model": "demo", "prompt": "Say it.", "echo": True, "max_tokens": 0}
        answer = self.doors.post("/v1/completions", body).json()
        self.assertEqual(answer["choices"][0]["text"], "Say it.")
        self.assertEqual(answer["usage"]["completion_tokens"], 0)

    def test_the_logprobs_of_an_echo_begin_with_the_first_token_of_the_prompt(self):
        body = {"model": "demo", "prompt": "Say it.", "echo": True, "logprobs": 1, "max_tokens": 2}
        choice = self.doors.post("/v1/completions", body).json()["choices"][0]
        self.assertTrue(choice["text"].startswith("Say it."))
        self.assertEqual("".join(choice["logprobs"]["tokens"]), choice["text"])


class StreamTest(DoorTest):
    def golden(self, name, body):
        """The file was read by a person; TRIREME_WRITE_GOLDEN=1 writes it again."""
        path = os.path.join(GOLDEN, name)
        if os.environ.get("TRIREME_WRITE_GOLDEN"):
            with open(path, "w", encoding="utf-8") as file:
                file.write(masked(body))
        found = masked(body)
        numbers = [int(number) for number in re.findall(r'"sequence_number":(\d+)', found)]
        self.assertEqual(numbers, list(range(len(numbers))))
        with open(path, encoding="utf-8") as file:
            self.assertEqual(with_joined_deltas(found), with_joined_deltas(file.read()))

    def test_the_bytes_of_a_chat_stream(self):
        body = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
        status, head, stream = self.post("/v1/chat/completions", body, "-N")
        self.assertEqual(status, 200)
        for line in (
            "Content-Type: text/event-stream",
            "Cache-Control: no-cache",
            "X-Accel-Buffering: no",
        ):
            self.assertIn(line.lower(), head.lower())
        self.assertRegex(head.lower(), "x-request-id: .+\r\n")
        self.golden("chat.sse", stream)

    def test_the_bytes_of_the_other_streams(self):
        prompt = {"model": "demo", "prompt": "Say it.", "max_tokens": 64, "stream": True}
        self.golden("completion.sse", self.post("/v1/completions", prompt)[2])
        items = {"model": "demo", "input": "Say it.", "stream": True}
        self.golden("responses.sse", self.post("/v1/responses", items)[2])
        message = {**CHAT, "max_tokens": 64, "stream": True}
        self.golden("messages.sse", self.post("/v1/messages", message)[2])

    def test_a_stream_joined_is_the_answer_unstreamed(self):
        whole = self.doors.post("/v1/chat/completions", CHAT).json()["choices"][0]
        streamed = self.doors.post("/v1/chat/completions", {**CHAT, "stream": True})
        chunks = chunks_of(streamed)
        self.assertTrue(streamed.body.endswith(b"data: [DONE]\n\n"))
        self.assertEqual(whole["message"]["content"], SAID)
        joined = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks)
        self.assertEqual(joined, SAID)
        self.assertEqual(chunks[0]["choices"][0]["delta"]["role"], "assistant")
        ends = [c["choices"][0]["finish_reason"] for c in chunks]
        self.assertEqual(ends[-1], "stop")
        self.assertEqual(set(ends[:-1]), {None})

    def test_http_1_0_ends_with_the_connection(self):
        body = {**CHAT, "stream": True}
        status, head, stream = self.post("/v1/chat/completions", body, "--http1.0")
        self.assertEqual(status, 200)
        self.assertNotIn("transfer-encoding", head.lower())
        self.assertTrue(stream.endswith(b"data: [DONE]\n\n"))
        status, _, whole = self.post("/v1/chat/completions", CHAT, "--http1.0")
        self.assertEqual(json.loads(whole)["choices"][0]["message"]["content"], SAID)

    def test_a_silent_stream_has_comments(self):
        with Doors(gateway=["--keep-alive-s", "1"]) as doors:
            doors.rank.say({"text": SAID, "first_us": 2_500_000})
            chat = doors.post("/v1/chat/completions", {**CHAT, "stream": True})
            self.assertRegex(chat.body.decode(), r"(?m)^: ")
            self.assertTrue(chat.body.endswith(b"data: [DONE]\n\n"))
            message = {**CHAT, "max_tokens": 64, "stream": True}
            self.assertIn(b"event: ping\n", doors.post("/v1/messages", message).body)


class HeadTest(DoorTest):
    def test_a_large_body_waits_for_100_continue(self):
        prompt = json.dumps("a" * (1 << 18)).encode()
        body = b'{"model": "demo", "prompt": ' + prompt + b" " * (2 << 20) + b"}"
        with tempfile.NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            arguments = ("-H", "Expect: 100-continue", "-H", "Content-Type: application/json")
            status, head, answer = self.curl(
                "/tokenize", *arguments, "--data-binary", "@" + file.name
            )
        self.assertIn("HTTP/1.1 100", head)
        self.assertEqual(status, 200, answer[:300])
        self.assertGreater(json.loads(answer)["count"], 1000)

    def test_head_is_get_without_its_body(self):
        for path in ("/v1/models", "/health", "/version", "/v2"):
            status, head, body = self.curl(path, "--head")
            got, get_head, _ = self.curl(path)
            self.assertEqual((status, got), (200, 200), path)
            self.assertNotIn(b"{", body.split(b"\r\n\r\n")[-1])
            length = re.search(r"(?i)content-length: (\d+)", get_head).group(1)
            self.assertIn(f"content-length: {length}", head.lower())

    def test_options_names_the_methods(self):
        for path, methods in (("/v1/chat/completions", "POST"), ("/v1/models", "GET")):
            status, head, _ = self.curl(path, "-X", "OPTIONS")
            self.assertIn(status, (200, 204))
            self.assertIn(methods, re.search(r"(?i)^allow: (.*)$", head, re.M).group(1))

    def test_one_connection_serves_many_requests(self):
        connection = self.doors.connection()
        connection.connect()
        port = connection.sock.getsockname()[1]
        for number in range(20):
            if number % 2:
                connection.request("GET", "/v1/models")
            else:
                body = json.dumps({**CHAT, "stream": number % 4 == 0})
                connection.request(
                    "POST", "/v1/chat/completions", body, {"Content-Type": "application/json"}
                )
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            answer.read()
            self.assertEqual(connection.sock.getsockname()[1], port)
        connection.close()

    def test_two_requests_in_one_packet_are_answered_in_order(self):
        request = f"GET /live HTTP/1.1\r\nHost: {self.doors.gateway.host}\r\n\r\n".encode()
        connection = self.doors.connection()
        connection.connect()
        connection.sock.sendall(request * 3)
        data = b""
        while data.count(b"HTTP/1.1 200") < 3:
            more = connection.sock.recv(65536)
            self.assertTrue(more, data)
            data += more
        connection.close()

    def test_a_request_id_of_the_client_comes_back(self):
        answer = self.doors.post("/v1/chat/completions", CHAT, {"X-Request-Id": "trace:1.a_b-c"})
        self.assertEqual(answer.headers["x-request-id"], "trace:1.a_b-c")
        self.assertEqual(answer.headers["request-id"], "trace:1.a_b-c")
        answer = self.doors.post("/v1/chat/completions", CHAT, {"X-Request-Id": "a b"})
        self.assertNotEqual(answer.headers["x-request-id"], "a b")


class HealthTest(DoorTest):
    def test_kserve_probes(self):
        for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/demo/ready"):
            self.assertEqual(self.curl(path)[0], 200, path)
        server = json.loads(self.curl("/v2")[2])
        self.assertEqual(server["name"], "trireme")
        self.assertIsInstance(server["version"], str)
        self.assertIsInstance(server["extensions"], list)
        model = json.loads(self.curl("/v2/models/demo")[2])
        self.assertEqual(model["name"], "demo")
        self.assertIsInstance(model["platform"], str)
        for name in ("inputs", "outputs"):
            self.assertIsInstance(model[name], list)
        self.assertEqual(self.curl("/v2/models/other/ready")[0], 404)

    def test_the_model_is_one_object_for_three_clients(self):
        models = json.loads(self.curl("/v1/models")[2])
        self.assertEqual(models["object"], "list")
        self.assertEqual((models["has_more"], models["first_id"]), (False, "demo"))
        model = json.loads(self.curl("/v1/models/demo")[2])
        self.assertEqual(model, {**models["data"][0], **model})
        expected = {"id": "demo", "object": "model", "owned_by": "trireme", "type": "model"}
        self.assertEqual(model, {**model, **expected, "max_model_len": 1024, "lifecycle": "active"})
        # https://www.tensorflow.org/tfx/serving/api_rest#model_status_api
        status = model["model_version_status"][0]
        self.assertEqual(status["state"], "AVAILABLE")
        self.assertEqual(status["status"], {"error_code": "OK", "error_message": ""})
        version = status["version"]
        self.assertEqual(self.curl(f"/v1/models/demo/versions/{version}")[0], 200)
        self.assertEqual(self.curl("/v1/models/demo/versions/no-such")[0], 404)

    def test_names_with_a_slash_work_raw_and_escaped(self):
        with Doors(coordinator=["--served-model-name", "org/demo"]) as doors:
            for path in ("/v1/models/org/demo", "/v1/models/org%2Fdemo"):
                self.assertEqual(doors.request("GET", path).json()["id"], "org/demo")
            self.assertEqual(doors.request("GET", "/v2/models/org%2Fdemo/ready").status, 200)

    def test_health_tells_what_it_waits_for(self):
        for path in ("/health", "/ready", "/live"):
            self.assertEqual(self.curl(path)[0], 200, path)
        with Doors(has_rank=False) as doors:
            state = {"status": "unreachable"}
            while state["status"] == "unreachable":
                state = doors.request("GET", "/ready").json()
            self.assertEqual(doors.request("GET", "/live").status, 200)
            for path in ("/health", "/ready"):
                answer = doors.request("GET", path)
                self.assertEqual(answer.status, 503)
                self.assertLessEqual({"status", "reason"}, set(answer.json()))
            refused = doors.post("/v1/chat/completions", CHAT)
            self.assertEqual((refused.status, refused.json()["error"]["code"]), (503, "no_group"))
            self.assertIn("Retry-After", refused.headers)
            doors.start_rank()
            doors.wait_ready()

    def test_the_rest_of_the_routes(self):
        self.assertEqual(self.curl("/version")[0], 200)
        self.assertEqual(json.loads(self.curl("/openapi.json")[2])["openapi"][:2], "3.")
        text = "Oars."
        tokens = self.doors.post("/tokenize", {"prompt": text, "return_token_strs": True}).json()
        self.assertEqual(tokens["count"], len(tokens["tokens"]))
        self.assertEqual(len(tokens["token_strs"]), tokens["count"])
        self.assertEqual(
            self.doors.post("/detokenize", {"tokens": tokens["tokens"]}).json()["prompt"], text
        )


class GuestsTest(DoorTest):
    def test_a_page_of_another_origin_is_refused(self):
        status, _, body = self.post("/v1/chat/completions", CHAT, "-H", "Origin: http://evil.test")
        self.assertEqual((status, json.loads(body)["error"]["type"]), (403, "permission_error"))
        status, head, _ = self.curl("/v1/models", "-H", "Origin: " + self.doors.url)
        self.assertEqual(status, 200)

    def test_a_rebound_host_name_is_refused(self):
        status, _, body = self.curl("/v1/models", "-H", "Host: rebound.test")
        self.assertEqual((status, json.loads(body)["error"]["type"]), (403, "permission_error"))
        for host in ("localhost", "127.0.0.1", "[::1]"):
            self.assertEqual(
                self.curl("/v1/models", "-H", f"Host: {host}:{self.doors.gateway.port}")[0], 200
            )

    def test_allowed_ones_get_their_headers(self):
        options = ["--allowed-origins", "http://app.test", "--allowed-hosts", "door.test"]
        with Doors(gateway=options) as doors:
            status, head, _ = curl(doors, doors.url + "/v1/models", "-H", "Origin: http://app.test")
            self.assertEqual(status, 200)
            self.assertIn("access-control-allow-origin: http://app.test", head.lower())
            asks = ["-X", "OPTIONS", "-H", "Origin: http://app.test"]
            asks += ["-H", "Access-Control-Request-Method: POST"]
            status, head, _ = curl(doors, doors.url + "/v1/chat/completions", *asks)
            self.assertIn(status, (200, 204))
            self.assertIn("access-control-allow-methods", head.lower())
            self.assertEqual(curl(doors, doors.url + "/v1/models", "-H", "Host: door.test")[0], 200)


if __name__ == "__main__":
    main()
