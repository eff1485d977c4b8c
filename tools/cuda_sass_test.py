#!/usr/bin/env python3
"""tools/cuda_sass.py reads control words, loops and paths through them.

The records under tests/data/sass are of nvcc 13.0 for sm_90a, without the padding behind the code:
a loop that waits for a stage of a ring, asks for another by cp.async and multiplies; the same with
a call of a function; the same with a load of the stage's number in the iteration that needs it.
"""

import os
import unittest

import cuda_sass

RECORDS = os.path.join(os.path.dirname(__file__), "..", "tests", "data", "sass")


def record(name):
    with open(os.path.join(RECORDS, name), encoding="utf-8") as file:
        return file.read()


def lines(*instructions):
    """A listing: each instruction is its text or (text, scoreboard that it sets, mask of those that
    it waits for)."""
    listing = ["Function : kernel"]
    for index, instruction in enumerate(instructions):
        text, sets, waits = instruction if isinstance(instruction, tuple) else (instruction, 7, 0)
        upper = (sets << 5 | waits << 11) << 41
        listing.append(f"/*{16 * index:04x}*/ {text} ; /* 0x{0:016x} */")
        listing.append(f"/* 0x{upper:016x} */")
    return "\n".join(listing)


def graph_of(listing):
    (instructions,) = cuda_sass.parse(listing).values()
    return cuda_sass.Graph(instructions)


def awaited(listing):
    graph = graph_of(listing)
    return [found.address for found in graph.awaited(graph.loops[0])]


def kinds(graph, loop):
    return [instruction.kind for instruction in graph.instructions(loop)]


class Records(unittest.TestCase):
    def test_control_words_are_read(self):
        code = {i.address: i for i in cuda_sass.parse(record("ring_that_awaits.txt"))["ring"]}
        load = code[0x1F0]
        self.assertEqual((load.operation, load.sets, load.waits), ("LDG.E", 2, 0))
        first_use = next(i for i in code.values() if i.address > 0x1F0 and i.waits >> 2 & 1)
        self.assertEqual(first_use.operands, "R15, R12, 0x20, RZ")

    def test_the_loop_is_found(self):
        graph = graph_of(record("ring.txt"))
        self.assertEqual(len(graph.loops), 1)
        found = kinds(graph, graph.loops[0])
        self.assertEqual((found.count("HMMA"), found.count("LDGSTS"), len(found)), (1, 1, 24))

    def test_what_waits_for_an_older_stage_awaits_nothing(self):
        self.assertEqual(awaited(record("ring.txt")), [])

    def test_a_wait_for_the_stage_just_asked_for_is_awaited(self):
        planted = record("ring.txt").replace("DEPBAR.LE SB0, 0x2", "NOP", 1)
        planted = planted.replace("NOP ;", "DEPBAR.LE SB0, 0x0 ;")
        self.assertEqual(len(awaited(planted)), 1)

    def test_a_load_awaited_in_its_trip_is_found(self):
        self.assertEqual(awaited(record("ring_that_awaits.txt")), [0x1F0])

    def test_a_call_is_found(self):
        graph = graph_of(record("ring_that_calls.txt"))
        inside = graph.instructions(graph.loops[0])
        self.assertEqual([i.address for i in inside if i.is_call], [0x2F0])
        graph = graph_of(record("ring.txt"))
        self.assertFalse(any(i.is_call for i in graph.instructions(graph.loops[0])))


