#!/usr/bin/env python3
"""The parts of tests/gpu/run_all.sh: each has a time limit, and its failure is reported, not fatal.

run_all.py --bundle BUNDLE --out FOLDER [--only PART,...]
"""

import argparse
import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

TOTAL_SECONDS = 530  # under 9 minutes
BYTES_PER_SECOND = 4.3e12  # rate of a copy on an H200, for the floors
FLOPS_PER_SECOND = 790e12  # rate of a bf16 matmul of 8192^3 there
CUTS = ((1, 1), (2, 1), (1, 2), (2, 2))
# Llama 3.1 8B: the weights that a decode reads (all but the embedding), KV of one token, and the
# work of a prefill of 8192 tokens (its linear layers and its causal attention).
WEIGHT_BYTES = 15.0e9
KV_BYTES = 32 * 2 * 8 * 128 * 2
PREFILL_8K_FLOPS = 114.3e12 + 17.6e12

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
NO_DEVICE = 77


class Check:
    """One command or comparison of a part."""

    def __init__(self, name, state, words=""):
        self.name, self.state, self.words = name, state, words

    def as_json(self):
        return {"name": self.name, "state": self.state, "words": self.words}


class Outcome:
    """The result of a command: its exit status (None: it timed out) and its two outputs."""

    def __init__(self, status, text, errors):
        self.status, self.text, self.errors = status, text, errors

    def last_words(self):
        if self.status is None:
            return "it timed out"
        lines = [line for line in (self.errors + self.text).split("\n") if line.strip()]
        return f"status {self.status}: {lines[-1][:300] if lines else 'it printed nothing'}"

    def state(self):
        return {0: PASSED, NO_DEVICE: SKIPPED}.get(self.status, FAILED)


class Shell:
    """Runs commands of the bundle until a deadline, and writes their output to the log."""

    def __init__(self, bundle, log):
        self.bundle, self.log = bundle, log
        self.deadline = time.monotonic() + TOTAL_SECONDS

    def left(self):
        return self.deadline - time.monotonic()

    def run(self, command, seconds, bundled=True):
        if bundled:
            command = [os.path.join(self.bundle, "with_bundle.sh"), *command]
        seconds = min(seconds, self.left())
        self.log.write(f"\n$ {' '.join(command)}   # at most {seconds:.0f} s\n")
        self.log.flush()
        if seconds <= 0:
            return Outcome(None, "", "")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            text, errors = process.communicate(timeout=seconds)
            status = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            text, errors = process.communicate()
            status = None
        self.log.write(text + errors + f"# status {status}\n")
        self.log.flush()
        return Outcome(status, text, errors)

    def check(self, name, command, seconds, bundled=True):
        outcome = self.run(command, seconds, bundled)
        state = outcome.state()
        return Check(name, state, "" if state == PASSED else outcome.last_words())


def json_lines(text):
    found = []
    for line in text.split("\n"):
        if line.startswith("{"):
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                pass
    return found


# --- parts: each takes the run and returns its checks; figures go to run.figures ----------------


def part_ops(run):
    """The op suite on the device, both types, fast and invariant."""
    tests = sorted(glob.glob(os.path.join(run.bundle, "tests", "*_test")))
    checks = []
    for test in tests:
        command = [test, "--gtest_filter=*cuda*", "--gtest_brief=1"]
        checks.append(run.shell.check(os.path.basename(test), command, 40))
    return checks


def golden_models(run):
    pattern = os.path.join(run.bundle, "tests/data/golden/models/*/expected.safetensors")
    return [os.path.dirname(path) for path in sorted(glob.glob(pattern))]


def trireme(tp, pp, *verb, one_gpu=True):
    """A command at tp x pp. On fewer GPUs than ranks, the ranks are threads of one process."""
    visible = ["env", "CUDA_VISIBLE_DEVICES=0"] if one_gpu else []
    return [*visible, "trireme", *verb, "-tp", str(tp), "-pp", str(pp), "--backend", "cuda"]


