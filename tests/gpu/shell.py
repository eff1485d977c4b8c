"""Runs commands of a bundle under deadlines, and ends what they leave behind."""

import ctypes
import os
import signal
import subprocess
import tempfile
import time

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
NOT_REACHED = "not reached"  # the time of its part or of the run was over first
STUB = "stub"  # a dry run: something stood in for the GPU or its tools
STATES = (PASSED, FAILED, SKIPPED, NOT_REACHED, STUB)
NO_DEVICE = 77
LEAST_SECONDS = 2  # less time than this is none: a command could not even start
END_SECONDS = 10  # for a killed process, whose driver frees its memory, to disappear
PR_SET_CHILD_SUBREAPER = 36


class Check:
    """One command or comparison of a part."""

    def __init__(self, name, state, words=""):
        self.name, self.state, self.words = name, state, words

    def as_json(self):
        return {"name": self.name, "state": self.state, "words": self.words}


class Outcome:
    """The result of a command: its exit status (None: it had to be ended) and its two outputs."""

    def __init__(self, status, text, errors, ended=""):
        self.status, self.text, self.errors, self.ended = status, text, errors, ended

    def last_words(self):
        if self.status is None:
            return self.ended
        lines = [line for line in (self.errors + self.text).split("\n") if line.strip()]
        return f"status {self.status}: {lines[-1][:300] if lines else 'it printed nothing'}"

    def state(self):
        if self.status is None:
            return NOT_REACHED if self.ended.startswith(NOT_REACHED) else FAILED
        return {0: PASSED, NO_DEVICE: SKIPPED}.get(self.status, FAILED)

    def as_check(self, name):
        state = self.state()
        return Check(name, state, "" if state == PASSED else self.last_words())


def parents():
    """The parent of every process: {pid: parent's pid}."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                found[int(name)] = int(file.read().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError, ValueError):
            continue
    return found


def descendants(root, spared):
    """All processes below `root`, without those of `spared` and what is below them."""
    children = {}
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    found, ahead = [], list(children.get(root, []))
    while ahead:
        pid = ahead.pop()
        if pid not in spared:
            found.append(pid)
            ahead += children.get(pid, [])
    return found


def text_of(file):
    file.seek(0)
    return file.read().decode(errors="replace")


class Shell:
    """Runs commands until a deadline, and writes their output to the log.

    Orphans of the commands become children of this process, so that none is lost: ranks of mpirun
    have sessions of their own.
    """

    def __init__(self, bundle, log, seconds):
        self.bundle, self.log = bundle, log
        self.run_deadline = self.deadline = time.monotonic() + seconds
        self.spared = set()  # helpers that live as long as the run
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def left(self):
        return self.deadline - time.monotonic()

    def begin_part(self, seconds, slot_end):
        """A part has `seconds`, or what earlier ones have left of the time up to `slot_end`."""
        self.deadline = min(self.run_deadline, max(time.monotonic() + seconds, slot_end))

    def end_part(self):
        self.deadline = self.run_deadline

    def say(self, words):
        self.log.write(words + "\n")
        self.log.flush()

    def run(self, command, seconds, bundled=True, environment=None):
        """Runs a command for at most `seconds`, and no longer than the part may take.

        A command that takes longer than `seconds` has failed; one that is ended earlier, because
        its part's time is over, was not reached.
        """
        if bundled:
            command = [os.path.join(self.bundle, "with_bundle.sh"), *command]
        given = min(seconds, self.left())
        self.say(f"\n$ {' '.join(command)}   # at most {given:.0f} s")
        if given < min(LEAST_SECONDS, seconds):
            self.say("# not reached")
            return Outcome(None, "", "", NOT_REACHED)
        begin = time.monotonic()
        # Files, not pipes: a child that is left behind would hold a pipe open.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )
            ended = ""
            try:
                process.wait(timeout=given)
            except subprocess.TimeoutExpired:
                full = given >= seconds
                ended = f"not done within {seconds:g} s" if full else f"{NOT_REACHED}: out of time"
                os.killpg(process.pid, signal.SIGKILL)
            finally:  # also where a signal ends this run
                self.end_leftovers()
            text, errors = (text_of(file) for file in (out, err))
        status = None if ended else process.returncode
        self.say(text + errors + f"# status {status}, {time.monotonic() - begin:.1f} s")
        return Outcome(status, text, errors, ended)

    def end_leftovers(self):
        """Kills, by their ids, all processes that commands have left, and waits for their ends."""
        deadline = time.monotonic() + END_SECONDS
        named = set()
        while time.monotonic() < deadline:
            left = descendants(os.getpid(), self.spared)
            if not left:
                return
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                    done, _ = os.waitpid(pid, os.WNOHANG)
                except (ProcessLookupError, ChildProcessError):
                    continue
                if done == 0 and pid not in named:
                    named.add(pid)
                    self.say(f"# ended process {pid}, which was left behind")
            time.sleep(0.02)
        self.say(f"# processes that do not end: {sorted(left)}")

    def check(self, name, command, seconds, **options):
        return self.run(command, seconds, **options).as_check(name)
