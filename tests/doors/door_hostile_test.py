#!/usr/bin/env python3
"""Hostile bytes from outside: mutated requests, half requests, floods. Nothing crashes, nothing is
answered with a 500, and nothing is held afterwards."""

import json
import random
import socket

from door_case import CHAT, DoorCase
from door_main import main

SEED = 20260101
MUTANTS = 1500
ALLOWED_5XX = (501, 503, 504)
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
BODIES = (
    ("/v1/chat/completions", {**CHAT, "stream": True, "max_tokens": 2}),
    (
        "/v1/chat/completions",
        {**CHAT, "tools": [TOOL], "logprobs": True, "top_logprobs": 2, "n": 2},
    ),
    ("/v1/completions", {"model": "demo", "prompt": ["a", "b"], "echo": True, "max_tokens": 2}),
    ("/v1/responses", {"model": "demo", "input": "a", "max_output_tokens": 2, "stream": True}),
    ("/v1/messages", {**CHAT, "max_tokens": 2, "system": [{"type": "text", "text": "x"}]}),
    ("/v1/messages/count_tokens", CHAT),
    ("/tokenize", {"prompt": "a \u00fc \U0001f6a3", "add_special_tokens": True}),
    ("/detokenize", {"tokens": [1, 2, 3]}),
)
WORDS = (b"\0", b"\r\n\r\n", b"\r\n", b"{", b"[" * 200, b'"', b"\\ud800", b"1e999", b"-1", b"null")
WORDS += (b"Content-Length: 9\r\n", b"Transfer-Encoding: chunked\r\n", b"\xff\xfe", b"9" * 40, b":")


def request_of(path, body, host):
    text = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(text)}\r\n\r\n".encode(), text


def mutated(data, rng):
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randint(1, 20)]
        elif kind == 2:
            data[at:at] = rng.choice(WORDS)
        elif kind == 3:
            data[at:at] = data[at : at + rng.randint(1, 60)]
        elif at < len(data):
            data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


class HostileTest(DoorCase):
    script = ({"words": 2},)

    def setUp(self):
        self.address = (self.doors.gateway.host, self.doors.gateway.port)

    def send(self, data):
        """The statuses of what comes back after these bytes and the end of the sender."""
        with socket.create_connection(self.address, 20) as raw:
            try:
                raw.sendall(data)
                raw.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            answer = b""
            try:
                while more := raw.recv(65536):
                    answer += more
            except ConnectionResetError:
                pass
        heads = answer.split(b"HTTP/1.")[1:]
        return [int(head[2:5]) for head in heads if head[2:5].isdigit()]

    def check(self, data):
        for status in self.send(data):
            fine = 100 <= status < 500 or status in ALLOWED_5XX
            self.assertTrue(fine, f"status {status} for {data!r}")

    def after(self):
        self.assertIsNone(self.doors.gateway.process.poll(), self.doors.gateway.text())
        self.assertIsNone(self.doors.coordinator.process.poll(), self.doors.coordinator.text())
        self.assertEqual(self.doors.post("/v1/chat/completions", CHAT).status, 200)
        self.doors.wait_idle()

    def test_mutated_bodies_with_their_right_length(self):
        rng = random.Random(SEED)
        for _ in range(MUTANTS):
            path, body = rng.choice(BODIES)
            text = mutated(json.dumps(body).encode(), rng)
            head = f"POST {path} HTTP/1.1\r\nHost: {self.address[0]}\r\nConnection: close\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
            self.check(head.encode() + text)
        self.after()

    def test_mutated_requests(self):
        rng = random.Random(SEED + 1)
        for _ in range(MUTANTS):
            path, body = rng.choice(BODIES)
            head, text = request_of(path, body, self.address[0])
            self.check(mutated(head, rng) + text)
        self.after()

    def test_noise_and_other_protocols(self):
        rng = random.Random(SEED + 2)
        tls = bytes.fromhex("16030100c8010000c40303") + rng.randbytes(190)
        http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + rng.randbytes(40)
        zmtp = b"\xff" + b"\0" * 8 + b"\x7f\x03\x01NULL" + b"\0" * 48
        for data in (tls, http2, zmtp, b"", b"\r\n" * 5000, b"GET " + b"/" * 100_000, b"GET\0/\0"):
            self.check(data)
        for _ in range(200):
            self.check(rng.randbytes(rng.randint(1, 4000)))
        self.after()

    def test_bombs(self):
        def bomb(text):
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {self.address[0]}\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
            self.check(head.encode() + text)

        bomb(b"[" * 4_000_000)
        bomb(b'{"messages":' * 400_000)
        bomb(b'{"a":1,' + b'"a":1,' * 500_000 + b'"b":1}')
        bomb(b'{"stop":[' + b'"",' * 500_000 + b'""]}')
        bomb(b'{"temperature":' + b"1" * 2_000_000 + b"}")
        for text in ("<|im_end|>" * 20_000, "\ufdfa" * 20_000, " " * 100_000, "a" * 1_000_000):
            bomb(json.dumps({**CHAT, "messages": [{"role": "user", "content": text}]}).encode())
        self.after()

    def test_two_hundred_half_requests_do_not_disturb_a_whole_one(self):
        head, text = request_of(*BODIES[0], self.address[0])
        halves = []
        for number in range(200):
            raw = socket.create_connection(self.address, 20)
            raw.sendall((head + text)[: 1 + number % (len(head) + len(text) - 1)])
            halves.append(raw)
        self.assertEqual(self.doors.post("/v1/chat/completions", CHAT).status, 200)
        for raw in halves:
            raw.close()
        self.after()


if __name__ == "__main__":
    main()
