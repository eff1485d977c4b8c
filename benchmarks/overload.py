#!/usr/bin/env python3
"""A cluster under more load than it can carry: Poisson arrivals at 2 and 10 times the rate that it
serves at its best. Prints the goodput, the memory of the coordinator, and how soon it is itself
again.

benchmarks/overload.py [--seconds 60]
"""

import argparse
import re
import time

from running_cluster import RunningCluster, processor

SHAPE = ["--input-len", "64", "--output-len", "64"]
MIN_GOODPUT = {2: 0.95, 10: 0.90}
MAX_MORE_MIB = 64
NORMAL_S = 5


def private_mib(pid):
    """Anonymous memory of a process, swapped or not."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        text = file.read()
    found = re.findall(r"^(?:RssAnon|VmSwap):\s+(\d+) kB", text, re.MULTILINE)
    return sum(map(int, found)) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    print(processor())
    misses = []
    queue = {"TRIREME_MAX_WAITING_REQUESTS": "64"}
    with RunningCluster(environment=queue) as cluster:
        cluster.bench("--concurrency", "256", "--requests", "256", *SHAPE)  # warm up
        peak = cluster.bench("--concurrency", "256", "--requests", "1536", *SHAPE)
        rate = peak["requests_per_second"]
        alone_ms = cluster.bench("--concurrency", "1", "--requests", "16", *SHAPE)["ttft_ms"]["p50"]
        print(f"at its best {rate:.1f} requests/s, {peak['output_tokens_per_second']:.0f} tokens/s")
        for factor, least in MIN_GOODPUT.items():
            before = private_mib(cluster.coordinator())
            count = int(factor * rate * options.seconds)
            figures = cluster.bench(
                "--rate", f"{factor * rate:.1f}", "--requests", str(count), *SHAPE
            )
            begin = time.monotonic()
            while cluster.bench("--concurrency", "1", "--requests", "1", *SHAPE)["ttft_ms"][
                "p50"
            ] > max(2 * alone_ms, alone_ms + 20):
                pass
            normal_s = time.monotonic() - begin
            more = private_mib(cluster.coordinator()) - before
            goodput = figures["output_tokens_per_second"] / peak["output_tokens_per_second"]
            print(
                f"{factor} times: {figures['requests'] - figures['failed']} of {count} served, "
                f"goodput {goodput:.2f} of the peak, coordinator {more:+.1f} MiB, normal after "
                f"{normal_s:.1f} s",
                flush=True,
            )
            if goodput < least or more > MAX_MORE_MIB or normal_s > NORMAL_S:
                misses.append(factor)
    if misses:
        raise SystemExit(f"missed at {misses} times the rate")


if __name__ == "__main__":
    main()