class Awaited(unittest.TestCase):
    def loop(self, *instructions):
        return lines(*instructions, f"@P0 BRA 0x{0:x}", "EXIT")

    def test_a_wait_before_the_load_is_for_the_load_of_the_trip_before(self):
        self.assertEqual(awaited(self.loop(("MOV R1, R2", 7, 0b100), ("LDG.E R2, [R4]", 2, 0))), [])

    def test_a_wait_behind_the_load_is_for_the_load(self):
        planted = self.loop(("LDG.E R2, [R4]", 2, 0), ("MOV R1, R2", 7, 0b100))
        self.assertEqual(awaited(planted), [0])

    def test_a_wait_for_another_scoreboard_is_none(self):
        self.assertEqual(awaited(self.loop(("LDG.E R2, [R4]", 2, 0), ("MOV R1, R3", 7, 0b010))), [])

    def test_a_wait_in_a_branch_of_the_loop_counts(self):
        planted = self.loop(
            ("LDG.E R2, [R4]", 2, 0), "@P1 BRA 0x40", "BRA 0x50", "NOP", ("MOV R1, R2", 7, 0b100)
        )
        self.assertEqual(awaited(planted), [0])

    def test_a_wait_that_leaves_the_load_pending_is_none(self):
        load = ("LDG.E R2, [R4]", 2, 0)
        later = ("LDG.E R3, [R4]", 2, 0)
        self.assertEqual(awaited(self.loop(load, later, "DEPBAR.LE SB2, 0x2")), [])
        self.assertEqual(awaited(self.loop(load, later, "DEPBAR.LE SB2, 0x1")), [0])


class Calls(unittest.TestCase):
    def calls(self, *instructions):
        (code,) = cuda_sass.parse(lines(*instructions)).values()
        return [i.address for i in code if i.is_call]

    def test_a_call_that_keeps_its_return_address_is_one(self):
        self.assertEqual(self.calls("MOV R2, 0x20", "CALL.REL.NOINC 0x30", "EXIT", "RET"), [0x10])

    def test_a_call_that_does_not_is_a_branch(self):
        code = ("@P0 CALL.REL.NOINC 0x20", "BRA 0x0", "EXIT")
        self.assertEqual(self.calls(*code), [])
        graph = graph_of(lines(*code))
        self.assertEqual([len(loop.blocks) for loop in graph.loops], [2])

    def test_a_call_around_a_shuffle_is_none(self):
        helper = ("MOV R2, 0x20", "CALL.REL.NOINC 0x30", "EXIT", "WARPSYNC R3", "RET")
        self.assertEqual(self.calls(*helper), [])


class Ways(unittest.TestCase):
    OUTER = (
        "MOV R0, R1",  # 0x00, head
        "@P1 BRA 0x40",  # leaves the copy out
        "LDGSTS [R0], [R2]",
        "@P2 BRA 0x20",  # copies again
        "HMMA R0, R0, R0, R0",  # 0x40
        "@P3 BRA 0x80",
        "FADD R0, R0, R0",
        "FADD R0, R0, R0",
        "@P0 BRA 0x0",  # 0x80
        "EXIT",
    )

    def setUp(self):
        self.graph = graph_of(lines(*self.OUTER))
        self.inner, self.outer = self.graph.loops

    def test_inner_loops_come_first(self):
        self.assertEqual(self.outer.inner, [self.inner])
        self.assertEqual(kinds(self.graph, self.inner), ["LDGSTS", "BRA"])

    def test_the_way_has_all_copies_in_the_fewest_instructions(self):
        path = self.graph.path(self.outer, ("HMMA", "LDGSTS"), lambda _: 1)
        self.assertEqual((path["LDGSTS"], path["FADD"], sum(path.values())), (1, 0, 7))

    def test_the_way_has_no_copy_where_it_shall_have_few(self):
        path = self.graph.path(self.outer, ("-LDGSTS",), lambda _: 1)
        self.assertEqual((path["LDGSTS"], sum(path.values())), (0, 5))

    def test_an_inner_loop_counts_as_often_as_it_runs(self):
        path = self.graph.path(self.outer, ("HMMA", "LDGSTS"), lambda _: 4)
        self.assertEqual((path["LDGSTS"], sum(path.values())), (4, 13))

    def test_the_way_goes_round_calls(self):
        code = ("@P0 BRA 0x40", "MOV R2, 0x30", "CALL.REL.NOINC 0x60", "BRA 0x50", "FADD R0, R0")
        graph = graph_of(lines(*code, "EXIT", "RET"))
        self.assertEqual(sum(graph.path(None, (), lambda _: 1).values()), 3)


if __name__ == "__main__":
    unittest.main(verbosity=1)
