#!/usr/bin/env python3
"""Each kind of fault makes tools/cuda_budget.py fail."""

import os
import tempfile
import unittest

import cuda_budget

KERNEL = (
    "_ZN7trireme4cuda44_GLOBAL__N__1fdc8295_11_add_norm_cu_633b1772"
    "8norm_rowINS0_4Fp16ELi1EEEvi"
)
KEY = ("add_norm.cu", "norm_row<Fp16, 1>")


def said_by_ptxas(registers=40, shared=0, stack=0, spill=0, kernel=KERNEL):
    """The lines of `ptxas -v` for one kernel on both architectures."""
    smem = f", {shared} bytes smem" if shared else ""
    return "".join(
        f"ptxas info    : 0 bytes gmem\n"
        f"ptxas info    : Compiling entry function '{kernel}' for '{architecture}'\n"
        f"ptxas info    : Function properties for {kernel}\n"
        f"    {stack} bytes stack frame, {spill} bytes spill stores, {spill} bytes spill loads\n"
        f"ptxas info    : Used {registers} registers, used 1 barriers{smem}, 448 bytes cmem[0]\n"
        for architecture in cuda_budget.ARCHITECTURES
    )


class Budget(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.table = self.path("table.csv")
        cuda_budget.write_table(self.table, "13.0", self.built(said_by_ptxas(shared=64)))

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def built(self, *logs, source="add_norm.cu"):
        with open(self.path(source + ".o.ptxas"), "w", encoding="utf-8") as file:
            file.write("".join(logs))
        return cuda_budget.read_build(self.folder.name)

    def faults(self, *logs, **others):
        _, table = cuda_budget.read_table(self.table)
        lines = cuda_budget.check(self.built(*logs), table, **others)
        return {words for _, _, _, faults in lines for words in faults}

    def test_a_kernel_has_its_name_of_the_source(self):
        self.assertEqual(list(self.built(said_by_ptxas())), [KEY])

    def test_what_keeps_to_the_table_passes(self):
        self.assertEqual(self.faults(said_by_ptxas(shared=64)), set())
        self.assertEqual(self.faults(said_by_ptxas(registers=39, shared=32)), set())

    def test_a_spill_fails(self):
        self.assertEqual(self.faults(said_by_ptxas(spill=8)), {"spills 16 bytes"})

    def test_a_stack_frame_fails(self):
        self.assertEqual(self.faults(said_by_ptxas(stack=24)), {"has a stack frame of 24 bytes"})

    def test_a_register_over_the_table_fails(self):
        words = {"takes 41 registers, its budget is 40"}
        self.assertEqual(self.faults(said_by_ptxas(registers=41)), words)

    def test_shared_memory_over_the_table_fails(self):
        words = {"takes 65 shared_bytes, its budget is 64"}
        self.assertEqual(self.faults(said_by_ptxas(shared=65)), words)

    def test_a_kernel_that_the_table_does_not_have_fails(self):
        other = said_by_ptxas(kernel=KERNEL.replace("Li1E", "Li2E"))
        words = {"has no line in the table (--write makes one)"}
        self.assertEqual(self.faults(said_by_ptxas(), other), words)

    def test_a_line_without_a_kernel_fails(self):
        other = said_by_ptxas(kernel=KERNEL.replace("Li1E", "Li2E"))
        self.assertIn("is not built", self.faults(other))

    def test_another_compiler_has_other_registers_and_no_leave_to_spill(self):
        of_other = said_by_ptxas(registers=99, spill=4)
        self.assertEqual(self.faults(of_other, compares_registers=False), {"spills 8 bytes"})

    def test_more_than_24_attention_instances_fail(self):
        logs = [said_by_ptxas(kernel=KERNEL.replace("Li1E", f"Li{i}E")) for i in range(25)]
        built = self.built(*logs, source="attention_decode.cu")
        words = [faults for _, source, _, faults in cuda_budget.check(built, built) if faults]
        self.assertEqual(words, [["25 instances, at most 24 are allowed"]] * 2)


if __name__ == "__main__":
    unittest.main(verbosity=1)
