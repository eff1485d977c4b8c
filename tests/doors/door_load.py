#!/usr/bin/env python3
"""Measures the gateway under load: many streams over HTTP, and the same over ZeroMQ alone.

door_load.py [--seconds 60] [--streams 1000] [--clients 10000] [--write]
    Prints the figures; --write keeps them in tests/doors/results/load.md.

The scripted rank gives every stream ten events per second. docs/http.md states the bounds.
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time

from door_fixture import SOURCE, Doors, test_path
from door_leaving import leave_many

STEP_US = 100_000
STREAMS_PER_SECOND = 200
RESULTS = os.path.join(SOURCE, "tests", "doors", "results", "load.md")
MAX_CPU_SHARE = 0.25
MAX_BYTES = 64 << 20
FIRST_TOKEN_MS = 150  # more than over ZeroMQ, at the 99th percentile
GAP_MS = 15


def rank_options(streams):
    pages = ["--pages", str(streams * 24), "--max-num-batched-tokens", str(4 * streams)]
    return ["--max-num-seqs", str(streams), *pages]


def expected_text(doors, tokens):
    """The answer of the script, as one that is not streamed."""
    doors.rank.tell("step-us 100")
    body = {"model": "demo", "messages": [{"role": "user", "content": "words"}]}
    answer = doors.post("/v1/chat/completions", {**body, "max_tokens": tokens}).json()
    doors.rank.tell(f"step-us {STEP_US}")
    return answer["choices"][0]["message"]["content"]


def run_streams(doors, target, streams, tokens, more=()):
    """Figures of stream_load, and of the gateway's CPU time while it ran."""
    with tempfile.NamedTemporaryFile("w") as expected:
        expected.write(expected_text(doors, tokens))
        expected.flush()
        command = [test_path("stream_load"), *target, "--streams", str(streams)]
        command += ["--rate", str(STREAMS_PER_SECOND), "--max-tokens", str(tokens)]
        command += ["--expected", expected.name, "--limit-s", str(tokens // 10 + 60), *more]
        cpu_s, begin = doors.gateway.cpu_s(), time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
        wall_s = time.monotonic() - begin
    figures = json.loads(done.stdout.splitlines()[-1])
    figures["wall_s"] = wall_s
    figures["gateway_cpu_s"] = doors.gateway.cpu_s() - cpu_s
    figures["gateway_cpu_share"] = figures["gateway_cpu_s"] / wall_s
    figures["gateway_peak_bytes"] = doors.gateway.peak_bytes()
    return figures


def measure(streams, seconds, stop=0):
    """{"http": figures, "zmq": figures}; with `stop`, that many more readers stop over HTTP."""
    found = {}
    tokens = 10 * seconds
    with Doors(rank=rank_options(streams + stop), coordinator=["--max-num-seqs", "4096"]) as doors:
        doors.rank.say({"words": tokens, "loop": True})
        target = ["--http", doors.url.split("//")[1]]
        found["http"] = run_streams(doors, target, streams, tokens)
        found["zmq"] = run_streams(doors, ["--zmq", doors.endpoint], streams, tokens)
        if stop:
            more = ["--stop", str(stop)]
            found["stop"] = run_streams(doors, target, streams, tokens, more)
        doors.wait_idle()
    return found


def row(name, figures):
    first, gap = figures["first_token_ms"], figures["gap_ms"]
    lost = figures["damaged"] + figures["miscounted"]
    return (
        f"| {name} | {figures['complete']} | {lost} | {first['p50']:.1f} | {first['p99']:.1f} "
        f"| {gap['p50']:.1f} | {gap['p99']:.1f} | {100 * figures['gateway_cpu_share']:.1f} % "
        f"| {figures['gateway_peak_bytes'] / 2**20:.1f} MiB |"
    )


def table(found, streams, seconds):
    kinds = {
        "http": "HTTP",
        "zmq": "ZeroMQ",
        "stop": "HTTP, 100 stop reading",
    }
    lines = [
        "# The gateway under load",
        "",
        f"`python3 tests/doors/door_load.py --write`: {streams} streams of 10 events per second",
        f"for {seconds} s, {STREAMS_PER_SECOND} new ones per second. Scripted rank, coordinator,",
        f"gateway and load generator share {os.cpu_count()} cores ({platform.machine()}).",
        "",
        "| run | complete | lost or repeated | first token p50 ms | p99 | gap p50 ms | p99 "
        "| gateway CPU of one core | peak memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [row(kinds[name], figures) for name, figures in found.items()]
    return "\n".join(lines) + "\n"


def leaving_lines(found):
    times = found["cancel_s"]
    phases = found["figures"]["failures"]
    middle, late = (1000 * times[int(len(times) * share)] for share in (0.5, 0.99))
    return f"""
## Clients that leave

{found["left"]} clients left at random phases, {phases["left early"]} of them in their request;
{found["opened"] - 1} were being answered. From a client's end to the plan that closes its slot:
median {middle:.1f} ms, 99th percentile {late:.1f} ms, at most {1000 * times[-1]:.1f} ms (a step
takes 5 ms). The gateway wrote {len(found["ids"])} lines about them, one per request; afterwards
no request, no page and no descriptor was held.
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--stop", type=int, default=100)
    parser.add_argument("--clients", type=int, default=10000, help="that leave")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found = measure(options.streams, options.seconds, options.stop)
    text = table(found, options.streams, options.seconds)
    text += leaving_lines(leave_many(options.clients))
    print(json.dumps(found, indent=1))
    print(text)
    if options.write:
        os.makedirs(os.path.dirname(RESULTS), exist_ok=True)
        with open(RESULTS, "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
