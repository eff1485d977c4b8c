#!/usr/bin/env python3
"""Who is let in: keys, certificates, and what the gateway refuses to start with."""

import os
import signal
import ssl
import subprocess
import tempfile
import unittest

from door_case import CHAT
from door_fixture import Doors, bin_path
from door_main import main
from program import Program

ALICE = "secret-of-alice"
BOB = "secret-of-bob"


def write_keys(folder, text, mode=0o600):
    path = os.path.join(folder, "keys")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def write_certificate(folder):
    """A certificate of its own for 127.0.0.1, and its key."""
    names = [os.path.join(folder, name) for name in ("cert.pem", "key.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += [
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=test",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    command += ["-out", names[0], "-keyout", names[1]]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    os.chmod(names[1], 0o600)
    return names


def bearer(key):
    return {"Authorization": "Bearer " + key}


class KeysTest(unittest.TestCase):
    def test_keys_are_asked_for_and_read_again(self):
        with tempfile.TemporaryDirectory() as folder:
            path = write_keys(folder, f"alice {ALICE}\n")
            with Doors(gateway=["--api-key-file", path]) as doors:
                self.check(doors)
                write_keys(folder, f"bob {BOB}\n")
                os.kill(doors.gateway.process.pid, signal.SIGHUP)
                models = "/v1/models"
                doors.wait_until(
                    lambda: doors.request("GET", models, headers=bearer(BOB)).status == 200
                )
                self.assertEqual(doors.request("GET", models, headers=bearer(ALICE)).status, 401)
                self.assertNotIn(ALICE, "\n".join(doors.gateway_log()))

    def check(self, doors):
        path = "/v1/chat/completions"
        for headers in ({}, bearer("wrong"), {"x-api-key": "wrong"}, {"Authorization": "Basic x"}):
            refused = doors.post(path, CHAT, headers)
            self.assertEqual(refused.status, 401)
            error = refused.json()["error"]
            found = (error["type"], error["code"])
            self.assertEqual(found, ("authentication_error", "invalid_api_key"))
        for headers in (bearer(ALICE), {"x-api-key": ALICE}):
            self.assertEqual(doors.post(path, CHAT, headers).status, 200)
        for path in ("/live", "/health", "/ready", "/v2/health/ready", "/v2/health/live"):
            self.assertEqual(doors.request("GET", path).status, 200)
        for path in ("/v1/models", "/version", "/openapi.json"):
            self.assertEqual(doors.request("GET", path).status, 401, path)
        refused = doors.post("/v1/messages", {**CHAT, "max_tokens": 5}).json()
        self.assertEqual(
            (refused["type"], refused["error"]["type"]), ("error", "authentication_error")
        )

    def test_idempotency_keys_count_within_an_api_key(self):
        with tempfile.TemporaryDirectory() as folder:
            path = write_keys(folder, f"alice {ALICE}\nbob {BOB}\n")
            with Doors(gateway=["--api-key-file", path]) as doors:
                same = {"Idempotency-Key": "one"}
                ids = [
                    doors.post("/v1/chat/completions", CHAT, {**bearer(key), **same}).json()["id"]
                    for key in (ALICE, BOB, ALICE)
                ]
                self.assertEqual(ids[0], ids[2])
                self.assertNotEqual(ids[0], ids[1])


class StartTest(unittest.TestCase):
    def refused(self, *options):
        command = [
            bin_path("trireme-gateway"),
            "--endpoint",
            "tcp://127.0.0.1:9",
            "--http-port",
            "0",
        ]
        with Program([*command, *options]) as program:
            self.assertEqual(program.wait(), 2, program.text())
            self.assertRegex(program.text(), r"TRI-[A-Z]+-\d{3}")

    def test_it_does_not_start_open_to_others(self):
        self.refused("--http-host", "0.0.0.0")
        with tempfile.TemporaryDirectory() as folder:
            self.refused("--http-host", "0.0.0.0", "--api-key-file", write_keys(folder, "a b\n"))
            self.refused("--api-key-file", write_keys(folder, "alice secret\n", 0o644))
            self.refused("--api-key-file", write_keys(folder, "one-word-only\n"))
            self.refused("--tls-cert", os.path.join(folder, "absent"), "--tls-key", folder)


class TlsTest(unittest.TestCase):
    def test_streams_are_encrypted(self):
        with tempfile.TemporaryDirectory() as folder:
            certificate, key = write_certificate(folder)
            options = ["--tls-cert", certificate, "--tls-key", key]
            with Doors(
                gateway=options, context=ssl.create_default_context(cafile=certificate)
            ) as doors:
                self.assertTrue(doors.url.startswith("https://"))
                answer = doors.post("/v1/chat/completions", {**CHAT, "stream": True})
                self.assertEqual(answer.status, 200)
                self.assertTrue(answer.body.endswith(b"data: [DONE]\n\n"))
                command = ["curl", "-sS", "--cacert", certificate, doors.url + "/live"]
                subprocess.run(command, check=True, capture_output=True, timeout=30)
                plain = command[:2] + [doors.url.replace("https", "http") + "/live"]
                self.assertNotEqual(
                    subprocess.run(plain, capture_output=True, timeout=30).returncode, 0
                )
                self.assertEqual(doors.request("GET", "/live").status, 200)


if __name__ == "__main__":
    main()
