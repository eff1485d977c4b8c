#!/usr/bin/env python3
"""What the journal costs in output tokens per second, and in processor time of the coordinator:
clusters of the demo model, with and without one, loaded in turn by the same requests. Prints each
round and the medians.

benchmarks/journal_price.py [--rounds 9] [--clients 16] [--fsync]
"""

import argparse
import statistics

from running_cluster import RunningCluster, processor


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--fsync", action="store_true", help="sync every record")
    options = parser.parse_args()
    load = ["--concurrency", str(options.clients), "--requests", str(16 * options.clients)]
    load += ["--input-len", "64", "--output-len", "64"]
    journaled = ["--journal", "on", *(["--fsync"] if options.fsync else [])]
    plain = ["--journal", "off"]
    ratios, costs = [], {"on": [], "off": []}
    for round_number in range(options.rounds):
        pair = {}
        flags = (journaled, plain) if round_number % 2 == 0 else (plain, journaled)
        for each in flags:  # a fresh cluster each time: where its memory lies makes a difference
            with RunningCluster(*each) as cluster:
                cluster.bench(*load[:2], "--requests", str(options.clients), *load[4:])
                before_s = cluster.coordinator_cpu_s()
                figures = cluster.bench(*load)
                used_s = cluster.coordinator_cpu_s() - before_s
            assert figures["failed"] == 0, figures
            pair[each[1]] = figures["output_tokens_per_second"]
            costs[each[1]].append(1e6 * used_s / figures["output_tokens"])
        ratios.append(pair["on"] / pair["off"])
        print(
            f"round {round_number + 1}: {pair['on']:.0f} tokens/s with the journal, "
            f"{pair['off']:.0f} without: {ratios[-1]:.3f}",
            flush=True,
        )
    print(
        f"{options.clients} clients, {processor()}: median ratio {statistics.median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f}); processor time of the coordinator per token "
        f"{statistics.median(costs['on']):.1f} us with the journal, "
        f"{statistics.median(costs['off']):.1f} without"
    )


if __name__ == "__main__":
    main()
