#!/usr/bin/env python3
"""The short form of door_load.py: CPU time, memory, and that nothing is lost; no percentiles, which
a busy machine would decide."""

import unittest

from door_load import MAX_BYTES, MAX_CPU_SHARE, measure
from door_main import main

STREAMS = 1000
SECONDS = 6


class LoadTest(unittest.TestCase):
    def test_a_thousand_streams_lose_nothing_and_cost_little(self):
        found = measure(STREAMS, SECONDS, stop=100)
        for name, figures in found.items():
            with self.subTest(run=name):
                complete = STREAMS - figures["stopped"]
                self.assertEqual(figures["complete"], complete, figures)
                lost = (figures["damaged"], figures["miscounted"], figures["failures"])
                self.assertEqual(lost, (0, 0, {}), figures)
        self.assertLess(found["http"]["gateway_cpu_share"], MAX_CPU_SHARE, found["http"])
        self.assertLess(found["http"]["gateway_peak_bytes"], MAX_BYTES)


if __name__ == "__main__":
    main()
