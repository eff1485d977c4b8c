"""A test case with one cluster for all its tests, and the calls that they share."""

import unittest

from door_fixture import Doors

SAID = "The galley has three banks of oars."
CHAT = {"model": "demo", "messages": [{"role": "user", "content": "Say it."}]}


def in_form_of(answer, path):
    """(type, code or None, message, param or None) of an error; asserts its form."""
    body = answer.json()
    if path.startswith("/v1/messages"):
        assert set(body) == {"type", "error", "request_id"} and body["type"] == "error", body
        assert set(body["error"]) == {"type", "message"}, body
        return body["error"]["type"], None, body["error"]["message"], None
    assert set(body) == {"error"}, body
    assert set(body["error"]) == {"message", "type", "param", "code", "id"}, body
    error = body["error"]
    return error["type"], error["code"], error["message"], error["param"]


class DoorCase(unittest.TestCase):
    options = {}
    script = ({"text": SAID},)

    @classmethod
    def setUpClass(cls):
        cls.doors = Doors(**cls.options)
        cls.doors.rank.say(*cls.script)

    @classmethod
    def tearDownClass(cls):
        cls.doors.close()

    def refuse(self, body, status, kind, code=None, path="/v1/chat/completions", headers=None):
        """The answer to a request that must be refused so."""
        answer = self.doors.post(path, body, headers)
        self.check_refusal(answer, path, status, kind, code)
        return answer

    def check_refusal(self, answer, path, status, kind, code=None):
        self.assertEqual(answer.status, status, answer.body)
        found, found_code, message, _ = in_form_of(answer, path)
        self.assertEqual(found, kind, answer.body)
        self.assertRegex(message, r"^TRI-[A-Z]+-\d{3}: ")
        if code:
            self.assertEqual(found_code, code, answer.body)
        self.assertTrue(answer.headers["x-request-id"])
        self.assertEqual(answer.headers["x-request-id"], answer.headers["request-id"])