def verify(run, cuts, one_gpu):
    checks = []
    for tp, pp in cuts:
        for model in golden_models(run):
            command = trireme(tp, pp, "verify", "--model", model, one_gpu=one_gpu)
            name = f"{os.path.basename(model)} {tp}x{pp}"
            checks.append(run.shell.check(name, command, 30))
    return checks


def part_verify(run):
    """Logits and greedy tokens of every golden, at every tp x pp, on one GPU over peer memory."""
    return verify(run, CUTS, one_gpu=True)


def part_nccl(run):
    """The same over NCCL, with one GPU per rank."""
    if run.num_gpus < 2:
        return [Check("nccl", SKIPPED, "this machine has one GPU; NCCL needs two")]
    cuts = [cut for cut in CUTS[1:] if cut[0] * cut[1] <= run.num_gpus]
    return verify(run, cuts, one_gpu=False)


def part_invariant(run):
    """--invariant: the answer to a request does not depend on its batch or on tp x pp."""
    model = os.path.join(run.bundle, "models/demo")
    prompts = [f"fn number_{i}() -> usize {{ " + "x + " * (7 * i) for i in range(8)]
    answers = {}
    for tp, pp in ((1, 1), (2, 2)):
        for num_prompts in (1, len(prompts)):
            with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
                for prompt in prompts[:num_prompts]:
                    file.write(json.dumps({"prompt": prompt}) + "\n")
                file.flush()
                command = trireme(tp, pp, "run", "--model", model) + ["--invariant"]
                command += ["--prompts", file.name, "--max-tokens", "48", "--temperature", "0"]
                outcome = run.shell.run([*command, "--logprobs", "3", "--json"], 30)
            if outcome.status != 0:
                return [Check(f"{tp}x{pp}", FAILED, outcome.last_words())]
            of_first = [line for line in json_lines(outcome.text) if line.get("id") == "1"]
            answers[(tp, pp, num_prompts)] = answer_bits(of_first[0]) if of_first else None
    first = answers[(1, 1, 1)]
    return [
        Check(
            f"-tp {tp} -pp {pp}, {count} at once",
            PASSED if answer == first and answer is not None else FAILED,
            "" if answer == first else "tokens or logprobs differ from those alone at 1x1",
        )
        for (tp, pp, count), answer in answers.items()
    ]


def answer_bits(answer):
    """The tokens of an answer and their log-probabilities, without its times."""
    return {key: answer.get(key) for key in ("token_ids", "text", "finish_reason", "logprobs")}


def part_benches(run):
    """The single ops, with their floors."""
    outcome = run.shell.run(["trireme-cuda-bench", "--rounds", "20"], 75)
    lines = json_lines(outcome.text)
    reads = [line for line in lines if line["op"] == "read"]
    rate = max((line["bytes"] / line["us_median"] for line in reads), default=0)  # bytes per us
    for line in lines:
        if rate and line["op"] == "attention_decode":
            line["aim_us"] = 8 + line["bytes"] / (0.90 * rate)
        if line["op"] == "attention_prefill":
            line["tflops"] = line["flops"] / line["us_median"] / 1e6
        if rate and line["bytes"]:
            line["share_of_read_rate"] = line["bytes"] / line["us_median"] / rate
    run.figures["ops"] = lines
    if rate:
        run.figures["read_bytes_per_second"] = rate * 1e6
    state = outcome.state()
    return [Check("trireme-cuda-bench", state, "" if state == PASSED else outcome.last_words())]


def part_torch(run):
    """The same shapes through PyTorch, if it is installed."""
    python = os.environ.get("TRIREME_PYTHON", sys.executable)
    script = os.path.join(run.bundle, "torch_rival.py")
    outcome = run.shell.run([python, script], 45, bundled=False)
    run.figures["torch"] = json_lines(outcome.text)
    state = outcome.state()
    return [Check("torch", state, "" if state == PASSED else outcome.last_words())]


