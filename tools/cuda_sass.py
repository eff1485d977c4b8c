"""SASS (machine code of NVIDIA GPUs) as `cuobjdump -sass` prints it: instructions, loops, paths.

An instruction of sm_70 to sm_90 has 128 bits, printed as two words of 64. The upper word holds what
the hardware obeys between instructions (Jia et al., "Dissecting the NVIDIA Volta GPU Architecture
via Microbenchmarking", 2018, section 2.1):

    bits 41-44  stall clocks             bits 49-51  scoreboard set until operands are read, 7: none
    bit  45     yield                    bits 52-57  mask of the scoreboards waited for
    bits 46-48  scoreboard set until     bits 58-61  operands kept for reuse
                the result arrives, 7: none

A load sets the scoreboard of bits 46-48; the instruction that first needs its result has that
scoreboard's bit in its mask. DEPBAR.LE SBi, n waits until at most n are pending on scoreboard i.
"""

import re
from collections import Counter

FUNCTION = re.compile(r"^\s*Function : (\S+)")
LINE = re.compile(r"^\s*/\*([0-9a-f]{4,})\*/\s+(.*?)\s*;\s*/\* 0x([0-9a-f]{16}) \*/")
UPPER = re.compile(r"^\s*/\* 0x([0-9a-f]{16}) \*/")
PREDICATE = re.compile(r"^@(!?U?P\w+)\s+")
TARGET = re.compile(r"\b0x([0-9a-f]+)$")
DEPBAR = re.compile(r"SB(\d), 0x([0-9a-f]+)")
NO_SCOREBOARD = 7
BYTES = 16  # of an instruction


class Instruction:
    """One instruction: address, predicate ("" if none), operation ("LDG.E.128"), operands."""

    def __init__(self, address, text, upper):
        self.address = address
        found = PREDICATE.match(text)
        self.predicate = found.group(1) if found else ""
        text = text[found.end() :] if found else text
        self.operation, _, self.operands = text.partition(" ")
        self.kind = self.operation.split(".")[0]
        control = upper >> 41
        self.sets = control >> 5 & 7
        self.waits = control >> 11 & 63
        self.target = self.address_in_operands() if self.kind in ("BRA", "JMP") else None
        self.is_call = self.kind == "CALL"

    def address_in_operands(self):
        found = TARGET.search(self.operands)
        if not found:
            raise ValueError(f"no target in {self.operation} {self.operands}")
        return int(found.group(1), 16)

    def goes_on(self):
        """Whether some thread may execute the next instruction."""
        if self.target is not None:
            # BRA.DIV and `BRA P0, 0x10` depend on more than the predicate in front.
            return bool(self.predicate) or "," in self.operands
        return self.kind not in ("EXIT", "RET", "BRX", "JMX", "KILL") or bool(self.predicate)

    def is_load(self):
        """A load from global or generic memory into registers."""
        return self.kind in ("LDG", "LD")

    def pending(self):
        """(scoreboard, n) of an instruction that waits until at most n are pending on it."""
        found = DEPBAR.match(self.operands) if self.kind == "DEPBAR" else None
        return (int(found.group(1)), int(found.group(2), 16)) if found else None


def parse(text):
    """{mangled kernel: [Instruction]} of a listing."""
    kernels = {}
    current, begun = None, None
    for line in text.split("\n"):
        if found := FUNCTION.match(line):
            current = kernels.setdefault(found.group(1), [])
        elif current is None:
            continue
        elif found := LINE.match(line):
            begun = (int(found.group(1), 16), found.group(2))
        elif begun and (found := UPPER.match(line)):
            current.append(Instruction(*begun, int(found.group(1), 16)))
            begun = None
    for instructions in kernels.values():
        tell_calls(instructions)
    return kernels


def tell_calls(instructions):
    """A CALL counts only if the return address was saved before it: otherwise ptxas uses it as a
    far branch, which has a target. One to a WARPSYNC routine does not count either: on sm_80 a
    warp that is not converged takes that path around a shuffle."""
    at = {instruction.address: place for place, instruction in enumerate(instructions)}
    for place, call in enumerate(instructions):
        if call.kind != "CALL" or not TARGET.search(call.operands):
            continue
        back = f", 0x{call.address + BYTES:x}"
        if not any(i.operands.endswith(back) for i in instructions[max(0, place - 16) : place]):
            call.kind, call.is_call, call.target = "BRA", False, call.address_in_operands()
        elif call.address_in_operands() in at:
            helper = instructions[at[call.address_in_operands()] :][:5]
            call.is_call = not any(i.kind == "WARPSYNC" for i in helper)


class Loop:
    """A natural loop: blocks that reach `head` again without leaving. Loops of one head are one."""

    def __init__(self, head, blocks):
        self.head = head
        self.blocks = blocks
        self.inner = []  # the loops directly inside


