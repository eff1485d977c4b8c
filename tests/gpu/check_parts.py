"""The parts of run_all.py that test. Each takes the run and returns its checks."""

import glob
import json
import os
import tempfile

import dry_model
import gpu_machine
from shell import FAILED, PASSED, SKIPPED, STUB, Check

PARTITIONS = ((1, 1), (2, 1), (1, 2), (2, 2))
# The tests that a wrong kernel fails first, in bf16 of the fast and the invariant mode.
SHORT_OPS = ("norm", "linear", "attention", "qkv_finish", "sample")
# In a dry run the emulated device is slow: a case of some.
DRY_OPS = (
    ("norm", "EqualsItsDefinitionInDouble"),
    ("linear", "RowsOfAWeightAreAWeight"),
    ("attention", "OneTokenSeesOnlyItself"),
    ("sample", "NoRowsIsNoWork"),
)
FIRST_GOLDEN = "llama-gqa"
# A case each: a tool makes a kernel slower by a factor of 10 to 100.
SANITIZED = (
    ("memcheck", "attention", "OneTokenSeesOnlyItself"),
    ("racecheck", "attention", "OneTokenSeesOnlyItself"),
    ("memcheck", "linear", "RowsOfAWeightAreAWeight"),
    ("racecheck", "norm", "EqualsItsDefinitionInDouble"),
    ("initcheck", "move_rows", "GatheredRowsAreTheListedRowsAndZerosForNone"),
    ("memcheck", "sample", "GreedyTakesTheBestAndTheLowerAmongEquals"),
    ("memcheck", "adjust_logits", "BansAndPaddingAreNeverDrawn"),
    ("memcheck", "logprobs", "EqualLogitsAreListedByTheirIds"),
)


def test_command(run, op, cases):
    program = os.path.join(run.bundle, "tests", f"{op}_test")
    return [program, f"--gtest_filter={cases}", "--gtest_brief=1"]


def part_ops_short(run):
    """The most important op tests, bf16 in the fast and the invariant mode."""
    chosen = [(op, "*cuda*bfloat16*") for op in SHORT_OPS]
    if run.is_dry:
        chosen = [(op, f"*{case}*cuda_bfloat16*") for op, case in DRY_OPS]
    return [run.shell.check(op, test_command(run, op, cases), 40) for op, cases in chosen]


def part_ops(run):
    """The op suite on the device, both types, fast and invariant."""
    checks = []
    for test in sorted(glob.glob(os.path.join(run.bundle, "tests", "*_test"))):
        op = os.path.basename(test).removesuffix("_test")
        checks.append(run.shell.check(op, test_command(run, op, "*cuda*"), 40))
    return checks


def golden_models(run):
    """The folders of the golden models, the first to be verified first."""
    pattern = os.path.join(run.bundle, "tests/data/golden/models/*/expected.safetensors")
    folders = [os.path.dirname(path) for path in sorted(glob.glob(pattern))]
    return sorted(folders, key=lambda folder: os.path.basename(folder) != FIRST_GOLDEN)


def trireme(tp, pp, *verb, one_gpu=True):
    """A command at tp x pp. On fewer GPUs than ranks, the ranks are threads of one process."""
    visible = ["env", "CUDA_VISIBLE_DEVICES=0"] if one_gpu else []
    return [*visible, "trireme", *verb, "-tp", str(tp), "-pp", str(pp), "--backend", "cuda"]


def flag_words(flags):
    return [word for name, value in flags.items() for word in (f"--{name}", value)]


def small_memory(run):
    """Little KV: mapping and clearing what a GPU has takes seconds of each start."""
    if not run.is_dry:
        return ["--kv-memory", "1GiB"]
    return flag_words(dry_model.FLAGS)


def served_model(run):
    return dry_model.write(run.scratch) if run.is_dry else os.path.join(run.bundle, "models/demo")


def verify_one(run, model, partition, one_gpu):
    command = trireme(*partition, "verify", "--model", model, one_gpu=one_gpu) + small_memory(run)
    # Modules are loaded late only where no rank can wait for another in a kernel.
    environment = {"CUDA_MODULE_LOADING": "LAZY"} if partition == (1, 1) else {}
    name = f"{os.path.basename(model)} {partition[0]}x{partition[1]}"
    return run.shell.check(name, command, 25, environment=environment)


