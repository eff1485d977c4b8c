#!/usr/bin/env python3
"""The limits of time, all waited for at once: a slow head, a slow body, an idle connection, and a
reader that takes nothing."""

import json
import re
import socket
import threading
import time

from door_case import CHAT, DoorCase
from door_main import main


class SlowTest(DoorCase):
    """Each waits for the gateway to close the connection and checks when it did."""

    options = {"positions": 32768, "rank": ["--step-us", "200"]}
    script = ({"words": 64, "loop": True},)

    def connect(self, receive_bytes=None):
        raw = socket.socket()
        if receive_bytes:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        raw.settimeout(120)
        raw.connect((self.doors.gateway.host, self.doors.gateway.port))
        return raw

    def head(self, *lines, method="GET", path="/live"):
        fixed = [f"{method} {path} HTTP/1.1", f"Host: {self.doors.gateway.host}"]
        return "\r\n".join([*fixed, *lines, "", ""]).encode()

    @staticmethod
    def until_closed(raw, drip=None, every_s=0.5):
        """Seconds until the peer has closed; sends `drip` again and again meanwhile."""
        begin = time.monotonic()
        raw.settimeout(every_s if drip else 120)
        while True:
            try:
                if not raw.recv(65536):
                    break
            except socket.timeout:
                try:
                    raw.sendall(drip)
                except OSError:
                    break
            except OSError:
                break
        return time.monotonic() - begin

    def slow_head(self):
        raw = self.connect()
        raw.sendall(b"GET /live HTTP/1.1\r\nX-Slow: ")
        return self.until_closed(raw, b"a")

    def slow_body(self):
        raw = self.connect()
        raw.sendall(self.head("Content-Length: 1000000", method="POST", path="/tokenize"))
        return self.until_closed(raw, b"a" * 100)

    def idle(self):
        raw = self.connect()
        raw.sendall(self.head())
        return self.until_closed(raw)

    def takes_nothing(self):
        """Until the gateway gives it up, whatever is still on its way to the reader."""
        raw = self.connect(receive_bytes=4096)
        body = json.dumps({**CHAT, "stream": True, "max_tokens": 32000}).encode()
        lines = ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        begin = time.monotonic()
        raw.sendall(self.head(*lines, method="POST", path="/v1/chat/completions") + body)
        raw.recv(10)
        given_up = re.compile(r"event=client_gone .*reason=stalled")
        self.doors.wait_until(lambda: any(map(given_up.search, self.doors.gateway_log())), 120)
        raw.close()
        return time.monotonic() - begin

    def test_each_limit_of_time_ends_its_connection_alone(self):
        found = {}

        def run(name):
            found[name] = getattr(self, name)()

        names = ("slow_head", "slow_body", "idle", "takes_nothing")
        threads = [threading.Thread(target=run, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(150)
        self.assertEqual(set(found), set(names), found)
        self.assertTrue(9 <= found["slow_head"] <= 14, found)
        self.assertTrue(10 <= found["slow_body"] <= 25, found)
        self.assertTrue(70 <= found["idle"] <= 85, found)
        self.assertTrue(55 <= found["takes_nothing"] <= 90, found)
        self.doors.rank.say({"words": 3})
        self.assertEqual(self.doors.post("/v1/chat/completions", CHAT).status, 200)
        self.doors.wait_idle()


if __name__ == "__main__":
    main()