class Graph:
    """Basic blocks of a kernel, by index: instructions, successors and loops."""

    def __init__(self, instructions):
        self.blocks = self._cut(instructions)
        self.next = self._edges()
        self.order = self._reachable_in_order()
        self.loops = self._find_loops()

    @staticmethod
    def _cut(instructions):
        targets = {instruction.target for instruction in instructions}
        blocks, ended = [], True
        for instruction in instructions:
            if ended or instruction.address in targets:
                blocks.append([])
            blocks[-1].append(instruction)
            ended = instruction.target is not None or instruction.kind in ("EXIT", "RET")
        return blocks

    def _edges(self):
        at = {block[0].address: index for index, block in enumerate(self.blocks)}
        edges = []
        for index, block in enumerate(self.blocks):
            last, to = block[-1], []
            if last.target is not None:
                to.append(at[last.target])
            if last.goes_on() and index + 1 < len(self.blocks):
                to.append(index + 1)
            edges.append(to)
        return edges

    def _reachable_in_order(self):
        """Blocks reachable from the entry, each before its successors except along back edges."""
        done, order, stack = {0}, [], [(0, iter(self.next[0]))] if self.blocks else []
        while stack:
            block, rest = stack[-1]
            for to in rest:
                if to not in done:
                    done.add(to)
                    stack.append((to, iter(self.next[to])))
                    break
            else:
                order.append(block)
                stack.pop()
        return order[::-1]

    def _dominators(self):
        """{block: its immediate dominator} (Cooper, Harvey and Kennedy, 2001)."""
        rank = {block: i for i, block in enumerate(self.order)}
        before = {block: [] for block in self.order}
        for block in self.order:
            for to in self.next[block]:
                before[to].append(block)
        above = {self.order[0]: self.order[0]}
        changed = True
        while changed:
            changed = False
            for block in self.order[1:]:
                known = [b for b in before[block] if b in above]
                new = known[0]
                for other in known[1:]:
                    while new != other:
                        if rank[new] > rank[other]:
                            new = above[new]
                        else:
                            other = above[other]
                if above.get(block) != new:
                    above[block] = new
                    changed = True
        return above, before

    def _find_loops(self):
        """All loops, inner ones before those around them."""
        if not self.order:
            return []
        above, before = self._dominators()
        bodies = {}
        for block in self.order:
            for head in self.next[block]:
                over = block
                while over not in (head, self.order[0]):
                    over = above[over]
                if over != head:
                    continue
                body, stack = bodies.setdefault(head, {head}), [block]
                while stack:
                    inside = stack.pop()
                    if inside not in body:
                        body.add(inside)
                        stack += before[inside]
        loops = sorted((Loop(*item) for item in bodies.items()), key=lambda l: len(l.blocks))
        for i, loop in enumerate(loops):
            around = [other for other in loops[i + 1 :] if loop.head in other.blocks]
            if around:
                around[0].inner.append(loop)
        return loops

    def instructions(self, loop):
        return [instruction for block in sorted(loop.blocks) for instruction in self.blocks[block]]

    def path(self, loop, wanted, iterations):
        """Counter of the operations on one path through a loop, or through the kernel if `loop` is
        None: of all paths the ones with the most operations wanted[0], of these the ones with the
        most of wanted[1] and so on, and of these the one with the fewest instructions. A loop
        inside counts iterations(loop) times. None if no path leads through."""
        inner = loop.inner if loop else [l for l in self.loops if self._is_outermost(l)]
        around = {block: part for part in inner for block in part.blocks}
        inside = loop.blocks if loop else set(self.order)
        start = loop.head if loop else 0
        best = {}  # block that is entered: (score, counts) of the best path from the start to it
        ends = []
        best[start] = self._scored(Counter(), wanted)
        for block in self.order:
            if block not in inside or block not in best:
                continue
            counts = best[block][1]
            part = around.get(block)
            if part:
                once = self.path(part, wanted, iterations) or Counter()
                times = iterations(part)
                counts = counts + Counter({kind: n * times for kind, n in once.items()})
                exits = [to for b in part.blocks for to in self.next[b] if to not in part.blocks]
            else:
                counts = counts + Counter(i.kind for i in self.blocks[block])
                exits = self.next[block]
            scored = self._scored(counts, wanted)
            for to in exits:
                if to in inside and to != start:
                    best[to] = max(best.get(to, scored), scored, key=lambda entry: entry[0])
            if (loop and start in exits) or (not loop and not exits):
                ends.append(scored)
        return max(ends, key=lambda entry: entry[0])[1] if ends else None

    def _is_outermost(self, loop):
        return not any(loop in other.inner for other in self.loops)

    @staticmethod
    def _scored(counts, wanted):
        having = (counts[kind] if kind[0] != "-" else -counts[kind[1:]] for kind in wanted)
        return (-counts["CALL"], *having, -sum(counts.values())), counts

    def awaited(self, loop):
        """Loads that the iteration of the loop which issues them may wait for, and groups of
        asynchronous copies of which the very next wait leaves none pending."""
        found = []
        for block in sorted(loop.blocks):
            for place, instruction in enumerate(self.blocks[block]):
                if instruction.sets == NO_SCOREBOARD:
                    continue
                if instruction.is_load() and self._meets(loop, block, place, waits_for_load):
                    found.append(instruction)
                elif instruction.kind == "LDGDEPBAR" and self._meets(
                    loop, block, place, waits_for_copies
                ):
                    found.append(instruction)
        return found

    def _meets(self, loop, block, place, verdict):
        """Whether some path from an instruction to the end of the iteration meets one for which
        verdict(instruction of the start, this one, later users of the scoreboard) is True; a path
        ends where it is False."""
        start = self.blocks[block][place]
        seen, stack = set(), [(block, place + 1, 0)]
        while stack:
            block, place, later = stack.pop()
            said = None
            for instruction in self.blocks[block][place:]:
                said = verdict(start, instruction, later)
                if said is not None:
                    break
                later += instruction.sets == start.sets
            if said:
                return True
            for to in self.next[block] if said is None else []:
                if to in loop.blocks and to != loop.head and to not in seen:
                    seen.add(to)
                    stack.append((to, 0, later))
        return False


def waits_for_load(load, instruction, later):
    """True at an instruction that waits for the load, None before."""
    if instruction.waits >> load.sets & 1:
        return True
    pending = instruction.pending()
    return True if pending and pending[0] == load.sets and pending[1] <= later else None


def waits_for_copies(commit, instruction, later):
    """At the next wait for asynchronous copies: whether it waits for this group too."""
    pending = instruction.pending()
    if pending is None or pending[0] != commit.sets:
        return None
    return pending[1] <= later