def step_floor_s(line):
    """The minimum time of a measurement of `bench step` on Llama 3.1 8B (bf16)."""
    if line["kind"] == "prefill":
        return PREFILL_8K_FLOPS * line["tokens"] / 8192 / FLOPS_PER_SECOND
    batch = line["batch"]
    kv_bytes = batch * line.get("context", 0) * KV_BYTES
    return line["tokens"] / batch * (WEIGHT_BYTES + kv_bytes) / BYTES_PER_SECOND


def part_step(run):
    """bench step: Llama 3.1 8B with random weights."""
    command = trireme(1, 1, "bench", "step", "--model", "dummy:llama-3.1-8b")
    command += ["--prefill", "8192", "--decode", "32", "--batch", "1,32,128", "--context", "2048"]
    command += ["--max-num-batched-tokens", "8192", "--repeats", "2", "--json"]
    outcome = run.shell.run(command, 110)
    lines = json_lines(outcome.text)
    for line in lines:
        line["floor_seconds"] = step_floor_s(line)
        line["share"] = line["floor_seconds"] / line["seconds_median"]
    run.figures["step"] = lines
    state = outcome.state()
    return [Check("bench step", state, "" if state == PASSED else outcome.last_words())]


def part_serve(run):
    """A load sweep through the client door."""
    model = os.path.join(run.bundle, "models/demo")
    command = trireme(1, 1, "bench", "serve", "--model", model)
    command += ["--input-len", "128", "--output-len", "64"]
    outcome = run.shell.run([*command, "--concurrency", "1,8,32,128", "--json"], 50)
    run.figures["serve"] = json_lines(outcome.text)
    state = outcome.state()
    return [Check("bench serve", state, "" if state == PASSED else outcome.last_words())]


def part_sanitizer(run):
    """compute-sanitizer on small cases: memory errors, races, reads of uninitialized memory."""
    found = run.find_tool("compute-sanitizer")
    if found is None:
        return [Check("compute-sanitizer", SKIPPED, "it is not installed")]
    checks = []
    for tool, test, cases in (
        ("memcheck", "norm_test", "*cuda_bfloat16*"),
        ("memcheck", "move_rows_test", "*cuda_bfloat16*"),
        ("racecheck", "norm_test", "*cuda_bfloat16*"),
        ("memcheck", "attention_test", "*OneTokenSeesOnlyItself*cuda_bfloat16*"),
        ("racecheck", "attention_test", "*OneTokenSeesOnlyItself*cuda_bfloat16*"),
        ("initcheck", "move_rows_test", "*cuda_bfloat16*"),
        ("memcheck", "sample_test", "*cuda_bfloat16*"),
        ("memcheck", "adjust_logits_test", "*cuda_bfloat16*"),
        ("memcheck", "logprobs_test", "*cuda_bfloat16*"),
    ):
        command = [found, "--tool", tool, "--error-exitcode", "9"]
        command += [os.path.join(run.bundle, "tests", test), f"--gtest_filter={cases}"]
        checks.append(run.shell.check(f"{tool} {test}", command, 15))
    return checks


PARTS = {
    "ops": part_ops,
    "verify": part_verify,
    "nccl": part_nccl,
    "invariant": part_invariant,
    "benches": part_benches,
    "step": part_step,
    "serve": part_serve,
    "torch": part_torch,
    "sanitizer": part_sanitizer,
}
# Maximum seconds per part; the deadline of the whole run may shorten the last parts.
LIMITS = {
    "ops": 90,
    "verify": 110,
    "nccl": 60,
    "invariant": 30,
    "benches": 80,
    "step": 115,
    "serve": 50,
    "torch": 45,
    "sanitizer": 45,
}


