#!/usr/bin/env python3
"""kernel_timeline.py on made-up kernels, whose sums are known; with --trace the files that
libkernel_trace.so writes with a fake libcupti, or status 77 (skipped) where they were not built.

kernel_timeline_test.py [--trace [LIBRARY FAKE_CUPTI]]
"""

import gzip
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kernel_timeline  # noqa: E402

LIBRARIES = sys.argv[2:4]
NAMES = ["name,0,trireme::(anonymous namespace)::take", "name,1,void trireme::cuda::tile<int, 2>"]


def kernel(start_us, end_us, stream=13, name=0, graph=4):
    """A line of the library; times in microseconds."""
    times = f"{int(1000 * start_us)},{int(1000 * end_us)}"
    return f"kernel,{times},0,{stream},{graph},9,132,256,96,0,{name}"


class Timeline(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def put(self, lines, process=1):
        path = os.path.join(self.folder, f"trace.{process}")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join([*NAMES, *lines]) + "\n")
        return path

    def read(self, *files):
        return kernel_timeline.read(files)

    def test_names_lose_namespaces_templates_and_types(self):
        self.assertEqual(kernel_timeline.short_name("void a::b<c::d<1>, 2>"), "b")
        self.assertEqual(kernel_timeline.short_name("x::(anonymous namespace)::take"), "take")
        self.assertEqual(kernel_timeline.short_name("ampere_gemm_64"), "ampere_gemm_64")

    def test_a_step_has_its_nodes_gaps_and_the_time_without_a_kernel(self):
        # Two steps of three kernels, 100 us each: 10 + 20 + 30 us busy, gaps of 2 and 3.
        lines = []
        for start in (1000, 1100):
            lines += [
                kernel(start, start + 10),
                kernel(start + 12, start + 32, name=1),
                kernel(start + 35, start + 65, name=1),
            ]
        kernels, dropped = self.read(self.put(lines))
        found = kernel_timeline.summarize(kernels, 1000, 1200)
        self.assertEqual(dropped, 0)
        self.assertEqual((found["steps"], found["nodes"], found["in_graph"]), (2, 3, 1))
        self.assertEqual((found["step_us"], found["kernels_us"]), (100, 60))
        self.assertEqual(found["step_less_kernels_us"], 40)
        self.assertEqual((found["gap_us_median"], found["gap_us_p90"]), (2.5, 3))
        tile = {"name": "tile", "per_step": 2, "us_mean": 25, "us_per_step": 50}
        self.assertEqual(found["kernels"][0], tile)

    def test_kernels_that_overlap_are_counted_once_in_the_time_of_a_step(self):
        lines = [kernel(0, 10), kernel(5, 20, name=1), kernel(8, 12, name=1)]
        kernels, _ = self.read(self.put(lines))
        self.assertEqual(kernel_timeline.union_us(kernels), 20)
        found = kernel_timeline.summarize(kernels, 0, 50)
        self.assertEqual(found["step_less_kernels_us"], 30)
        self.assertEqual(found["gap_us_median"], 0)

    def test_only_kernels_of_the_window_count(self):
        lines = [kernel(start, start + 10) for start in (0, 100, 200, 300)]
        kernels, _ = self.read(self.put(lines))
        self.assertEqual(kernel_timeline.summarize(kernels, 100, 300)["steps"], 2)
        self.assertIsNone(kernel_timeline.summarize(kernels, 400, 500))

    def test_ranks_are_lanes_and_their_overlap_is_of_the_time_with_a_kernel(self):
        # Busy 0-30 on one lane, 20-40 on the other: 10 of 40 us together.
        lines = [kernel(0, 30), kernel(20, 40, stream=14)]
        kernels, _ = self.read(self.put(lines))
        found = kernel_timeline.summarize(kernels, 0, 100)
        self.assertEqual((found["ranks"], found["overlap_of_ranks"]), (2, 0.25))
        # The same as two processes, whose streams have the same number.
        kernels, _ = self.read(self.put([kernel(0, 30)]), self.put([kernel(20, 40)], process=2))
        found = kernel_timeline.summarize(kernels, 0, 100)
        self.assertEqual((found["ranks"], found["overlap_of_ranks"]), (2, 0.25))

    def test_a_stream_without_steps_is_no_rank(self):
        lines = [kernel(0, 30), kernel(20, 40, stream=14, name=1, graph=0)]
        kernels, _ = self.read(self.put(lines))
        self.assertEqual(kernel_timeline.summarize(kernels, 0, 100)["ranks"], 1)

    def test_lines_that_were_cut_are_left_out_and_lost_records_told(self):
        copy = "copy,1,2,0,13,0,0,64,1"
        path = self.put([kernel(0, 30), "dropped,7", "dropped,2", copy, "kernel,5000,60"])
        kernels, dropped = self.read(path)
        self.assertEqual((len(kernels), dropped), (1, 9))

    def test_the_packed_file_has_all_lines_up_to_its_limit(self):
        files = [self.put([kernel(i, i + 1, name=i % 2) for i in range(20000)])]
        path = os.path.join(self.folder, "packed.csv.gz")
        self.assertTrue(kernel_timeline.pack(files, path, 16 << 20))
        with gzip.open(path, "rt", encoding="utf-8") as packed:
            self.assertEqual(len(packed.readlines()), 1 + len(NAMES) + 20000)
        self.assertFalse(kernel_timeline.pack(files, path, (1 << 17) + 20000))
        self.assertLess(os.path.getsize(path), (1 << 17) + 20000)


class KernelTrace(unittest.TestCase):
    def run_library(self, folder, cupti):
        words = f"import ctypes; assert ctypes.CDLL({LIBRARIES[0]!r}).InitializeInjection() == 1"
        done = subprocess.run(
            [sys.executable, "-c", words],
            env={"KERNEL_TRACE": f"{folder}/trace", "KERNEL_TRACE_CUPTI": cupti},
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stderr

    def test_kernels_copies_and_sets_are_written_when_the_process_ends(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(self.run_library(folder, LIBRARIES[1]), "")
            files = kernel_timeline.files_of(f"{folder}/trace")
            self.assertEqual(len(files), 1)
            with open(files[0], encoding="utf-8") as file:
                lines = [line.rstrip("\n").split(",") for line in file]
            start = int(lines[1][1])
            self.assertEqual(lines[0], ["name", "0", "void trireme::take<int>"])
            expected = [
                ["kernel", 0, 500, 1, 13, 7, 77, 8, 128, 96, 1024, 0],
                ["copy", 1000, 1500, 1, 13, 0, 0, 64, 1],
                ["set", 2000, 2500, 1, 13, 0, 0, 32],
            ]
            for line, (kind, begin, end, *others) in zip(lines[1:], expected):
                row = [kind, start + begin, start + end, *others]
                self.assertEqual(line, [str(value) for value in row])
            self.assertEqual(lines[4], ["dropped", "2"])
            kernels, _ = kernel_timeline.read(files)
            self.assertEqual(kernels[0].name, "take")

    def test_without_cupti_the_process_goes_on_and_says_so(self):
        with tempfile.TemporaryDirectory() as folder:
            words = self.run_library(folder, f"{folder}/libcupti.so.13")
            self.assertIn("kernel trace: no CUPTI 13: ", words)
            self.assertEqual(os.listdir(folder), [])


if __name__ == "__main__":
    if sys.argv[1:] == ["--trace"]:
        print("skipped: CUPTI's headers are not installed, or this is a sanitizer build")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], defaultTest="KernelTrace" if LIBRARIES else "Timeline")
