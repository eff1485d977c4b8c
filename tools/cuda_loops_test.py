#!/usr/bin/env python3
"""Each kind of fault of a hot loop makes tools/cuda_loops.py fail; the tools are found."""

import os
import tempfile
import unittest
from unittest import mock

import cuda_loops
import cuda_sass
from cuda_sass_test import lines, record

KERNEL = "decode_kernel<Bf16, 64>"
KEY = ("attention_decode.cu", "stage", KERNEL)
ARCHITECTURES = ("sm_80", "sm_90a")


def stage(iteration=None, kernel=r"decode_kernel<Bf16, (\d+)>"):
    find = cuda_loops.innermost_with("HMMA", "LDGSTS")
    return cuda_loops.NamedLoop("stage", KEY[0], kernel, find, iteration, ("HMMA", "LDGSTS"))


def measured(listing, iteration=None):
    (instructions,) = cuda_sass.parse(listing).values()
    return cuda_loops.values_of(stage(iteration), KERNEL, instructions)


class Values(unittest.TestCase):
    def test_a_loop_has_its_values(self):
        expected = {**Table.VALUES, "awaited": 0}
        self.assertEqual(measured(record("ring.txt")), expected)

    def test_a_call_and_an_awaited_load_are_counted(self):
        self.assertEqual(measured(record("ring_that_calls.txt"))["calls"], 1)
        self.assertEqual(measured(record("ring_that_awaits.txt"))["awaited"], 1)

    def test_inner_loops_run_as_often_as_the_shape_says(self):
        nested = lines(
            "MOV R0, R1", "LDGSTS [R0], [R2]", "@P2 BRA 0x10", "HMMA R0, R0", "@P0 BRA 0x0", "EXIT"
        )
        self.assertEqual(measured(nested, lambda dim: (1, dim // 8))["instructions"], 3 + 2 * 8)
        words = "0 LDGSTS and 1 in inner loops do not make 0"
        self.assertEqual(measured(nested, lambda dim: (1, 0)), words)

    def test_a_loop_over_two_pages_counts_one(self):
        two = lines(*["HMMA R0, R0", "LDGSTS [R0], [R2]"] * 2, "@P0 BRA 0x0", "EXIT")
        self.assertEqual(measured(two, lambda _: (1, 1))["instructions"], 3)
        self.assertEqual(measured(two, lambda _: (2, 2))["instructions"], 5)
        words = "2 HMMA and 0 in inner loops do not make 3"
        self.assertEqual(measured(two, lambda _: (3, 2)), words)
        self.assertIn("different numbers of pages", measured(two, lambda _: (2, 1)))

    def test_a_kernel_without_the_loop_is_a_fault(self):
        self.assertEqual(measured(lines("HMMA R0, R0", "EXIT")), NO_LOOP)


NO_LOOP = "the kernel has no such loop"


class Table(unittest.TestCase):
    VALUES = {"instructions": 24, "per hmma": 24.0, "per ldgsts": 24.0, "calls": 0, "awaited": 1}

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "loops.csv")
        self.write(self.VALUES)

    def write(self, values):
        loops = {KEY: dict.fromkeys(ARCHITECTURES, values)}
        cuda_loops.write_table(self.path, "13.0", loops, ARCHITECTURES)

    def faults(self, loops):
        _, table = cuda_loops.read_table(self.path, ARCHITECTURES)
        lines_of = cuda_loops.check(loops, table, ARCHITECTURES)
        return {words for _, _, _, faults in lines_of for words in faults}

    def faults_with(self, **changed):
        return self.faults({KEY: dict.fromkeys(ARCHITECTURES, {**self.VALUES, **changed})})

    def test_what_keeps_to_the_table_passes(self):
        self.assertEqual(self.faults_with(), set())
        self.assertEqual(self.faults_with(instructions=20, awaited=0), set())

    def test_each_value_above_the_table_fails(self):
        for field, value in self.VALUES.items():
            words = {f"{field} are {value + 1}, the table has {value}"}
            self.assertEqual(self.faults_with(**{field: value + 1}), words)

    def test_a_value_that_the_table_does_not_have_fails(self):
        self.write({**self.VALUES, "per ldgsts": ""})
        self.assertEqual(self.faults_with(), {"per ldgsts are 24.0, the table has none"})

    def test_a_loop_without_a_line_and_a_line_without_a_loop_fail(self):
        other = {("linear_tile.cu", *KEY[1:]): dict.fromkeys(ARCHITECTURES, self.VALUES)}
        words = {"has no line in the table (--write makes one)", "is not built"}
        self.assertEqual(self.faults(other), words)

    def test_what_cannot_be_measured_fails_and_is_not_written(self):
        loops = {KEY: dict.fromkeys(ARCHITECTURES, NO_LOOP)}
        self.assertEqual(self.faults(loops), {NO_LOOP})
        with self.assertRaises(SystemExit):
            cuda_loops.write_table(self.path, "13.0", loops, ARCHITECTURES)
        self.assertEqual(self.faults_with(), set())

    def test_aims_are_in_the_table_and_told_until_they_are_reached(self):
        with mock.patch.dict(cuda_loops.AIMS, {KEY: (20, 10)}, clear=True):
            self.write(self.VALUES)
            with open(self.path, encoding="utf-8") as file:
                self.assertIn(",20,10,", file.read())
            _, table = cuda_loops.read_table(self.path, ARCHITECTURES)
            words = f"sm_90a stage of {KERNEL}: 24 instructions, the aim is 20, later 10"
            self.assertEqual(cuda_loops.above_aims(table, "sm_90a"), [words])
            table[KEY]["sm_90a"]["instructions"] = 10
            self.assertEqual(cuda_loops.above_aims(table, "sm_90a"), [])


class Tools(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def make(self, *parts):
        path = os.path.join(self.folder.name, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n")
        os.chmod(path, 0o755)
        return os.path.dirname(path)

    def found(self, **environment):
        folders = list(cuda_loops.folders_of_tools({"PATH": "", **environment}))
        inside = [f for f in folders if f.startswith(self.folder.name)]
        return cuda_loops.find_tools({"PATH": ""}, inside)

    def test_both_are_found_in_path(self):
        one, other = self.make("a", "cuobjdump"), self.make("b", "nvdisasm")
        path = os.pathsep.join([one, other])
        self.assertEqual(self.found(PATH=path).split(os.pathsep)[:2], [one, other])

    def test_both_are_found_in_a_toolkit(self):
        self.make("cuda", "bin", "cuobjdump")
        place = self.make("cuda", "bin", "nvdisasm")
        root = os.path.join(self.folder.name, "cuda")
        self.assertEqual(self.found(CUDAToolkit_ROOT=root).split(os.pathsep)[:2], [place, place])
        nvcc = os.path.join(self.make("cuda", "bin", "nvcc"), "nvcc")
        self.assertEqual(self.found(TRIREME_NVCC=nvcc).split(os.pathsep)[:2], [place, place])

    def test_both_are_found_in_a_python_environment(self):
        site = ("lib", "python3.11", "site-packages", "nvidia")
        one = self.make("venv", *site, "cu13", "bin", "cuobjdump")
        other = self.make("venv", *site, "cuda_nvdisasm", "bin", "nvdisasm")
        venv = os.path.join(self.folder.name, "venv")
        self.assertEqual(self.found(VIRTUAL_ENV=venv).split(os.pathsep)[:2], [one, other])

    def test_one_without_the_other_is_not_enough(self):
        self.assertIsNone(self.found(PATH=self.make("a", "cuobjdump")))


if __name__ == "__main__":
    unittest.main(verbosity=1)
