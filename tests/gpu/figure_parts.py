"""The parts of run_all.py that measure. Each takes the run and returns its checks; figures go to
run.figures, with their floors."""

import os
import sys

import dry_model
import kernel_timeline
from check_parts import flag_words, json_lines, trireme
from shell import FAILED, NO_DEVICE, PASSED, SKIPPED, STUB, Check

BYTES_PER_SECOND = 4.3e12  # rate of a copy on an H200, for the floors
FLOPS_PER_SECOND = 790e12  # rate of a bf16 matmul of 8192^3 there
# Llama 3.1 8B: the weights that a decode reads (all but the embedding), KV of one token, and the
# work of a prefill of 8192 tokens (its linear layers and its causal attention).
WEIGHT_BYTES = 15.0e9
KV_BYTES = 32 * 2 * 8 * 128 * 2
PREFILL_8K_FLOPS = 114.3e12 + 17.6e12
MAX_PACKED_BYTES = 15 << 20  # of one file: below run_all.MAX_FILE_BYTES


def bench_flags(run, rounds):
    return ["--tiny", "--rounds", "2"] if run.is_dry else ["--rounds", str(rounds)]


def part_probe(run):
    """The first use of the GPU, and what trireme says of the machine."""
    checks = []
    command = ["trireme-cuda-bench", "--only", "read", "--tiny", "--rounds", "2"]
    outcome = run.shell.run(command, 14)
    run.has_device = outcome.status != NO_DEVICE
    checks.append(outcome.as_check("first use"))
    if run.has_device:
        run.look_at_machine()
        doctor = run.shell.run(["trireme", "doctor"], 6)
        run.machine["doctor"] = (doctor.text + doctor.errors).split("\n")
        if doctor.status is None:
            checks.append(doctor.as_check("trireme doctor"))
    return checks


def read_rate(lines):
    """Bytes per microsecond of the fastest plain read; 0 without one."""
    reads = (line["bytes"] / line["us_median"] for line in lines if line["op"] == "read")
    return max(reads, default=0)


def part_read(run):
    """The maximum rate at which kernels of ours read memory."""
    outcome = run.shell.run(
        ["trireme-cuda-bench", "--only", "read", *bench_flags(run, 20)], 9
    )
    rate = read_rate(json_lines(outcome.text))
    if rate:
        run.figures["read_bytes_per_second"] = rate * 1e6
    return [outcome.as_check("trireme-cuda-bench --only read")]


def part_benches(run):
    """The single ops, with their floors."""
    outcome = run.shell.run(["trireme-cuda-bench", *bench_flags(run, 20)], 55)
    lines = json_lines(outcome.text)
    rate = read_rate(lines) or run.figures.get("read_bytes_per_second", 0) / 1e6
    for line in lines:
        if rate and line["op"] == "attention_decode":
            line["aim_us"] = 8 + line["bytes"] / (0.90 * rate)
        if line["op"] == "attention_prefill":
            line["tflops"] = line["flops"] / line["us_median"] / 1e6
        if rate and line["bytes"]:
            line["share_of_read_rate"] = line["bytes"] / line["us_median"] / rate
    run.figures["ops"] = lines
    return [outcome.as_check("trireme-cuda-bench")]


def part_torch(run):
    """The same shapes through PyTorch, if it is installed."""
    python = os.environ.get("TRIREME_PYTHON", sys.executable)
    script = os.path.join(run.bundle, "torch_rival.py")
    if run.is_dry:
        run.write_json("torch.json", [{"stub": "a dry run does not ask PyTorch"}])
        return [Check("torch", STUB, "a dry run does not ask PyTorch")]
    outcome = run.shell.run([python, script], 37, bundled=False)
    run.figures["torch"] = json_lines(outcome.text)
    run.write_json("torch.json", run.figures["torch"])
    return [outcome.as_check("torch")]


def step_floor_s(line):
    """The minimum time of a measurement of `bench step` on Llama 3.1 8B (bf16)."""
    if line["kind"] == "prefill":
        return PREFILL_8K_FLOPS * line["tokens"] / 8192 / FLOPS_PER_SECOND
    batch = line["batch"]
    kv_bytes = batch * line.get("context", 0) * KV_BYTES
    return line["tokens"] / batch * (WEIGHT_BYTES + kv_bytes) / BYTES_PER_SECOND


