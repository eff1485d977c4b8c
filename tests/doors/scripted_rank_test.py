#!/usr/bin/env python3
"""The scripted rank with the real coordinator, over ZeroMQ alone: answers arrive whole, at the pace
of the script, and its faults are what the coordinator takes them for."""

import json
import os
import subprocess
import tempfile
import unittest

from door_fixture import Doors, test_path
from door_main import main


def load(doors, *options):
    """Figures of a run of stream_load over ZeroMQ."""
    command = [test_path("stream_load"), "--zmq", doors.endpoint, "--limit-s", "30", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout.splitlines()[-1])


class ScriptedRankTest(unittest.TestCase):
    def test_each_stream_gets_the_text_of_the_script(self):
        said = "The galley has three banks of oars, and the helmsman sings. "
        with Doors(has_gateway=False) as doors, tempfile.TemporaryDirectory() as folder:
            doors.rank.say({"text": said})
            expected = os.path.join(folder, "expected")
            with open(expected, "w", encoding="utf-8") as file:
                file.write(said)
            figures = load(doors, "--streams", "40", "--max-tokens", "200", "--expected", expected)
            self.assertEqual(figures["complete"], 40)
            self.assertEqual(figures["damaged"], 0, figures)
            self.assertEqual(figures["failures"], {})

    def test_tokens_come_at_the_pace_of_the_script(self):
        with Doors(has_gateway=False) as doors:
            doors.rank.say({"words": 20, "step_us": 20000, "loop": True})
            figures = load(doors, "--streams", "3", "--max-tokens", "20")
            self.assertEqual(figures["complete"], 3)
            self.assertGreater(figures["gap_ms"]["p50"], 15)

    def test_a_failed_request_leaves_the_others_alone(self):
        with Doors(has_gateway=False) as doors:
            doors.rank.say({"words": 8, "act": "fail", "at": 3, "match": "client 1 "}, {"words": 8})
            figures = load(doors, "--streams", "4", "--max-tokens", "50")
            self.assertEqual(figures["failures"], {"TRI-STEP-001": 1})
            self.assertEqual(figures["complete"], 3)

    def test_a_dead_rank_is_lost_and_another_takes_its_place(self):
        with Doors(has_gateway=False) as doors:
            doors.rank.say({"words": 8, "act": "die", "at": 2})
            with doors.load_beside("--streams", "2", "--max-tokens", "50") as running:
                lost = doors.coordinator.event("group_lost")
                self.assertEqual(lost["host"], "scripted")
                doors.start_rank()
                figures = json.loads(running.line(lambda line: line.startswith("{") and line))
            self.assertEqual(figures["complete"], 2)

    def test_a_request_that_crashes_its_rank_again_and_again_ends_alone(self):
        script = [{"words": 60, "act": "crash", "at": 3, "match": "client 1 "}, {"words": 60}]
        with Doors(has_gateway=False) as doors:
            doors.rank.say(*script)
            with doors.load_beside("--streams", "4", "--max-tokens", "50") as running:
                for _ in range(3):
                    lost = doors.coordinator.event("group_lost")
                    self.assertEqual(lost["id"], "TRI-GRP-059")
                    doors.start_rank(["--script", doors.write_script(*script)])
                figures = json.loads(running.line(lambda line: line.startswith("{") and line))
            self.assertEqual(figures["failures"], {"TRI-REQ-099": 1})
            self.assertEqual(figures["complete"], 3)

    def test_garbage_ends_the_group_and_not_the_coordinator(self):
        with Doors(has_gateway=False) as doors:
            doors.rank.say({"words": 8, "act": "garbage", "at": 2})
            with doors.load_beside("--streams", "1", "--max-tokens", "50"):
                doors.coordinator.event("group_lost")
            doors.start_rank()
            self.assertEqual(load(doors, "--streams", "1", "--max-tokens", "5")["complete"], 1)


if __name__ == "__main__":
    main()