def verify(run, partitions, one_gpu):
    """One golden at every tp x pp before the others: what can hang shows first."""
    models = golden_models(run)
    order = [(model, partition) for model in models[:1] for partition in partitions]
    order += [(model, partition) for partition in partitions for model in models[1:]]
    return [verify_one(run, model, partition, one_gpu) for model, partition in order]


def part_verify(run):
    """Logits and greedy tokens of every golden, at every tp x pp, on one GPU over peer memory."""
    if not run.is_dry:
        return verify(run, PARTITIONS, one_gpu=True)
    model = golden_models(run)[0]
    return [verify_one(run, model, partition, one_gpu=True) for partition in ((1, 1), (2, 2))]


def part_nccl(run):
    """The same over NCCL, with one GPU per rank."""
    if run.num_gpus < 2:
        return [Check("nccl", SKIPPED, "this machine has one GPU; NCCL needs two")]
    allowed = [p for p in PARTITIONS[1:] if p[0] * p[1] <= run.num_gpus]
    return verify(run, allowed, one_gpu=False)


def json_lines(text):
    found = []
    for line in text.split("\n"):
        if line.startswith("{"):
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                pass
    return found


def answer_bits(answer):
    """The tokens of an answer and their log-probabilities, without its times."""
    return {key: answer.get(key) for key in ("token_ids", "text", "finish_reason", "logprobs")}


def first_answer(run, partition, prompts):
    """Of the first of the prompts, or the outcome of a failed command."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for ids in prompts:
            file.write(json.dumps({"token_ids": ids}) + "\n")
        file.flush()
        command = trireme(*partition, "run", "--model", served_model(run), "--invariant")
        command += small_memory(run)
        command += ["--prompts", file.name, "--max-tokens", "4" if run.is_dry else "48"]
        command += ["--temperature", "0", "--ignore-eos", "--logprobs", "3", "--json"]
        outcome = run.shell.run(command, 40)
    if outcome.status != 0:
        return None, outcome
    of_first = [line for line in json_lines(outcome.text) if line.get("id") == "1"]
    return (answer_bits(of_first[0]) if of_first else None), outcome


def invariant_at(run, partition, prompts):
    """Checks of the answer to the first prompt, by itself and beside the others."""
    alone, outcome = first_answer(run, partition, prompts[:1])
    name = f"{partition[0]}x{partition[1]}"
    if outcome.status != 0 or alone is None:
        return [outcome.as_check(name) if outcome.status != 0 else Check(name, FAILED, "no answer")]
    beside, outcome = first_answer(run, partition, prompts)
    if outcome.status != 0:
        return [outcome.as_check(name)]
    if beside == alone:
        return [Check(name, PASSED)]
    return [Check(name, FAILED, "tokens or logprobs differ from those of the request alone")]


def part_invariant(run):
    """--invariant: the answer to a request does not depend on its batch, at 1x1 and at 2x2."""
    count = 2 if run.is_dry else 8
    prompts = [[(7 * t + 13 * i + 1) % 300 for t in range(9 + 40 * i)] for i in range(count)]
    checks = []
    for partition in ((1, 1), (2, 2)):
        checks += invariant_at(run, partition, prompts)
    return checks


def part_serve(run):
    """A load sweep through the client door."""
    command = trireme(1, 1, "bench", "serve", "--model", served_model(run))
    if run.is_dry:
        command += ["--input-len", "8", "--output-len", "2", "--concurrency", "1,2"]
        command += ["--requests", "2"]
    else:
        command += ["--input-len", "128", "--output-len", "64", "--concurrency", "1,8,32,128"]
    limit = max(14, run.part_seconds - 5)
    outcome = run.shell.run([*command, *small_memory(run), "--json"], limit)
    run.figures["serve"] = json_lines(outcome.text)
    return [outcome.as_check("bench serve")]


def part_sanitizer(run):
    """compute-sanitizer on small cases: memory errors, races, reads of uninitialized memory."""
    if run.is_dry:
        return [Check("compute-sanitizer", STUB, "a dry run has no GPU to watch")]
    found = gpu_machine.find_tool("compute-sanitizer")
    if found is None:
        return [Check("compute-sanitizer", SKIPPED, "it is not installed")]
    checks = []
    for tool, op, case in SANITIZED:
        command = [found, "--tool", tool, "--error-exitcode", "9"]
        command += test_command(run, op, f"*{case}*/cuda_bfloat16*")
        checks.append(run.shell.check(f"{tool} {op}", command, 18))
    return checks