def step_command(run, tp):
    """bench step: Llama 3.1 8B with random weights."""
    if run.is_dry:
        flags = {"prefill": "64", "decode": "4", "batch": "1,3,4", "context": "16"}
        flags.update(dry_model.FLAGS)
        model = dry_model.write(run.scratch)
    else:
        flags = {"prefill": "8192", "decode": "32", "batch": "1,32,128", "context": "2048"}
        flags.update({"max-num-batched-tokens": "8192", "kv-memory": "40GiB"})
        model = "dummy:llama-3.1-8b"
        if tp > 1:  # the ranks share what one has above
            flags.update({"prefill": "2048", "batch": "1,32", "kv-memory": "8GiB"})
    command = trireme(tp, 1, "bench", "step", "--model", model, "--repeats", "1", "--json")
    return command + flag_words(flags)


def part_step(run):
    """bench step: prefill of 8k, and batch 1, 32 and 128 at a context of 2k; without a tracer."""
    outcome = run.shell.run(step_command(run, 1), 55)
    lines = json_lines(outcome.text)
    for line in lines if not run.is_dry else []:  # the floors are those of the model of 8B
        line["floor_seconds"] = step_floor_s(line)
        line["share"] = line["floor_seconds"] / line["seconds_median"]
    run.figures["step"] = lines
    return [outcome.as_check("bench step")]


def traced_step(run, tp, name):
    """bench step under the timeline library: its kernels to `name`, their sums to the figures."""
    library = os.path.join(run.bundle, "lib", "libkernel_trace.so")
    cupti = os.environ.get("TRIREME_CUPTI", "")
    if not run.is_dry and not os.path.exists(library):
        return Check(name, SKIPPED, "the bundle was built without CUPTI's headers")
    if not run.is_dry and not cupti:
        return Check(name, SKIPPED, "there is no libcupti.so.13 on this machine")
    prefix = os.path.join(run.scratch, name)
    environment = {
        "CUDA_INJECTION64_PATH": library,
        "KERNEL_TRACE": prefix,
        "KERNEL_TRACE_CUPTI": cupti,
    }
    outcome = run.shell.run(
        step_command(run, tp), 36, environment={} if run.is_dry else environment
    )
    lines = json_lines(outcome.text)
    if run.is_dry:
        write_stub_trace(prefix, lines, tp)
    files = kernel_timeline.files_of(prefix)
    if not files:
        check = outcome.as_check(name)
        return check if check.state != PASSED else Check(name, FAILED, "no kernel was recorded")
    packed = os.path.join(run.out, f"{name}.csv.gz")
    whole = kernel_timeline.pack(files, packed, MAX_PACKED_BYTES)
    kernels, dropped = kernel_timeline.read(files)
    run.figures[name] = {
        "windows": [traced_window(kernels, line) for line in lines],
        "dropped": dropped,
        "is_whole": whole,
    }
    if run.is_dry and outcome.status == 0:
        return Check(name, STUB, "an emulated device has no timeline: the kernels are made up")
    return outcome.as_check(name)


def traced_window(kernels, line):
    """The timeline of a measurement's last round; its kernels are slower than without a tracer."""
    begin_us, end_us = line["window_us"]
    found = kernel_timeline.summarize(kernels, begin_us, end_us)
    what = {key: line[key] for key in ("kind", "batch", "tokens", "tp", "seconds_median")}
    return {**what, **(found or {"steps": 0})}


def write_stub_trace(prefix, lines, tp):
    """Kernels as libkernel_trace.so would write them: three steps in the window of each line."""
    with open(f"{prefix}.1", "w", encoding="utf-8") as file:
        file.write("name,0,trireme::(anonymous namespace)::take\nname,1,trireme::stub<int>\n")
        for line in lines:
            begin_us, end_us = line["window_us"]
            for step in range(3):
                start = 1000 * begin_us + step * 1000 * (end_us - begin_us) // 3
                for rank in range(tp):
                    for node in range(5):
                        at = start + 10_000 * node
                        row = [at, at + 8_000, 0, 13 + rank, 1, node, 132, 256, 96, 0, node > 0]
                        file.write("kernel," + ",".join(str(int(x)) for x in row) + "\n")


def part_timeline(run):
    """bench step once more, with start, end, stream, node and name of every kernel."""
    return [
        traced_step(run, 1, "kernels_step"),
        traced_step(run, 2, "kernels_tp2"),
    ]