class Run:
    """The state and the results of one run."""

    def __init__(self, bundle, out, log):
        self.bundle, self.out = bundle, out
        self.shell = Shell(bundle, log)
        self.figures = {}
        self.parts = []
        self.machine = {}
        self.num_gpus = 0

    def find_tool(self, name):
        folders = os.environ.get("PATH", "").split(":")
        for under in ("bin", "compute-sanitizer"):
            folders += glob.glob(f"/usr/local/cuda*/{under}")
        for folder in folders:
            if os.access(os.path.join(folder, name), os.X_OK):
                return os.path.join(folder, name)
        return None

    def look_at_machine(self):
        query = "name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit,temperature.gpu"
        found = self.find_tool("nvidia-smi")
        gpus = []
        if found is not None:
            command = [found, f"--query-gpu={query}", "--format=csv,noheader"]
            rows = self.shell.run(command, 15, bundled=False).text.strip().split("\n")
            names = query.split(",")
            gpus = [dict(zip(names, row.split(", "))) for row in rows if ", " in row]
        with open(os.path.join(self.bundle, "revision"), encoding="utf-8") as file:
            revision = file.read().strip()
        self.num_gpus = max(1, len(gpus))
        self.machine = {
            "gpus": gpus,
            "cores": os.cpu_count(),
            "libraries": os.environ.get("TRIREME_FOUND", "").split("\n"),
            "revision": revision,
            "command": " ".join(sys.argv),
        }

    def run_part(self, name, function):
        begin = time.monotonic()
        whole = self.shell.deadline
        self.shell.deadline = min(whole, begin + LIMITS.get(name, 60))
        try:
            checks = function(self)
        except Exception as error:  # an exception fails this part only
            checks = [Check(name, FAILED, f"{type(error).__name__}: {error}")]
        self.shell.deadline = whole
        seconds = time.monotonic() - begin
        states = [check.state for check in checks]
        state = FAILED if FAILED in states else PASSED if PASSED in states else SKIPPED
        self.parts.append(
            {
                "part": name,
                "state": state,
                "seconds": round(seconds, 1),
                "checks": [check.as_json() for check in checks],
            }
        )
        print(f"{name}: {state}, {len(checks)} checks, {seconds:.0f} s", flush=True)
        for check in checks:
            if check.state != PASSED:
                print(f"  {check.state} {check.name}: {check.words}", flush=True)
        self.write()

    # Called after every part, so that an interrupted run leaves its results so far.
    def write(self):
        results = {"machine": self.machine, "parts": self.parts, "figures": self.figures}
        path = os.path.join(self.out, "results.json")
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
            file.write("\n")
        os.replace(path + ".new", path)


def print_figures(figures):
    for line in figures.get("ops", []):
        words = f"{line['op']:<18} {line['shape']:<34} {line['us_median']:>10.1f} us"
        print(f"{words}  floor {line['floor_us']:>9.1f}  {100 * line['share']:>5.1f}%")
    for line in figures.get("torch", []):
        print(f"torch {line['op']:<12} {line['shape']:<34} {line['us_median']:>10.1f} us")
    for line in figures.get("step", []):
        words = f"{line['kind']} batch {line['batch']}: {1000 * line['seconds_median']:.1f} ms"
        print(f"{words}  floor {1000 * line['floor_seconds']:.1f} ms  {100 * line['share']:.1f}%")


def main(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--only", default="", help="parts, with commas: " + ",".join(PARTS))
    options = parser.parse_args(arguments)
    wanted = options.only.split(",") if options.only else list(PARTS)
    os.makedirs(options.out, exist_ok=True)
    with open(os.path.join(options.out, "run_all.log"), "w", encoding="utf-8") as log:
        run = Run(os.path.abspath(options.bundle), options.out, log)
        probe = run.shell.run(["trireme-cuda-bench", "--only", "read", "--tiny"], 30)
        if probe.status == NO_DEVICE:
            print("skipped: no CUDA device is here; nothing was tested or measured")
            return NO_DEVICE
        if probe.status != 0:
            print(f"the first use of the GPU failed: {probe.last_words()}")
        run.look_at_machine()
        for name in wanted:
            run.run_part(name, PARTS[name])
    print_figures(run.figures)
    states = [part["state"] for part in run.parts]
    counts = ", ".join(f"{states.count(state)} {state}" for state in (PASSED, FAILED, SKIPPED))
    print(counts)
    return 1 if FAILED in states else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
